// node test/bench/features.mjs: what features cost: reads over HTTP, cold ones, caches, how soon a push is read, and Feast beside it.
//   --only NAME   one of http, engine, cold, feast, caches, training, fresh, ingest
//   --rows N      of the long training set (default 10000000), --whole: made to its end instead of cancelled
// Feast is measured where `sh test/conformance/feast/setup.sh` has been run, workers with Redis where there is a redis-server.
import { spawnSync } from 'node:child_process';
import { wholeArgument } from '../support/arguments.mjs';
import { freePort, REPOSITORY, startServer } from '../support/server.mjs';
import { startPeer, temporaryFolder } from '../conformance/peer.mjs';
import { ms, quantile, table } from './figures.mjs';
import { besideFeast } from './features-feast.mjs';
import { readOverHttp } from './features-http.mjs';
import { bar, Caller, fill, publish } from './features-stand.mjs';
import { training as trainingSets } from './features-training.mjs';
import { scrape } from './metrics.mjs';

const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined;
const BARS = 120;
const COLD = { warm: 50, reads: 300 };
const rows = [['', 'measured', 'goal', '']];
const symbols = Array.from({ length: 1000 }, (_, i) => `S${i}`);

function tell(what, measured, goal, reached) {
  rows.push([what, measured, goal, reached ? 'reached' : 'MISSED']);
  console.log(`${what}: ${measured} (${goal}${reached ? '' : ', MISSED'})`);
}

/** A client that only reads has a connection of its own. */
function readerOf(server) {
  return new Caller(server.url, { 'x-api-key': server.adminKey });
}

const http = ({ server, caller }) => readOverHttp({ server, caller, reader: readerOf(server), symbols }, tell);

function engine() {
  const script = ['-r', './test/support/load-typescript.cjs', 'libs/features/src/engine/engine.bench.ts'];
  const { stdout } = spawnSync(process.execPath, script, { cwd: REPOSITORY, encoding: 'utf8', timeout: 120_000 });
  const [, p99 = 'NaN'] = /all computed: p99 ([\d.]+) ms/.exec(stdout) ?? [];
  tell('engine alone, 20 features of 1: p99', `${p99} ms`, '< 0.2 ms', Number(p99) < 0.2);
}

async function cold({ caller }) {
  const entities = Array.from({ length: COLD.warm + COLD.reads }, (_, i) => `C${i}`);
  // A log of four weeks, as it is after four weeks: it is cut by days, and none of them is known to be of no use before it was asked.
  const days = Array.from({ length: 28 }, (_, day) => bar('OLDER', Date.now() - (28 - day) * 86_400_000, 100));
  await caller.post('/v1/features/push', JSON.stringify({ stream: 'bench_bars', events: days }));
  await fill(caller, entities, 512);
  const times = [];
  for (const symbol of entities) {
    const begun = performance.now();
    const answer = await caller.post(
      '/v1/features/online',
      JSON.stringify({ set: 'bench_set', entities: [{ symbol }] }),
    );
    times.push(performance.now() - begun);
    if (JSON.parse(answer).timing.storage_ms === 0) throw new Error('it was not cold');
  }
  // Until code is compiled and connections are planned on, as in the other scenes: each of these was cold too.
  const p95 = quantile(times.slice(COLD.warm), 0.95);
  tell('cold entity, 512 events from PostgreSQL: p95', ms(p95), '< 10 ms', p95 < 10);
}

/** Also a server that does not wait for the disk, as Feast does not. */
async function feast({ server }) {
  const relaxed = await startServer({ env: { SIBYL_MODELS: '', SIBYL_AUDIT_DURABILITY: 'relaxed' } });
  const caller = readerOf(relaxed);
  const known = symbols.slice(0, 200);
  try {
    await publish(relaxed);
    await fill(caller, known, BARS);
    await besideFeast({ server, relaxed, symbols: known }, tell);
  } finally {
    caller.close();
    await relaxed.stop();
  }
}

