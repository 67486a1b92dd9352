// npm run bench:workers: what a second worker costs and brings. A server of one worker and one of two take turns, in one
// build. CPU per request, runners and primary included and PostgreSQL left out, with as many connections for
// each worker must stay within 10 %: then two workers do twice as much where there are cores for both. Where there are, the
// throughput is held to that too.
//   --rounds N   slices of each cell (default 5)
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeArgument } from '../support/arguments.mjs';
import { processTree } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { cpuOf, spent } from './cell.mjs';
import { median, quantile, table } from './figures.mjs';
import { LoadProcess } from './load-process.mjs';
import { chooseCores, describeMachine, pin } from './machine.mjs';
import { meanBatch, scrape } from './metrics.mjs';
import { issueKey, upload } from './stand.mjs';
import { treeSubject } from './subjects.mjs';

const GOALS = { cpu: 1.1, throughput: 1.8 };
const SLICE_MS = 4_000; // so long that opening the connections is a small part of it
const SETTLE_MS = 400; // what a server puts off, shipping events, is its cost as well
const IDLE_MS = 3_000;
const CONNECTIONS = 64; // of each worker
// A worker and its runner, twice; the load generator, PostgreSQL and what else there is.
const CORES_FOR_TWO = 8;

/** A server with so many workers of one runner each, all of it but PostgreSQL on the cores that are given. */
async function startStand(workers, load, cores) {
  const server = await startServer({ env: { SIBYL_WORKERS: String(workers), SIBYL_RUNNERS: '1', SIBYL_MODELS: '' } });
  const subject = treeSubject();
  await upload(server, subject);
  const key = await issueKey(server);
  const name = workers === 1 ? 'one worker' : `${workers} workers`;
  load.prepare(name, subject.requests('tensors', { 'x-api-key': key }));
  if (cores)
    for (const one of processTree(server.pid)) pin(one.pid, one.kind === 'postgres' ? cores.load : cores.server);
  return { server, name };
}

const ours = (kind) => kind !== 'postgres';

/**
 * CPU that the server takes while nobody asks it anything, in microseconds a millisecond. It is no part of a request: timers of
 * each worker run as often however many requests come, and here two workers share the time of one core.
 */
async function idleCpu({ server }) {
  const before = cpuOf(server.pid);
  await sleep(IDLE_MS);
  return spent(before, cpuOf(server.pid), ours) / IDLE_MS;
}

async function slice({ stand, connections }, load) {
  const before = cpuOf(stand.server.pid);
  const result = await load.run(stand.name, stand.server.port, connections, SLICE_MS);
  await sleep(SETTLE_MS);
  const micros = spent(before, cpuOf(stand.server.pid), ours) / result.requests;
  const idleMs = (result.seconds * 1e3 + SETTLE_MS) / result.requests;
  return { micros, idleMs, rate: result.requests / result.seconds, latencies: result.latencies };
}

/** All cells in turns, the first times only to warm up: two workers have twice as much code to compile. */
async function measure(cells, load, rounds) {
  for (let round = -1; round <= rounds; round++) {
    for (const cell of cells) {
      if (round === 1) cell.before = await scrape(cell.stand.server);
      const measured = await slice(cell, load);
      if (round > 0) cell.slices.push(measured);
    }
  }
  for (const cell of cells) cell.batch = meanBatch(cell.before, await scrape(cell.stand.server));
}

const of = (cell, pick) => median(cell.slices.map(pick));

/** Of each round: neighbours on the machine take from both alike. */
const ratio = (cell, base, pick) => median(cell.slices.map((one, i) => pick(one) / pick(base.slices[i])));

function print(cells) {
  const [base] = cells;
  const head = ['workers', 'connections', 'CPU µs', 'of one worker', 'req/s', 'of one worker', 'p50 ms', 'p99 ms'];
  const rows = cells.map((cell) => {
    const latencies = cell.slices.flatMap((one) => Array.from(one.latencies));
    return [
      cell.workers,
      cell.connections,
      of(cell, (one) => one.micros).toFixed(1),
      ratio(cell, base, (one) => one.micros).toFixed(2),
      of(cell, (one) => one.rate).toFixed(0),
      ratio(cell, base, (one) => one.rate).toFixed(2),
      quantile(latencies, 0.5).toFixed(2),
      quantile(latencies, 0.99).toFixed(2),
    ];
  });
  console.log(table([head, ...rows]));
  console.log(`rows in a batch: ${base.batch.toFixed(1)} with one worker, ${cells.at(-1).batch.toFixed(1)} with two`);
}

function verdict([one, two], pinned) {
  const cpu = ratio(two, one, (slice_) => slice_.micros);
  const rate = ratio(two, one, (slice_) => slice_.rate);
  if (pinned) {
    const where = `all workers share one core of ${describeMachine().cores}`;
    console.log(
      `throughput ${rate.toFixed(2)} times that of one worker: ${where}, so that it is not held to ${GOALS.throughput}`,
    );
  } else console.log(`throughput ${rate.toFixed(2)} times that of one worker (goal ${GOALS.throughput})`);
  console.log(`CPU per request ${cpu.toFixed(2)} times that of one worker (goal at most ${GOALS.cpu})`);
  return cpu <= GOALS.cpu && (pinned || rate >= GOALS.throughput);
}

async function main() {
  const rounds = wholeArgument('--rounds', 5);
  const load = new LoadProcess();
  const stop = [async () => load.stop()];
  try {
    const cores = describeMachine().cores < CORES_FOR_TWO ? chooseCores() : undefined;
    if (cores) pin(load.pid, cores.load);
    const stands = [];
    for (const workers of [1, 2]) {
      const stand = await startStand(workers, load, cores);
      stop.push(() => stand.server.stop());
      stands.push(stand);
    }
    const cell = (workers, connections) => ({ stand: stands[workers - 1], workers, connections, slices: [] });
    const cells = [cell(1, CONNECTIONS), cell(2, 2 * CONNECTIONS), cell(2, CONNECTIONS)];
    await measure(cells, load, rounds);
    await sleep(IDLE_MS); // what the last slice has left is cleared away
    for (const stand of stands) stand.idle = await idleCpu(stand);
    console.log(`idle: ${stands.map(({ name, idle }) => `${name} ${(idle / 10).toFixed(1)} % of a core`).join(', ')}`);
    for (const { stand, slices } of cells) for (const one of slices) one.micros -= stand.idle * one.idleMs;
    print(cells);
    return verdict(cells, cores !== undefined);
  } finally {
    for (const end of stop.reverse()) await end();
  }
}

process.exitCode = (await main()) ? 0 : 1;
