// npm run bench: what a recorded prediction costs, as a fraction of the machine's own limit (F), with key, rate limit,
// validation, metrics and durable audit on. Both servers share one core and take turns in slices of a second.
//   --start   only start times and idle memory
import { fork } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicros, memoryKib, processTree } from '../support/processes.mjs';
import { REPOSITORY, startServer } from '../support/server.mjs';
import { median, quantile, table } from './figures.mjs';
import { chooseCores, DurableWrites, pin } from './machine.mjs';

const GOALS = { f: 0.45, connections: 64, overFsyncMs: 1, idleMib: 450, coldMs: 5_000, warmMs: 3_000 };
const SLICE_MS = 1_000;
const IDLE_SETTLE_MS = 4_000; // long enough for start-up garbage to be collected and the first shipping to end
const FSYNCS_PER_ROUND = 40;
const MODEL = { name: 'fraud_transactions', version: '3.1.0' };
const PACKAGE = path.join(REPOSITORY, 'test/bench/models', `${MODEL.name}-${MODEL.version}`);
const CELLS = [
  { name: 'tensors', connections: 1, rounds: 6 },
  { name: 'tensors', connections: 16, rounds: 6 },
  { name: 'tensors', connections: 64, rounds: 12 },
  { name: 'features', connections: 64, rounds: 6 },
];

const manifest = JSON.parse(fs.readFileSync(path.join(PACKAGE, 'sibyl.json'), 'utf8'));
const columns = manifest.inputs[0].columns;

/** 48 different rows of real inputs, with the digits that a client would send. */
function rows() {
  const golden = JSON.parse(fs.readFileSync(path.join(PACKAGE, 'golden.json'), 'utf8'));
  const all = golden.samples.flatMap((sample) => sample.inputs.features);
  return all.map((row) => row.map((value) => (value === null ? null : Number(value.toPrecision(6)))));
}

const SHAPES = {
  tensors: {
    path: `/models/${MODEL.name}/predict`,
    body: (row) => ({ inputs: { features: [row] } }),
  },
  features: {
    path: '/predict',
    body: (row) => ({ model: MODEL.name, features: Object.fromEntries(columns.map((name, i) => [name, row[i]])) }),
  },
};

function requestsOf(shape, headers) {
  return rows().map((row) => ({ path: shape.path, headers, body: JSON.stringify(shape.body(row)) }));
}

/** CPU of the server and its runners, and of PostgreSQL, by process, so that one that ends in between is no credit. */
function cpuOf(pid) {
  return new Map(processTree(pid).map((one) => [one.pid, { kind: one.kind, micros: cpuMicros(one.pid) }]));
}

function spent(before, after, isCounted) {
  let sum = 0;
  for (const [pid, { kind, micros }] of after) if (isCounted(kind)) sum += micros - (before.get(pid)?.micros ?? 0);
  return sum;
}

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

async function prepareServer(server) {
  const form = new FormData();
  for (const name of fs.readdirSync(PACKAGE)) {
    form.append('file', new Blob([fs.readFileSync(path.join(PACKAGE, name))]), name);
  }
  const uploaded = await fetch(`${server.url}/v1/models/${MODEL.name}/versions`, {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey },
    body: form,
  });
  if (uploaded.status !== 201 && uploaded.status !== 200) {
    throw new Error(`the model was not taken: ${uploaded.status} ${await uploaded.text()}`);
  }
  const limit = { requests: 1_000_000, seconds: 10 }; // high enough never to refuse, so that only its cost is measured
  const issued = await server.call('POST', '/v1/keys', { body: { name: 'bench', role: 'team', rate_limit: limit } });
  if (issued.status !== 201) throw new Error(`no key: ${issued.status} ${JSON.stringify(issued.body)}`);
  return issued.body.key;
}

async function startLimitServer() {
  const child = fork(path.join(REPOSITORY, 'test/bench/limit-server.mjs'), [
    path.join(PACKAGE, 'model.onnx'),
    columns.join(','),
  ]);
  const [{ port }] = await once(child, 'message');
  return { child, port, pid: child.pid };
}

class LoadProcess {
  constructor() {
    this.child = fork(path.join(REPOSITORY, 'test/bench/load.mjs'));
  }

  prepare(name, requests) {
    this.child.send({ prepare: name, requests });
  }

  async run(name, port, connections) {
    this.child.send({ run: name, port, connections, durationMs: SLICE_MS });
    const [result] = await once(this.child, 'message');
    if (result.failed || result.broken) {
      throw new Error(`${name}: answers ${JSON.stringify(result.statuses)}, ${result.broken} broken connections`);
    }
    return result;
  }
}

