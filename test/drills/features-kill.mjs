// node test/drills/features-kill.mjs: the server is killed with SIGKILL at random moments while events of features are pushed, and
// started again on the same data. In the end every event that was acknowledged is pushed once more: the log must know each.
//   --times N       how often (default 50)
//   --self-test     one event that was never pushed is taken for acknowledged: the check must notice it
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from '../bench/figures.mjs';
import { wholeArgument } from '../support/arguments.mjs';
import { startServer } from '../support/server.mjs';

const CONNECTIONS = 8;
const LONGEST_LIFE_MS = 500;
const LARGEST_PUSH = 200;
const CHECKED_AT_ONCE = 5_000;
const START = Date.now() - 10 * 86_400_000;

const selfTest = process.argv.includes('--self-test');
const times = selfTest ? 2 : wholeArgument('--times', 50);

const VIEW = {
  kind: 'FeatureView',
  name: 'kill_drill',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'kill_ticks', fields: { price: 'double' }, allowed_lateness: '0s', retention: '30d' }],
  features: [{ name: 'price', op: 'last', input: 'price' }],
};

/** Pushes over a few connections for as long as it is told to, and keeps what was acknowledged. */
class Load {
  acknowledged = [];
  broken = 0;
  refused = new Map();
  untrue = [];
  #sequence = 0;
  #running = true;

  constructor(server, key) {
    this.server = server;
    this.key = key;
    this.lanes = Array.from({ length: CONNECTIONS }, (_, lane) => this.#run(lane));
  }

  async stop() {
    this.#running = false;
    await Promise.all(this.lanes);
  }

  async #run(lane) {
    while (this.#running) {
      const events = Array.from({ length: 1 + Math.floor(Math.random() * LARGEST_PUSH) }, () => {
        const n = this.#sequence++;
        // A few entities of all lanes and a few of its own: some rows are wanted by many, others by one.
        const entity = n % 3 === 0 ? `S${n % 5}` : `L${lane}-${n % 50}`;
        return { entity, event_time: START + n, event_id: `kill-${n}`, values: { price: n } };
      });
      await this.#push(events);
    }
  }

  async #push(events) {
    try {
      const { status, body } = await pushed(this.server, this.key, events);
      if (status === 200) {
        this.acknowledged.push(...events);
        const wrong = body.results.filter((one) => !['ACCEPTED', 'LATE_LOG_ONLY', 'LATE_APPLIED'].includes(one.status));
        if (wrong.length > 0) this.untrue.push(wrong[0].status);
        return;
      }
      this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
    } catch {
      this.broken++;
    }
    await sleep(20);
  }
}

function pushed(server, key, events) {
  return server.call('POST', '/v1/features/push', { key, body: { stream: 'kill_ticks', events }, timeoutMs: 20_000 });
}

/** How many of the events the log does not know as they were acknowledged. */
async function missingOf(server, key, events) {
  let missing = 0;
  for (let i = 0; i < events.length; i += CHECKED_AT_ONCE) {
    const { status, body } = await pushed(server, key, events.slice(i, i + CHECKED_AT_ONCE));
    if (status !== 200) throw new Error(`the check was answered ${status} ${JSON.stringify(body)}`);
    missing += body.results.filter((one) => one.status !== 'DUPLICATE').length;
  }
  return missing;
}

async function main() {
  const server = await startServer({ env: { SIBYL_MODELS: '' } });
  try {
    const key = server.adminKey;
    const published = await server.call('PUT', `/v1/features/views/${VIEW.name}`, { key, body: VIEW });
    if (published.status !== 200) throw new Error(`no view: ${published.status} ${JSON.stringify(published.body)}`);
    const load = new Load(server, key);
    const restarts = [];
    for (let kill = 1; kill <= times; kill++) {
      await sleep(100 + Math.random() * LONGEST_LIFE_MS);
      await server.kill9();
      await server.start();
      restarts.push(server.readyMs);
      if (kill % 10 === 0) console.log(`  ${kill} kills, ${load.acknowledged.length} events acknowledged`);
    }
    await sleep(LONGEST_LIFE_MS);
    await load.stop();
    if (selfTest)
      load.acknowledged.push({ entity: 'S1', event_time: START - 1, event_id: 'never', values: { price: 1 } });
    const missing = await missingOf(server, key, load.acknowledged);
    console.log(
      `${times} kills, restart p50 ${quantile(restarts, 0.5).toFixed(0)} ms; ${load.broken} broken pushes, ` +
        `refused ${JSON.stringify(Object.fromEntries(load.refused))}${load.untrue.length > 0 ? `, unexpected ${load.untrue}` : ''}`,
    );
    console.log(`${missing} of ${load.acknowledged.length} acknowledged events lost`);
    if (selfTest) {
      console.log(`self-test: the check ${missing === 1 ? 'notices' : 'DOES NOT NOTICE'} a lost event`);
      return missing === 1;
    }
    const onlyOutage = [...load.refused.keys()].every((status) => status === 503);
    return missing === 0 && onlyOutage && load.untrue.length === 0 && load.acknowledged.length > times;
  } finally {
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
