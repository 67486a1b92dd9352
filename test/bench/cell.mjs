// One cell of the bench: a model, a body and a number of connections, on Sibyl and on the limit server in turns.
import { cpuMicros, processTree } from '../support/processes.mjs';
import { median, quantile, table } from './figures.mjs';
import { meanBatch, scrape } from './metrics.mjs';

const SLICE_MS = 1_000;
const WARM_CONNECTIONS = 64;
const WARM_MS = 4_000;
const FSYNCS_PER_ROUND = 40;

/** CPU of the server and its runners, and of PostgreSQL, by process, so that one that ends in between is no credit. */
export function cpuOf(pid) {
  return new Map(processTree(pid).map((one) => [one.pid, { kind: one.kind, micros: cpuMicros(one.pid) }]));
}

export function spent(before, after, isCounted) {
  let sum = 0;
  for (const [pid, { kind, micros }] of after) if (isCounted(kind)) sum += micros - (before.get(pid)?.micros ?? 0);
  return sum;
}

/**
 * Gives the load generator the requests of a subject, for both servers, and has them compile their code: the first cell has one
 * caller, who would take minutes to have them do that, and would be charged with it.
 */
export async function prepareRequests(subject, body, key, { server, limit, load }) {
  const name = `${subject.label} ${body}`;
  load.prepare(`sibyl ${name}`, subject.requests(body, { 'x-api-key': key }));
  load.prepare(`limit ${name}`, subject.requests(body, {}));
  await load.run(`sibyl ${name}`, server.port, WARM_CONNECTIONS, WARM_MS);
  await load.run(`limit ${name}`, limit.port, WARM_CONNECTIONS, WARM_MS);
}

async function measureRound({ subject, body, connections }, { server, limit, load }) {
  const name = `${subject.label} ${body}`;
  const before = cpuOf(server.pid);
  const ours = await load.run(`sibyl ${name}`, server.port, connections, SLICE_MS);
  const limitBefore = cpuMicros(limit.pid);
  const theirs = await load.run(`limit ${name}`, limit.port, connections, SLICE_MS);
  const limitMicros = (cpuMicros(limit.pid) - limitBefore) / theirs.requests;
  // Read after the limit server's turn: what Sibyl puts off (shipping events to PostgreSQL) is its cost as well.
  const after = cpuOf(server.pid);
  const micros = spent(before, after, (kind) => kind !== 'postgres') / ours.requests;
  const postgres = spent(before, after, (kind) => kind === 'postgres') / ours.requests;
  return { ours, theirs, micros, postgres, limitMicros, f: limitMicros / micros };
}

/** Rounds of a slice each, the first of which only warms up. */
export async function measureCell(cell, stand) {
  const { server, writes } = stand;
  const rounds = [];
  let scrapedBefore;
  for (let round = 0; round <= cell.rounds; round++) {
    if (cell.connections === 1) await writes.measure(FSYNCS_PER_ROUND);
    if (round === 1) scrapedBefore = await scrape(server);
    const measured = await measureRound(cell, stand);
    if (round > 0) rounds.push(measured);
  }
  const of = (pick) => median(rounds.map(pick));
  const latencies = (side) => rounds.flatMap((round) => Array.from(round[side].latencies));
  const [ours, theirs] = [latencies('ours'), latencies('theirs')];
  return {
    ...cell,
    f: of((r) => r.f),
    micros: of((r) => r.micros),
    postgres: of((r) => r.postgres),
    limitMicros: of((r) => r.limitMicros),
    rate: of((r) => r.ours.requests / r.ours.seconds),
    limitRate: of((r) => r.theirs.requests / r.theirs.seconds),
    p50: quantile(ours, 0.5),
    p99: quantile(ours, 0.99),
    p999: quantile(ours, 0.999),
    limitP50: quantile(theirs, 0.5),
    limitP99: quantile(theirs, 0.99),
    batch: meanBatch(scrapedBefore, await scrape(server)),
  };
}

// [head, cell]: what the short table shows, and what only the whole one has besides.
const SHORT = [
  ['body', (c) => c.body],
  ['connections', (c) => c.connections],
  ['audit', (c) => c.audit],
  ['F', (c) => c.f.toFixed(2)],
  ['CPU µs', (c) => c.micros.toFixed(0)],
  ['limit µs', (c) => c.limitMicros.toFixed(0)],
  ['PostgreSQL µs', (c) => c.postgres.toFixed(0)],
  ['p50 ms', (c) => c.p50.toFixed(2)],
  ['p99 ms', (c) => c.p99.toFixed(2)],
  ['limit p50/p99', (c) => `${c.limitP50.toFixed(2)}/${c.limitP99.toFixed(2)}`],
  ['req/s', (c) => c.rate.toFixed(0)],
  ['limit req/s', (c) => c.limitRate.toFixed(0)],
];
const P99 = SHORT.findIndex(([head]) => head === 'p99 ms');
const WHOLE = [
  ['model', (c) => c.subject.label],
  ...SHORT.slice(0, P99 + 1),
  ['p99.9 ms', (c) => c.p999.toFixed(2)],
  ['rows/batch', (c) => c.batch.toFixed(1)],
  ...SHORT.slice(P99 + 1),
];

function rowsOf(columns, cells) {
  return [columns.map(([head]) => head), ...cells.map((cell) => columns.map(([, show]) => show(cell)))];
}

export function printCells(cells, whole) {
  console.log(table(rowsOf(whole ? WHOLE : SHORT, cells)));
}

/** All columns, the head first, as texts. */
export function wholeRows(cells) {
  return rowsOf(WHOLE, cells);
}
