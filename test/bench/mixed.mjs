// npm run bench:mixed: what callers of a light model notice of a heavy one beside it. A runner cannot interrupt a run, and
// models take turns: a light request may have to wait for a heavy one, but for one only, so p50 beside it is at most the
// sum of both alone. With more runners than one it is less. Callers in a closed loop ask the less often the longer they wait; those
// in an open loop come at their own rate, and must nearly all be answered beside a model that is flooded. Nothing is pinned, as in
// operation.
//   --runners N   runners of the server (default: as it chooses)
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runnersChosen } from '../support/arguments.mjs';
import { startServer } from '../support/server.mjs';
import { median, quantile, table } from './figures.mjs';
import { LoadProcess } from './load-process.mjs';
import { issueKey, upload } from './stand.mjs';
import { convolutionSubject, denseSubject, treeSubject } from './subjects.mjs';

const SLICE_MS = 2_000;
const ROUNDS = 3;
const LIGHT_CONNECTIONS = 8;
const HEAVY_CONNECTIONS = 4;
const FLOOD_CONNECTIONS = 128;
const FLOOD_MS = 6_000;
const STEADY_RATE = 200; // a small part of what the tree could do alone
const KEPT = 0.95;

const slice = (load, server, subject, connections) => load.run(subject.label, server.port, connections, SLICE_MS);

async function warm(load, server, subject, key) {
  await upload(server, subject);
  load.prepare(subject.label, subject.requests('tensors', { 'x-api-key': key }));
  await slice(load, server, subject, 2);
}

function figures(slices) {
  const latencies = slices.flatMap((one) => Array.from(one.latencies));
  return {
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    rate: median(slices.map((one) => one.requests / one.seconds)),
  };
}

/** Light alone, heavy alone, both together, in turns. */
async function measure(server, { light, heavy, lightLoad, heavyLoad }) {
  const seen = { alone: [], heavyAlone: [], beside: [], heavyBeside: [] };
  for (let round = 0; round < ROUNDS; round++) {
    seen.alone.push(await slice(lightLoad, server, light, LIGHT_CONNECTIONS));
    seen.heavyAlone.push(await slice(heavyLoad, server, heavy, HEAVY_CONNECTIONS));
    const both = [
      slice(lightLoad, server, light, LIGHT_CONNECTIONS),
      slice(heavyLoad, server, heavy, HEAVY_CONNECTIONS),
    ];
    const [beside, heavyBeside] = await Promise.all(both);
    seen.beside.push(beside);
    seen.heavyBeside.push(heavyBeside);
  }
  return Object.fromEntries(Object.entries(seen).map(([name, slices]) => [name, figures(slices)]));
}

/** What part of their answers callers at a fixed rate keep, while the heavy model is flooded. */
async function flooded(server, { light, heavy, lightLoad, heavyLoad }) {
  const steady = () =>
    lightLoad.order({ run: light.label, port: server.port, rate: STEADY_RATE, connections: 16, durationMs: FLOOD_MS });
  const inTime = ({ at, statuses, latencies }) => {
    const good = Array.from(at.keys()).filter((i) => statuses[i] === 200 && at[i] <= FLOOD_MS);
    return {
      rate: good.length / (FLOOD_MS / 1e3),
      p99: quantile(
        good.map((i) => latencies[i]),
        0.99,
      ),
    };
  };
  const alone = inTime(await steady());
  const flood = heavyLoad.run(heavy.label, server.port, FLOOD_CONNECTIONS, FLOOD_MS + 500);
  const beside = inTime(await steady());
  await flood;
  return { kept: beside.rate / alone.rate, p99: beside.p99 };
}

const goalOf = ({ alone, heavyAlone }) => alone.p50 + heavyAlone.p50;

function rowsOf(heavy, seen) {
  const row = (name, { p50, p99, rate }, goal) => [name, p50.toFixed(2), goal, p99.toFixed(2), rate.toFixed(0)];
  return [
    row('tree alone', seen.alone, ''),
    row(`tree beside ${heavy.label}`, seen.beside, goalOf(seen).toFixed(2)),
    row(`${heavy.label} alone`, seen.heavyAlone, ''),
    row(`${heavy.label} beside tree`, seen.heavyBeside, ''),
  ];
}

async function main() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-bench-'));
  const loads = [new LoadProcess(), new LoadProcess()];
  const server = await startServer({ env: runnersChosen() });
  try {
    const key = await issueKey(server);
    const light = treeSubject();
    const [lightLoad, heavyLoad] = loads;
    await warm(lightLoad, server, light, key);
    const rows = [['model', 'p50 ms', 'goal', 'p99 ms', 'req/s']];
    const misses = [];
    const shares = [];
    const floods = [];
    for (const heavy of [denseSubject(scratch), convolutionSubject(scratch)]) {
      await warm(heavyLoad, server, heavy, key);
      const seen = await measure(server, { light, heavy, lightLoad, heavyLoad });
      rows.push(...rowsOf(heavy, seen));
      if (seen.beside.p50 > goalOf(seen)) misses.push(`p50 of the tree beside ${heavy.label}`);
      const { kept, p99 } = await flooded(server, { light, heavy, lightLoad, heavyLoad });
      const percent = (kept * 100).toFixed(1);
      floods.push(`${percent} % of ${STEADY_RATE}/s beside ${heavy.label}, p99 ${p99.toFixed(1)} ms`);
      if (kept < KEPT) misses.push(`answers of the tree beside ${heavy.label} that is flooded`);
      shares.push(`${((seen.beside.rate / seen.alone.rate) * 100).toFixed(0)} % beside ${heavy.label}`);
    }
    console.log(`${LIGHT_CONNECTIONS} connections for the tree, ${HEAVY_CONNECTIONS} for the heavy model`);
    console.log(table(rows));
    if (misses.length > 0) console.log(`missed: ${misses.join(', ')}`);
    console.log(`in a closed loop the tree keeps ${shares.join(', ')} of its throughput`);
    console.log(
      `in an open loop, with ${FLOOD_CONNECTIONS} callers of the heavy one: ${floods.join('; ')} (goal ${KEPT * 100} %)`,
    );
    return misses.length === 0;
  } finally {
    for (const load of loads) load.stop();
    await server.stop();
    fs.rmSync(scratch, { recursive: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
