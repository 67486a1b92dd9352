// npm run drill:memory: what loading and unloading leaves behind. 200 cycles with a prediction in each, small and large models in
// turns, may not make the server grow; unloading a model of 400 MB gives its memory back; a second runner of it costs little,
// because both map the same prepared weights.
//   --cycles N   (default 200)
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { table } from '../bench/figures.mjs';
import { densePackage } from '../bench/generated-models.mjs';
import { issueKey } from '../bench/stand.mjs';
import { memoryKib, processTree } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';

const GOALS = { slopeMib: 1, keptMib: 40, secondRunnerMib: 40, sharedRunnerMib: 64 };
const SETTLED = 0.2; // of the cycles: heaps reach their size in them
const HUGE = { name: 'huge', width: 5793, layers: 4 }; // 400 MB
const MIDDLE = { name: 'middle', width: 1776, layers: 4 }; // 38 MB
const SMALL = { name: 'small', width: 64, layers: 3 };
const VERSION = '1.0.0';
const SETTLE_MS = 1_500;
const BUSY_CALLERS = 8;
const LIMIT_MS = 60_000;

const at = process.argv.indexOf('--cycles');
const cycles = at > 0 ? Number(process.argv[at + 1]) : 200;
if (!Number.isInteger(cycles) || cycles < 20) throw new Error('--cycles needs a whole number of at least 20');

const mib = (kib) => kib / 1024;

