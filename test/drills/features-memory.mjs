// npm run drill:features-memory: a million entities are pushed and asked for, far more than fit in what the server may keep of them.
// Its memory stays where it is once that is full, and who was let go comes back the same; then one entity gets 5,000 events a
// second while others read it.
//   --entities N   (default 1000000)
//   --hot N        seconds of the hot entity (default 10)
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, table } from '../bench/figures.mjs';
import { wholeArgument } from '../support/arguments.mjs';
import { memoryKib, processTree } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';

const LIMIT_MIB = 64;
/** `takenMib`: the states, and as much garbage of a thousand rows a read as V8 lets lie about before it looks. */
const GOALS = { grownMib: 32, takenMib: 256, hotGrownMib: 64, hotEvents: 5_000 };
const PUSHED_AT_ONCE = 10_000;
const READ_AT_ONCE = 1_000;
const CALLERS = 2;
const SAMPLES = 200;
const HOT_PUSH = 250;
const SETTLE_MS = 2_000;
const CALL_MS = 60_000;
const DAY_MS = 86_400_000;
const START = Date.now() - DAY_MS;

const entities = wholeArgument('--entities', 1_000_000);
const hotSeconds = wholeArgument('--hot', 10);

const VIEW = {
  kind: 'FeatureView',
  name: 'crowd',
  entity: { name: 'id', type: 'string' },
  streams: [{ name: 'crowd_ticks', fields: { price: 'double' }, allowed_lateness: '10m', retention: '30d' }],
  features: [
    { name: 'price', op: 'last', input: 'price' },
    { name: 'mean', op: 'mean', input: 'price', window: '2d' },
    { name: 'n_1h', op: 'count', input: 'crowd_ticks', window: '1h' },
  ],
};
const FEATURES = VIEW.features.map(({ name }) => `crowd:${name}`);

class Stand {
  constructor(server) {
    this.server = server;
  }

