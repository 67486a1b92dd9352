// Training sets: how many rows a second, and what those who read features meanwhile notice of one that takes long.
import { memoryKib, processTree } from '../support/processes.mjs';
import { cpuOf, spent } from './cell.mjs';
import { quantile } from './figures.mjs';
import { Caller } from './features-stand.mjs';

const HISTORICAL = '/v1/features/historical';
const MINUTE = 60_000;
const POLL_MS = 25;
const READS_MS = 10_000;
const PAUSE_MS = 5;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function begin(server, body, type = 'application/json', query = '') {
  const headers = { 'content-type': type, 'x-api-key': server.adminKey };
  const answer = await fetch(`${server.url}${HISTORICAL}${query}`, { method: 'POST', headers, body });
  const operation = await answer.json();
  if (answer.status !== 202) throw new Error(`no training set: ${answer.status} ${JSON.stringify(operation)}`);
  return operation.id;
}

async function stateOf(server, id) {
  const { body } = await server.call('GET', `/v1/operations/${id}`);
  return body;
}

async function ended(server, id) {
  for (;;) {
    const operation = await stateOf(server, id);
    if (operation.status !== 'running') return operation;
    await pause(POLL_MS);
  }
}

/** Rows a second of one training set that has the machine to itself, and its CPU a thousand rows. */
async function speedOf(server, start) {
  const before = cpuOf(server.pid);
  const begun = performance.now();
  const operation = await ended(server, await start());
  const seconds = (performance.now() - begun) / 1000;
  if (operation.status !== 'succeeded') throw new Error(`it ended as ${JSON.stringify(operation)}`);
  const { rows, statuses } = operation.result;
  const cpu = spent(before, cpuOf(server.pid), () => true) / 1e6;
  return { rows, perSecond: rows / seconds, cpu: (cpu * 1000) / (rows / 1000), statuses };
}

/** Milliseconds of reads of one entity, one after the other with a pause, for so long. */
async function readsFor(server, symbols, durationMs) {
  const caller = new Caller(server.url, { 'x-api-key': server.adminKey });
  const times = [];
  const until = performance.now() + durationMs;
  for (let i = 0; performance.now() < until; i++) {
    const body = JSON.stringify({ set: 'bench_set', entities: [{ symbol: symbols[i % symbols.length] }] });
    const begun = performance.now();
    await caller.post('/v1/features/online', body);
    times.push(performance.now() - begun);
    await pause(PAUSE_MS);
  }
  caller.close();
  return times;
}

const rssMib = (server) =>
  processTree(server.pid)
    .filter(({ kind }) => kind === 'api')
    .reduce((kib, { pid }) => kib + memoryKib(pid).pss, 0) / 1024;

/** A sequence that is the same in each run. */
function seeded() {
  let seed = 1;
  return (below) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
}

/** `bars`: how many minutes of history each symbol has. */
export async function training({ server, symbols, bars, rows: longRows, whole }, tell) {
  const end = Math.floor(Date.now() / MINUTE) * MINUTE;
  const from = end - bars * MINUTE;
  const generate = (step, begun = from) => ({
    set: 'bench_set',
    known_at: 'now',
    generate: { stream: 'bench_bars', from: begun, to: end - 1, step },
  });
  const rate = ({ rows, perSecond, cpu }) =>
    `${Math.round(perSecond)} rows/s (${rows} rows, ${cpu.toFixed(0)} ms of CPU a thousand)`;
  const grid = await speedOf(server, () => begin(server, JSON.stringify(generate('1m'))));
  tell('training set, every symbol each minute', rate(grid), '>= 10000 rows/s', grid.perSecond >= 10_000);
  const random = seeded();
  const lines = Array.from({ length: 20_000 }, () =>
    JSON.stringify({ symbol: symbols[random(symbols.length)], timestamp: from + random(bars * MINUTE), label: 1 }),
  );
  const given = await speedOf(server, () =>
    begin(server, lines.join('\n'), 'application/x-ndjson', '?set=bench_set&known_at=now'),
  );
  tell('training set, rows of symbols and moments at random', rate(given), '>= 2000 rows/s', given.perSecond >= 2000);

  await readsFor(server, symbols, READS_MS / 2);
  const alone = quantile(await readsFor(server, symbols, READS_MS), 0.99);
  const stepMs = Math.max(1, Math.floor((bars * MINUTE * symbols.length) / longRows));
  const before = rssMib(server);
  const begun = performance.now();
  const id = await begin(server, JSON.stringify(generate(`${stepMs}ms`)));
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, rssMib(server))), 250);
  const times = await readsFor(server, symbols, READS_MS);
  const p99 = quantile(times, 0.99);
  const seen = await stateOf(server, id);
  if (seen.status !== 'running') throw new Error(`the long set ended as ${JSON.stringify(seen)}`);
  const perSecond = seen.progress.done / ((performance.now() - begun) / 1000);
  tell(
    `online read beside ${(seen.progress.total / 1e6).toFixed(1)} million rows: p99 (alone)`,
    `${p99.toFixed(1)} ms (${alone.toFixed(1)} ms), ${Math.round(perSecond)} rows/s meanwhile`,
    '< 20 ms',
    p99 < 20,
  );
  if (whole) {
    const { status, result } = await ended(server, id);
    const seconds = (performance.now() - begun) / 1000;
    tell(
      'the whole of it',
      `${status}, ${result?.rows} rows in ${seconds.toFixed(0)} s`,
      'succeeded',
      status === 'succeeded',
    );
  } else {
    const asked = performance.now();
    await server.call('DELETE', `/v1/operations/${id}`);
    const { status } = await ended(server, id);
    const took = performance.now() - asked;
    tell('cancelled', `${status} after ${took.toFixed(0)} ms`, '< 1000 ms', status === 'cancelled' && took < 1000);
  }
  clearInterval(watch);
  tell('memory that it took', `${(most - before).toFixed(0)} MiB`, '< 256 MiB', most - before < 256);
}