/** Ranks by Zipf's law with s = 1.1, from a seeded sequence. */
function zipf(count) {
  const sums = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sums.push((sum += rank ** -1.1));
  let seed = 1;
  return () => {
    seed = (seed * 48_271) % 2_147_483_647;
    const at = (seed / 2_147_483_647) * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

async function stateCounts(server) {
  const metrics = await scrape(server);
  const of = (result) => metrics(`sibyl_feature_cache_requests_total{tier="state",result="${result}"}`) || 0;
  return { hits: of('hit'), misses: of('miss') };
}

/**
 * By Zipf's law (s = 1.1) among 5,000 entities that nobody has read yet: a minute of 20 reads a second of 100 of them and 500 pushes
 * a second, as fast as it goes; then another one. What is asked for the first time has to be read; nothing else should be.
 */
async function caches({ server, caller }) {
  const names = Array.from({ length: 5000 }, (_, i) => `Z${i}`);
  await fill(caller, names, 4);
  const next = zipf(names.length);
  const begun = Date.now() - 30_000;
  const known = new Set();
  let before = await stateCounts(server);
  for (const { what, goal } of [
    { what: 'cold start included', goal: 0.9 },
    { what: 'warm', goal: 0.99 },
  ]) {
    const unknown = known.size;
    for (let second = 0; second < 60; second++) {
      const events = Array.from({ length: 500 }, (_, i) =>
        bar(names[next()], begun + second * 60 + Math.round(i / 10), 100 + i / 100),
      );
      await caller.post('/v1/features/push', JSON.stringify({ stream: 'bench_bars', events }));
      for (let i = 0; i < 20; i++) {
        const ranks = new Set(Array.from({ length: 100 }, next));
        for (const rank of ranks) known.add(rank);
        const entities = [...ranks].map((rank) => ({ symbol: names[rank] }));
        await caller.post('/v1/features/online', JSON.stringify({ features: ['bench:price', 'bench:z20'], entities }));
      }
    }
    const after = await stateCounts(server);
    const hits = after.hits - before.hits;
    const misses = after.misses - before.misses;
    const share = hits / (hits + misses);
    before = after;
    const first = `${misses} misses, ${known.size - unknown} asked for the first time`;
    tell(`cache hits, ${what}`, `${(share * 100).toFixed(2)} % (${first})`, `> ${goal * 100} %`, share > goal);
  }
}

/** From before a push until each of these connections has read it. */
async function delaysOf(pusher, readers, entity, pushes) {
  const times = [];
  for (let i = 0; i < pushes; i++) {
    const price = 1000 + i;
    const begun = performance.now();
    const body = { stream: 'bench_bars', events: [bar(entity, Date.now(), price)] };
    await pusher.post('/v1/features/push', JSON.stringify(body));
    const seen = async (reader) => {
      while (performance.now() - begun < 10_000) {
        const asked = { features: ['bench:price'], entities: [{ symbol: entity }] };
        const { results } = JSON.parse(await reader.post('/v1/features/online', JSON.stringify(asked)));
        if (results[0].values[0] === price) return;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      throw new Error('a push was never read');
    };
    await Promise.all(readers.map(seen));
    times.push(performance.now() - begun);
  }
  return times;
}

/** One connection that pushes, and all that read from another worker than that. */
async function apart(callers) {
  const workers = await Promise.all(callers.map((one) => one.worker()));
  const readers = callers.filter((_, i) => workers[i] !== workers[0]);
  if (readers.length === 0) throw new Error(`all connections are of worker ${workers[0]}`);
  console.log(
    `pushed to worker ${workers[0]}, read from ${[...new Set(workers.slice(1))].filter((one) => one !== workers[0])}`,
  );
  return readers;
}

async function fresh({ server, caller }) {
  // The first hundred are until its code is compiled.
  const own = (await delaysOf(caller, [caller], 'F0', 400)).slice(100);
  const p99 = quantile(own, 0.99);
  tell('push until read, same process: p99', ms(p99), '< 20 ms', p99 < 20);
  const folder = temporaryFolder('bench-redis');
  const port = await freePort();
  const redis = await startPeer('redis-server', ['--port', `${port}`, '--save', '', '--bind', '127.0.0.1'], {
    port,
    cwd: folder,
  });
  await server.stop();
  for (const { what, env, pushes, goal } of [
    { what: 'with Redis', env: { REDIS_URL: `redis://127.0.0.1:${port}` }, pushes: 100, goal: 100 },
    { what: 'without', env: {}, pushes: 10, goal: 2000 },
  ]) {
    const workers = await startServer({ env: { SIBYL_MODELS: '', SIBYL_WORKERS: '2', ...env } });
    const callers = Array.from({ length: 6 }, () => new Caller(workers.url, { 'x-api-key': workers.adminKey }));
    try {
      await publish(workers);
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      const times = await delaysOf(callers[0], await apart(callers), 'F1', pushes);
      const worst = quantile(times, 0.99);
      tell(`push until read, other worker ${what}: p99`, ms(worst), `< ${goal} ms`, worst < goal);
    } finally {
      for (const one of callers) one.close();
      await workers.stop();
    }
  }
  await redis.stop();
}

const training = ({ server }) =>
  trainingSets(
    { server, symbols, bars: BARS, rows: wholeArgument('--rows', 10_000_000), whole: process.argv.includes('--whole') },
    tell,
  );

function ingest() {
  const script = ['test/bench/features-ingest.mjs', '--seconds', '5'];
  const { stdout } = spawnSync(process.execPath, script, { cwd: REPOSITORY, encoding: 'utf8', timeout: 180_000 });
  const [, rate = 'NaN'] = /^batches: (\d+) events\/s/m.exec(stdout) ?? [];
  tell('events taken in, durable', `${rate}/s`, '>= 20000/s', Number(rate) >= 20_000);
}

/** `fresh` ends the server: it comes last of those that need it. */
const SCENES = { http, feast, cold, caches, training, fresh };

/** Scenes that ask for what has a history. */
const FILLED = new Set(['http', 'feast', 'training']);

async function main() {
  const known = [...Object.keys(SCENES), 'engine', 'ingest'];
  if (only !== undefined && !known.includes(only)) throw new Error(`no scene ${only}: ${known.join(', ')}`);
  const scenes = Object.entries(SCENES).filter(([name]) => only === undefined || only === name);
  if (scenes.length > 0) {
    const server = await startServer({ env: { SIBYL_MODELS: '' } });
    const caller = new Caller(server.url, { 'x-api-key': server.adminKey });
    try {
      await publish(server);
      if (scenes.some(([name]) => FILLED.has(name))) await fill(caller, symbols, BARS);
      for (const [, scene] of scenes) await scene({ server, caller });
    } finally {
      caller.close();
      await server.stop();
    }
  }
  if (only === undefined || only === 'engine') engine();
  if (only === undefined || only === 'ingest') ingest();
  console.log(`\n${table(rows)}`);
  return rows.slice(1).every(([, , , verdict]) => verdict === 'reached');
}

process.exitCode = (await main()) ? 0 : 1;