  async must(method, path, body) {
    const answer = await this.server.call(method, path, { body, timeoutMs: CALL_MS });
    if (answer.status !== 200)
      throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`);
    return answer.body;
  }

  push(events) {
    return this.must('POST', '/v1/features/push', { stream: 'crowd_ticks', events });
  }

  async read(ids) {
    const body = { features: FEATURES, entities: ids.map((id) => ({ id })), timeout_ms: 10_000 };
    return (await this.must('POST', '/v1/features/online', body)).results;
  }

  /** MiB that the server itself holds. */
  memory() {
    const own = processTree(this.server.pid).filter(({ kind }) => kind === 'api');
    return own.reduce((kib, { pid }) => kib + memoryKib(pid).pss, 0) / 1024;
  }
}

/** Calls `work` with 0, 1, … up to `n`, a few at once. */
async function each(n, work) {
  let next = 0;
  await Promise.all(
    Array.from({ length: CALLERS }, async () => {
      while (next < n) await work(next++);
    }),
  );
}

const idOf = (i) => `entity-${i}`;
const range = (from, to) => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

const since = (begun) => `${((performance.now() - begun) / 1000).toFixed(0)} s`;

async function crowd(stand) {
  let begun = performance.now();
  await each(Math.ceil(entities / PUSHED_AT_ONCE), async (n) => {
    const ids = range(n * PUSHED_AT_ONCE, Math.min(entities, (n + 1) * PUSHED_AT_ONCE));
    await stand.push(ids.map((i) => ({ entity: idOf(i), event_time: START, values: { price: i } })));
  });
  const pushed = stand.memory();
  console.log(`${entities} entities pushed in ${since(begun)}`);
  begun = performance.now();
  const seen = [];
  let wrong = 0;
  const reads = Math.ceil(entities / READ_AT_ONCE);
  await each(reads, async (n) => {
    const ids = range(n * READ_AT_ONCE, Math.min(entities, (n + 1) * READ_AT_ONCE));
    const rows = await stand.read(ids.map(idOf));
    for (const [k, { values }] of rows.entries()) if (values[0] !== ids[k]) wrong++;
    if (n % Math.ceil(reads / 20) === 0) seen.push(stand.memory());
  });
  console.log(`${entities} entities read in ${since(begun)}`);
  // Those of the beginning were let go for others long ago.
  const sample = range(0, Math.min(SAMPLES, entities));
  const again = await stand.read(sample.map(idOf));
  for (const [i, { values }] of again.entries()) if (values[0] !== i || values[1] !== i) wrong++;
  await sleep(SETTLE_MS);
  return { pushed, seen, after: stand.memory(), wrong };
}

/** One entity that many push to and read at once. */
async function hot(stand) {
  const before = stand.memory();
  await stand.read(['hot']);
  const until = performance.now() + hotSeconds * 1000;
  const begin = performance.now();
  let events = 0;
  const times = [];
  const pushers = Array.from({ length: CALLERS }, async (_, lane) => {
    for (let n = 0; performance.now() < until; n++) {
      const from = Date.now() - 1_000;
      const batch = range(0, HOT_PUSH).map((i) => ({
        entity: 'hot',
        event_time: from,
        event_id: `hot-${lane}-${n}-${i}`,
        values: { price: i },
      }));
      const { counts } = await stand.push(batch);
      events += (counts.ACCEPTED ?? 0) + (counts.LATE_APPLIED ?? 0);
    }
  });
  const reader = (async () => {
    while (performance.now() < until) {
      const started = performance.now();
      await stand.read(['hot']);
      times.push(performance.now() - started);
      await sleep(20);
    }
  })();
  await Promise.all([...pushers, reader]);
  const seconds = (performance.now() - begin) / 1000;
  const [{ values, statuses }] = await stand.read(['hot']);
  await sleep(SETTLE_MS);
  return {
    before,
    after: stand.memory(),
    events,
    perSecond: events / seconds,
    readP99: quantile(times, 0.99),
    values,
    statuses,
  };
}

function missesOf(one, other) {
  // The lowest of each part: what garbage has come to at a moment says nothing.
  const lowest = (from, to) => Math.min(...one.seen.slice(from * one.seen.length, to * one.seen.length));
  const grown = lowest(0.75, 1) - lowest(0.5, 0.75);
  // A window of an hour that holds more than an engine keeps says so, as it does without a load.
  const counted = other.statuses[2] === 'INVALID' || other.values[2] === other.events;
  return [
    ...(one.wrong > 0 ? [`${one.wrong} values are wrong`] : []),
    ...(grown > GOALS.grownMib ? [`the server grows by ${grown.toFixed(0)} MiB in the last quarter of the reads`] : []),
    ...(one.after - one.pushed > GOALS.takenMib ? [`reading took ${(one.after - one.pushed).toFixed(0)} MiB`] : []),
    ...(other.after - other.before > GOALS.hotGrownMib
      ? [`the hot entity took ${(other.after - other.before).toFixed(0)} MiB`]
      : []),
    ...(other.perSecond < GOALS.hotEvents ? [`the hot entity had ${other.perSecond.toFixed(0)} events a second`] : []),
    ...(counted ? [] : [`the hot entity counts ${other.values[2]} (${other.statuses[2]}) of ${other.events} events`]),
  ];
}

async function main() {
  const env = { SIBYL_MODELS: '', SIBYL_FEATURE_MEMORY_BYTES: String(LIMIT_MIB * 1024 * 1024) };
  const server = await startServer({ env });
  try {
    const stand = new Stand(server);
    await stand.must('PUT', '/v1/features/views/crowd', VIEW);
    const idle = stand.memory();
    const one = await crowd(stand);
    const other = await hot(stand);
    const mib = (value) => value.toFixed(0);
    console.log(`while reading: ${one.seen.map(mib).join(' ')} MiB`);
    console.log(
      table([
        ['PSS of the server', 'MiB'],
        ['idle', mib(idle)],
        [`${entities} entities pushed`, mib(one.pushed)],
        ['all read once, half of it done', mib(one.seen[Math.floor(one.seen.length / 2)])],
        ['highest while reading', mib(Math.max(...one.seen))],
        ['afterwards', mib(one.after)],
        ['after the hot entity', mib(other.after)],
      ]),
    );
    console.log(
      `limit of states ${LIMIT_MIB} MiB, ${one.wrong} wrong values; hot entity ${other.perSecond.toFixed(0)} events/s ` +
        `(goal ${GOALS.hotEvents}), read meanwhile p99 ${other.readP99.toFixed(1)} ms, its window of an hour ` +
        `${other.statuses[2]} ${other.values[2] ?? ''} of ${other.events} events`,
    );
    const misses = missesOf(one, other);
    for (const miss of misses) console.log(`missed: ${miss}`);
    return misses.length === 0;
  } finally {
    await server.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
