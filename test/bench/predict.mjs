// npm run bench: what a recorded prediction costs, as a fraction of the machine's own limit (F), with key, rate limit,
// validation, metrics and durable audit on. Both servers share one core and take turns in slices of a second.
//   --start   only start times and idle memory
//   --full    every model, body and number of connections (matrix.mjs); writes docs/benchmarks.md
//   --rounds N   with --full: slices of each server in a cell (default 3)
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeArgument } from '../support/arguments.mjs';
import { memoryKib, processTree } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { measureCell, prepareRequests, printCells } from './cell.mjs';
import { quantile } from './figures.mjs';
import { LoadProcess } from './load-process.mjs';
import { chooseCores, DurableWrites, pin } from './machine.mjs';
import { measureMatrix } from './matrix.mjs';
import { writeReport } from './report.mjs';
import { compareAnswers, issueKey, startLimitServer, upload } from './stand.mjs';
import { treeSubject } from './subjects.mjs';

const GOALS = { f: 0.45, connections: 64, overFsyncMs: 1, idleMib: 450, coldMs: 5_000, warmMs: 3_000 };
const IDLE_SETTLE_MS = 4_000; // long enough for start-up garbage to be collected and the first shipping to end
const CELLS = [
  { body: 'tensors', connections: 1, rounds: 6 },
  { body: 'tensors', connections: 16, rounds: 6 },
  { body: 'tensors', connections: 64, rounds: 12 },
  { body: 'features', connections: 64, rounds: 6 },
];

function idleMemory(pid) {
  const sum = { pss: 0, rss: 0, processes: 0, byKind: {} };
  for (const one of processTree(pid)) {
    const { pss, rss } = memoryKib(one.pid);
    sum.pss += pss / 1024;
    sum.rss += rss / 1024;
    sum.processes += 1;
    sum.byKind[one.kind] = (sum.byKind[one.kind] ?? 0) + pss / 1024;
  }
  return sum;
}

async function measureStart() {
  const server = await startServer();
  const coldMs = server.readyMs;
  await sleep(IDLE_SETTLE_MS);
  const idle = idleMemory(server.pid);
  const { ms: stopMs, code } = await server.terminate();
  if (code !== 0) throw new Error(`the server stopped with exit code ${code}`);
  await server.start();
  return { server, coldMs, warmMs: server.readyMs, stopMs, idle };
}

function printStart({ coldMs, warmMs, stopMs, idle }) {
  const kinds = Object.entries(idle.byKind).map(([kind, mib]) => `${kind} ${mib.toFixed(0)}`);
  console.log(
    `start: cold ${(coldMs / 1e3).toFixed(2)} s (goal 5), warm ${(warmMs / 1e3).toFixed(2)} s (goal 3), stop ${(stopMs / 1e3).toFixed(2)} s`,
  );
  console.log(
    `idle memory: ${idle.pss.toFixed(0)} MiB PSS (goal below ${GOALS.idleMib}), ${idle.rss.toFixed(0)} MiB RSS, ` +
      `${idle.processes} processes (${kinds.join(', ')})`,
  );
}

/** The server and the load generator, each on its core where there are two. */
function pinStand({ server, load }, cores) {
  if (!cores) {
    console.log('processes are not pinned (no taskset, or one core): expect wider swings');
    return;
  }
  for (const one of processTree(server.pid)) pin(one.pid, one.kind === 'postgres' ? cores.load : cores.server);
  pin(load.pid, cores.load);
  console.log(`both servers on core ${cores.server}, load and PostgreSQL on core ${cores.load}; slices of 1 s`);
}

async function measureTree(stand, key) {
  const subject = treeSubject();
  await upload(stand.server, subject);
  const limit = await startLimitServer(subject);
  try {
    for (const body of ['tensors', 'features']) {
      await compareAnswers(stand.server, limit, key, { subject, body });
      prepareRequests(stand.load, subject, body, key);
    }
    if (stand.cores) pin(limit.pid, stand.cores.server);
    const cells = [];
    for (const cell of CELLS) cells.push(await measureCell({ ...cell, subject }, { ...stand, limit }));
    printCells(cells);
    return cells;
  } finally {
    limit.stop();
  }
}

async function measurePredictions(server, stop, rounds) {
  const key = await issueKey(server);
  const load = new LoadProcess();
  stop.push(() => load.stop());
  const writes = await DurableWrites.open(server.dataDir);
  const stand = { server, load, writes, cores: chooseCores() };
  pinStand(stand, stand.cores);
  const cells = rounds > 0 ? await measureMatrix(stand, key, rounds) : await measureTree(stand, key);
  await writes.close();
  return { cells, fsyncMs: quantile(writes.times, 0.5) };
}

/** What is promised of the tree with tensors, whatever else was measured. */
function verdict(start, cells, fsyncMs) {
  const tree = cells.filter((cell) => cell.body === 'tensors' && cell.subject.label === 'tree');
  const goal = tree.find((cell) => cell.connections === GOALS.connections);
  const over = tree.find((cell) => cell.connections === 1).p50 - fsyncMs;
  console.log(
    `one connection: p50 is ${over.toFixed(2)} ms over this disk's fsync p50 of ${fsyncMs.toFixed(2)} ms (goal ${GOALS.overFsyncMs})`,
  );
  const misses = [];
  if (goal.f < GOALS.f) misses.push('F');
  if (over > GOALS.overFsyncMs) misses.push('one connection p50');
  if (start.idle.pss >= GOALS.idleMib) misses.push('idle memory');
  if (misses.length > 0) console.log(`missed: ${misses.join(', ')}`);
  console.log(`F ${goal.f.toFixed(2)} at ${GOALS.connections} connections (goal ${GOALS.f})`);
  return misses.length === 0;
}

async function main() {
  const stop = [];
  try {
    const start = await measureStart();
    stop.push(() => start.server.stop());
    printStart(start);
    if (process.argv.includes('--start')) {
      const kept = start.coldMs <= GOALS.coldMs && start.warmMs <= GOALS.warmMs && start.idle.pss < GOALS.idleMib;
      console.log(`ready after ${(start.warmMs / 1e3).toFixed(2)} s warm (goal 3)`);
      return kept;
    }
    const full = process.argv.includes('--full');
    const rounds = full ? wholeArgument('--rounds', 3) : 0;
    const { cells, fsyncMs } = await measurePredictions(start.server, stop, rounds);
    if (full) await writeReport({ cells, fsyncMs, start });
    return verdict(start, cells, fsyncMs);
  } finally {
    for (const end of stop.reverse()) await end();
  }
}

process.exitCode = (await main()) ? 0 : 1;
