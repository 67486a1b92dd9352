// npm run drill:database: PostgreSQL is stopped, killed and frozen under load. Predictions go on, administrators are told
// within 2 s, everything comes back by itself and every answered prediction is in PostgreSQL once.
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, table } from '../bench/figures.mjs';
import { postmasterOf } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { freeze, signal, thaw } from './postgres-faults.mjs';
import { compare, readUntilComplete } from './recorded-events.mjs';
import { RecordedLoad } from './recorded-load.mjs';

const CONNECTIONS = 8;
const CALM_MS = 5_000;
const FROZEN_MS = 12_000;
const RESTART_GOAL_MS = 10_000;
const ADMIN_GOAL_MS = 2_000;
const ADMIN_PAUSE_MS = 100;
const RECOVERY_LIMIT_MS = 30_000;

/** Asks for something that needs the database, over and over, and keeps what came and how long it took. */
class AdminCalls {
  calls = [];
  #running = true;

  constructor(server) {
    void this.#loop(server);
  }

  async #loop(server) {
    while (this.#running) {
      const begun = performance.now();
      const answer = await server.call('GET', '/v1/keys?limit=1', { timeoutMs: 20_000 }).catch((error) => ({
        status: 0,
        body: { code: error.name },
      }));
      const now = performance.now();
      this.calls.push({ at: now, begun, ms: now - begun, status: answer.status, code: answer.body?.code });
      await sleep(ADMIN_PAUSE_MS);
    }
  }

  stop() {
    this.#running = false;
  }

  since(moment) {
    return this.calls.filter((call) => call.at >= moment);
  }

  /** Waits until a call that was begun after `moment` succeeds and returns how long after `moment` that was. */
  async recovered(moment) {
    while (performance.now() - moment < RECOVERY_LIMIT_MS) {
      const good = this.calls.find((call) => call.begun >= moment && call.status === 200);
      if (good) return good.at - moment;
      await sleep(20);
    }
    return Infinity;
  }
}

const FAULTS = {
  async stopped(server) {
    signal(postmasterOf(server.pid).pid, 'SIGINT');
  },
  async killed(server) {
    signal(postmasterOf(server.pid).pid, 'SIGKILL');
  },
  async frozen(server) {
    freeze(server.pid);
    try {
      await sleep(FROZEN_MS);
    } finally {
      thaw(server.pid);
    }
  },
};

/** One fault: what callers noticed of it, from its beginning until administrators were served again. */
async function observe(name, { server, load, admin }) {
  const failedBefore = load.failures + load.broken;
  const begun = performance.now();
  await FAULTS[name](server);
  const ended = performance.now();
  const recoveryMs = await admin.recovered(name === 'frozen' ? ended : begun);
  await sleep(500);
  const now = performance.now();
  const calls = admin.since(begun);
  const refused = calls.filter((call) => call.status !== 200);
  return {
    name,
    faultMs: ended - begun,
    recoveryMs,
    latencies: load.between(begun, now),
    failed: load.failures + load.broken - failedBefore,
    refused: refused.length,
    wrong: refused.filter((call) => call.status !== 503 || call.code !== 'database_unavailable'),
    slowestMs: Math.max(...calls.map((call) => call.ms)),
  };
}

function report(calm, faults) {
  const p = (values, share) => quantile(values, share).toFixed(2);
  const head = [
    'PostgreSQL',
    'predictions',
    'failed',
    'p50 ms',
    'p99 ms',
    'admin 503',
    'slowest admin ms',
    'back after ms',
  ];
  const lines = faults.map((f) => [
    f.name,
    f.latencies.length,
    f.failed,
    p(f.latencies, 0.5),
    p(f.latencies, 0.99),
    f.refused,
    f.slowestMs.toFixed(0),
    f.recoveryMs.toFixed(0),
  ]);
  console.log(table([head, ['up', calm.length, 0, p(calm, 0.5), p(calm, 0.99), 0, '', ''], ...lines]));
}

function misses(faults, load, found) {
  const list = [];
  for (const fault of faults) {
    if (fault.failed > 0) list.push(`${fault.name}: ${fault.failed} predictions failed`);
    if (fault.latencies.length === 0) list.push(`${fault.name}: no prediction was answered`);
    if (fault.recoveryMs > RESTART_GOAL_MS)
      list.push(`${fault.name}: back only after ${fault.recoveryMs.toFixed(0)} ms`);
    if (fault.slowestMs > ADMIN_GOAL_MS)
      list.push(`${fault.name}: an admin call took ${fault.slowestMs.toFixed(0)} ms`);
    for (const { status, code } of fault.wrong.slice(0, 1))
      list.push(`${fault.name}: an admin call answered ${status} ${code}`);
    if (fault.name === 'frozen' && fault.refused === 0) list.push('frozen: no admin call noticed it');
  }
  if (found.missing.length > 0) list.push(`${found.missing.length} answered predictions without an event`);
  if (found.twice.length > 0 || found.repeated > 0) list.push(`${found.twice.length} predictions with two events`);
  return list;
}

async function main() {
  const server = await startServer();
  let admin;
  try {
    const issued = await server.call('POST', '/v1/keys', { body: { name: 'drill', role: 'team' } });
    const load = new RecordedLoad({ port: server.port, key: issued.body.key, connections: CONNECTIONS }).start();
    admin = new AdminCalls(server);
    await sleep(1_000); // warm
    const begun = performance.now();
    await sleep(CALM_MS);
    const calm = load.between(begun, performance.now());
    const faults = [];
    for (const name of Object.keys(FAULTS)) {
      faults.push(await observe(name, { server, load, admin }));
      await sleep(1_000);
    }
    admin.stop();
    await load.stop();
    const { events, waitedMs } = await readUntilComplete(server, load.answered);
    const found = compare(load.answered, events);
    report(calm, faults);
    if (load.failures > 0) console.log(`refused: ${JSON.stringify(Object.fromEntries(load.refused))}`);
    if (found.missing.length === 0)
      console.log(`every event was in PostgreSQL ${(waitedMs / 1e3).toFixed(1)} s after the load ended`);
    const list = misses(faults, load, found);
    for (const miss of list) console.log(`missed: ${miss}`);
    console.log(
      `${load.answered.length} predictions answered, ${load.failures + load.broken} failed; ` +
        `${found.missing.length} without their event in PostgreSQL, ${found.twice.length} with two`,
    );
    return list.length === 0 && load.failures + load.broken === 0;
  } finally {
    admin?.stop();
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