async function must(promise, statuses) {
  const answer = await promise;
  if (!statuses.includes(answer.status)) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

class Stand {
  constructor(server, key) {
    this.server = server;
    this.key = key;
  }

  load({ name }) {
    const body = { model_id: name, version: VERSION };
    return must(this.server.call('POST', '/v1/models/load', { body, timeoutMs: LIMIT_MS }), [200]);
  }

  unload({ name }) {
    return must(this.server.call('DELETE', `/v1/models/${name}/${VERSION}`), [200]);
  }

  predict({ name }) {
    const inputs = { features: [Array.from({ length: 30 }, (_, i) => i / 30)] };
    const call = { body: { inputs }, key: this.key, timeoutMs: LIMIT_MS };
    return must(this.server.call('POST', `/models/${name}/predict`, call), [200]);
  }

  async register(description) {
    const uri = densePackage(path.join(this.server.dataDir, 'import'), description);
    const call = { body: { source_uri: uri }, timeoutMs: LIMIT_MS };
    await must(this.server.call('POST', `/v1/models/${description.name}/versions`, call), [200, 201]);
    await this.load(description); // prepares it
    await this.unload(description);
  }

  /** The runners that hold this model and nothing else, and with no model those that hold the others. */
  async runners(name) {
    const { runtime } = await must(this.server.call('GET', '/health/detailed'), [200]);
    return runtime.runners
      .filter(({ model, pid }) => pid !== undefined && model?.split('@')[0] === name)
      .map(({ pid }) => pid);
  }

  /** MiB of the server, of all runners, and of all together without the database. */
  memory(kind = 'rss') {
    const found = processTree(this.server.pid).filter((one) => one.kind !== 'postgres');
    const sum = (of) => mib(of.reduce((kib, { pid }) => kib + memoryKib(pid)[kind], 0));
    return {
      server: sum(found.filter((one) => one.kind === 'api')),
      runners: sum(found.filter((one) => one.kind === 'runner')),
      all: sum(found),
    };
  }
}

const pssOf = (pids) => mib(pids.reduce((kib, pid) => kib + memoryKib(pid).pss, 0));

/** MiB that a series grows by in each step, by least squares. */
function slope(values) {
  const n = values.length;
  const middle = (n - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  let above = 0;
  let below = 0;
  for (const [i, value] of values.entries()) {
    above += (i - middle) * (value - mean);
    below += (i - middle) ** 2;
  }
  return above / below;
}

/** Server and shared runners after each ten cycles. */
async function cycle(stand) {
  const seen = [];
  for (let i = 1; i <= cycles; i++) {
    const model = i % 2 === 0 ? MIDDLE : SMALL;
    await stand.load(model);
    await stand.predict(model);
    await stand.unload(model);
    if (i % 10 !== 0) continue;
    const { server } = stand.memory();
    seen.push({
      server,
      shared: mib((await stand.runners(undefined)).reduce((kib, pid) => kib + memoryKib(pid).rss, 0)),
    });
  }
  return seen;
}

/** What unloading the large model gives back, of all processes. */
async function unloadLarge(stand) {
  await sleep(SETTLE_MS);
  const before = stand.memory();
  await stand.load(HUGE);
  await stand.predict(HUGE);
  const loaded = stand.memory();
  await stand.unload(HUGE);
  await sleep(SETTLE_MS);
  return { before, loaded, after: stand.memory() };
}

/** What a second runner of the large model adds: callers make it busy until it has one, and both have answered. */
async function secondRunner(stand) {
  await stand.load(HUGE);
  for (let i = 0; i < 5; i++) await stand.predict(HUGE);
  const one = await stand.runners(HUGE.name);
  const first = pssOf(one);
  let busy = true;
  const callers = Array.from({ length: BUSY_CALLERS }, async () => {
    while (busy) await stand.predict(HUGE);
  });
  try {
    for (const until = performance.now() + LIMIT_MS; (await stand.runners(HUGE.name)).length < 2; await sleep(100)) {
      if (performance.now() > until) throw new Error('the large model got no second runner');
    }
    await sleep(SETTLE_MS * 2); // both answer
  } finally {
    busy = false;
    await Promise.allSettled(callers);
  }
  await Promise.all(callers);
  const two = await stand.runners(HUGE.name);
  const both = pssOf(two);
  await stand.unload(HUGE);
  return { runners: two.length, first, both };
}

async function drill(stand) {
  for (const model of [SMALL, MIDDLE, HUGE]) await stand.register(model);
  await sleep(SETTLE_MS);
  const before = stand.memory();
  const pss = stand.memory('pss');
  const seen = await cycle(stand);
  await sleep(SETTLE_MS);
  const settled = seen.slice(Math.ceil(seen.length * SETTLED));
  return {
    before: { rss: before, pss },
    after: { rss: stand.memory(), pss: stand.memory('pss') },
    slopeMib: slope(settled.map(({ server }) => server)),
    sharedMib: settled.at(-1).shared - settled[0].shared,
    large: await unloadLarge(stand),
    second: await secondRunner(stand),
  };
}

function print({ before, after, large, second }) {
  const row = (name, { server, runners, all }) => [name, server.toFixed(0), runners.toFixed(0), all.toFixed(0)];
  console.log(
    table([
      ['MiB', 'server', 'runners', 'both'],
      row(`RSS before ${cycles} cycles`, before.rss),
      row('RSS after', after.rss),
      row('PSS before', before.pss),
      row('PSS after', after.pss),
      row('RSS before the model of 400 MB', large.before),
      row('RSS with it', large.loaded),
      row('RSS after its unload', large.after),
      ['PSS of its first runner', '', second.first.toFixed(0), ''],
      [`PSS of its ${second.runners} runners`, '', second.both.toFixed(0), ''],
    ]),
  );
}

function missesOf({ slopeMib, sharedMib, large, second }) {
  const kept = large.after.all - large.before.all;
  const added = second.both - second.first;
  return [
    ...(slopeMib >= GOALS.slopeMib ? [`the server grows by ${slopeMib.toFixed(2)} MiB in ten cycles`] : []),
    ...(sharedMib >= GOALS.sharedRunnerMib ? [`the shared runners have grown by ${sharedMib.toFixed(0)} MiB`] : []),
    ...(kept >= GOALS.keptMib ? [`${kept.toFixed(0)} MiB of the large model are not given back`] : []),
    ...(added >= GOALS.secondRunnerMib ? [`its second runner costs ${added.toFixed(0)} MiB`] : []),
  ];
}

async function main() {
  const server = await startServer({ env: { SIBYL_RUNNERS: '2' } });
  try {
    const result = await drill(new Stand(server, await issueKey(server)));
    print(result);
    const misses = missesOf(result);
    for (const miss of misses) console.log(`missed: ${miss}`);
    const { slopeMib, sharedMib, large, second } = result;
    console.log(
      `server ${slopeMib.toFixed(2)} MiB in ten cycles (goal ${GOALS.slopeMib}), shared runners ${sharedMib.toFixed(0)} MiB in all; ` +
        `unload of 400 MB leaves ${(large.after.all - large.before.all).toFixed(0)} MiB; ` +
        `second runner ${(second.both - second.first).toFixed(0)} MiB (goal ${GOALS.secondRunnerMib})`,
    );
    return misses.length === 0;
  } finally {
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
