// npm run bench: what a recorded prediction costs, as a fraction of the machine's own limit (F), with key, rate limit,
// validation, metrics and durable audit on. Both servers share one core and take turns in slices of a second.
//   --start   only start times and idle memory
//   --relaxed   only one connection with relaxed audit
//   --full    every model, body and number of connections (matrix.mjs); writes docs/benchmarks.md
//   --rounds N   with --full: slices of each server in a cell (default 3)
import { setTimeout as sleep } from 'node:timers/promises';
import { wholeArgument } from '../support/arguments.mjs';
import { memoryKib, processTree } from '../support/processes.mjs';
import { startServer } from '../support/server.mjs';
import { measureCell, prepareRequests, printCells } from './cell.mjs';
import { quantile } from './figures.mjs';
import { LoadProcess } from './load-process.mjs';
import { chooseCores, DurableWrites, pin, pinStand } from './machine.mjs';
import { measureMatrix } from './matrix.mjs';
import { measureRelaxed } from './relaxed.mjs';
import { writeReport } from './report.mjs';
import { compareAnswers, issueKey, startLimitServer, upload } from './stand.mjs';
import { treeSubject } from './subjects.mjs';

const GOALS = { f: 0.45, relaxedF: 0.4, connections: 64, overFsyncMs: 1, idleMib: 450, coldMs: 5_000, warmMs: 3_000 };
const IDLE_SETTLE_MS = 4_000; // long enough for start-up garbage to be collected and the first shipping to end
const CELLS = [
  { body: 'tensors', connections: 1, rounds: 6 },
  { body: 'tensors', connections: 16, rounds: 6 },
  { body: 'tensors', connections: 64, rounds: 12 },
  { body: 'features', connections: 64, rounds: 6 },
];
const RELAXED_ROUNDS = 6;

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

function describePinning(cores) {
  if (!cores) {
    console.log('processes are not pinned (no taskset, or one core): expect wider swings');
    return;
  }
  console.log(`both servers on core ${cores.server}, load and PostgreSQL on core ${cores.load}; slices of 1 s`);
}

async function measureTree(stand, key) {
  const subject = treeSubject();
  await upload(stand.server, subject);
  const limit = await startLimitServer(subject);
  try {
    if (stand.cores) pin(limit.pid, stand.cores.server);
    for (const body of ['tensors', 'features']) {
      await compareAnswers(stand.server, limit, key, { subject, body });
      await prepareRequests(subject, body, key, { ...stand, limit });
    }
    const cells = [];
    for (const cell of CELLS)
      cells.push(await measureCell({ ...cell, subject, audit: 'durable' }, { ...stand, limit }));
    return cells;
  } finally {
    limit.stop();
  }
}

async function measurePredictions(server, stop, { full, rounds }) {
  const key = await issueKey(server);
  const load = new LoadProcess();
  stop.push(() => load.stop());
  const writes = await DurableWrites.open(server.dataDir);
  const stand = { server, load, writes, cores: chooseCores() };
  describePinning(stand.cores);
  pinStand(stand, stand.cores);
  const cells = [];
  if (full) cells.push(...(await measureMatrix(stand, key, rounds)));
  else if (!process.argv.includes('--relaxed')) cells.push(...(await measureTree(stand, key)));
  cells.push(await measureRelaxed(stand, rounds));
  printCells(cells, full);
  await writes.close();
  return { cells, fsyncMs: quantile(writes.times, 0.5) };
}

/** What is promised of the tree with tensors, whatever else was measured. */
function verdict(start, cells, fsyncMs) {
  const relaxed = cells.find((cell) => cell.audit === 'relaxed');
  console.log(
    `one connection, relaxed audit: F ${relaxed.f.toFixed(2)} (goal ${GOALS.relaxedF}, aim 0.55), ` +
      `${relaxed.eventsPerSync.toFixed(0)} answers a sync of the disk`,
  );
  if (cells.length === 1) return relaxed.f >= GOALS.relaxedF;
  const tree = cells.filter(
    (cell) => cell.audit === 'durable' && cell.body === 'tensors' && cell.subject.label === 'tree',
  );
  const goal = tree.find((cell) => cell.connections === GOALS.connections);
  const over = tree.find((cell) => cell.connections === 1).p50 - fsyncMs;
  console.log(
    `one connection: p50 is ${over.toFixed(2)} ms over this disk's fsync p50 of ${fsyncMs.toFixed(2)} ms (goal ${GOALS.overFsyncMs})`,
  );
  const misses = [];
  if (goal.f < GOALS.f) misses.push('F');
  if (relaxed.f < GOALS.relaxedF) misses.push('F of relaxed audit');
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
    const rounds = wholeArgument('--rounds', full ? 3 : RELAXED_ROUNDS);
    const { cells, fsyncMs } = await measurePredictions(start.server, stop, { full, rounds });
    if (full) await writeReport({ cells, fsyncMs, start });
    return verdict(start, cells, fsyncMs);
  } finally {
    for (const end of stop.reverse()) await end();
  }
}

process.exitCode = (await main()) ? 0 : 1;