/** Both must give the same probabilities, or they would not be doing the same work. */
async function compareAnswers(server, limit, key) {
  for (const [name, shape] of Object.entries(SHAPES)) {
    const [request] = requestsOf(shape, {});
    const ask = async (port, headers) => {
      const answer = await fetch(`http://127.0.0.1:${port}${request.path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: request.body,
      });
      if (answer.status !== 200) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    };
    const ours = await ask(server.port, { 'x-api-key': key });
    const theirs = (await ask(limit.port, {})).outputs.probabilities[0];
    const got = name === 'tensors' ? ours.outputs.probabilities[0][1] : ours.prediction.probability;
    const wanted = name === 'tensors' ? [theirs[1]] : theirs;
    if (!wanted.some((value) => Math.abs(value - got) < 1e-4)) {
      throw new Error(`${name}: Sibyl says ${got}, the limit server ${theirs}`);
    }
  }
}

async function measureCell(cell, { server, limit, load, writes }) {
  const rounds = [];
  for (let round = 0; round <= cell.rounds; round++) {
    if (cell.connections === 1) await writes.measure(FSYNCS_PER_ROUND);
    const before = cpuOf(server.pid);
    const ours = await load.run(`sibyl-${cell.name}`, server.port, cell.connections);
    const limitBefore = cpuMicros(limit.pid);
    const theirs = await load.run(`limit-${cell.name}`, limit.port, cell.connections);
    const limitMicros = (cpuMicros(limit.pid) - limitBefore) / theirs.requests;
    // Read after the limit server's turn: what Sibyl puts off (shipping events to PostgreSQL) is its cost as well.
    const after = cpuOf(server.pid);
    const micros = spent(before, after, (kind) => kind !== 'postgres') / ours.requests;
    const postgres = spent(before, after, (kind) => kind === 'postgres') / ours.requests;
    if (round > 0) rounds.push({ ours, theirs, micros, postgres, limitMicros, f: limitMicros / micros });
  }
  const of = (pick) => median(rounds.map(pick));
  const latencies = (side) => rounds.flatMap((round) => round[side].latencies);
  return {
    ...cell,
    f: of((r) => r.f),
    micros: of((r) => r.micros),
    postgres: of((r) => r.postgres),
    limitMicros: of((r) => r.limitMicros),
    rate: of((r) => r.ours.requests / r.ours.seconds),
    limitRate: of((r) => r.theirs.requests / r.theirs.seconds),
    p50: quantile(latencies('ours'), 0.5),
    p99: quantile(latencies('ours'), 0.99),
    limitP50: quantile(latencies('theirs'), 0.5),
    limitP99: quantile(latencies('theirs'), 0.99),
  };
}

function printCells(cells) {
  const head = [
    'body',
    'connections',
    'F',
    'CPU µs',
    'limit µs',
    'PostgreSQL µs',
    'p50 ms',
    'p99 ms',
    'limit p50/p99',
    'req/s',
    'limit req/s',
  ];
  const lines = cells.map((c) => [
    c.name,
    c.connections,
    c.f.toFixed(2),
    c.micros.toFixed(0),
    c.limitMicros.toFixed(0),
    c.postgres.toFixed(0),
    c.p50.toFixed(2),
    c.p99.toFixed(2),
    `${c.limitP50.toFixed(2)}/${c.limitP99.toFixed(2)}`,
    c.rate.toFixed(0),
    c.limitRate.toFixed(0),
  ]);
  console.log(table([head, ...lines]));
}

async function measurePredictions(server, stop) {
  const key = await prepareServer(server);
  const limit = await startLimitServer();
  stop.push(() => limit.child.disconnect());
  const load = new LoadProcess();
  stop.push(() => load.child.disconnect());
  const writes = await DurableWrites.open(server.dataDir);
  await compareAnswers(server, limit, key);
  for (const [name, shape] of Object.entries(SHAPES)) {
    load.prepare(`sibyl-${name}`, requestsOf(shape, { 'x-api-key': key }));
    load.prepare(`limit-${name}`, requestsOf(shape, {}));
  }
  const cores = chooseCores();
  if (cores) {
    for (const one of processTree(server.pid)) pin(one.pid, one.kind === 'postgres' ? cores.load : cores.server);
    pin(limit.pid, cores.server);
    pin(load.child.pid, cores.load);
    console.log(`both servers on core ${cores.server}, load and PostgreSQL on core ${cores.load}; slices of 1 s`);
  } else console.log('processes are not pinned (no taskset, or one core): expect wider swings');
  const cells = [];
  for (const cell of CELLS) cells.push(await measureCell(cell, { server, limit, load, writes }));
  await writes.close();
  return { cells, fsyncMs: quantile(writes.times, 0.5) };
}

function verdict(start, cells, fsyncMs) {
  const goal = cells.find((cell) => cell.name === 'tensors' && cell.connections === GOALS.connections);
  const over = cells.find((cell) => cell.connections === 1).p50 - fsyncMs;
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
    const { cells, fsyncMs } = await measurePredictions(start.server, stop);
    printCells(cells);
    return verdict(start, cells, fsyncMs);
  } finally {
    for (const end of stop.reverse()) await end();
  }
}

process.exitCode = (await main()) ? 0 : 1;
