// What a request costs between `infer` and its answer: processor time of the server's thread and of the runner, with so
// many requests in flight. `node test/bench/inference.mjs [model.onnx] [columns]`, after `npm run build`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const require = createRequire(import.meta.url);
const { InferenceOptions, OnnxRuntime } = require(`${root}/dist/libs/inference/src/index.js`);
const { SystemClock } = require(`${root}/dist/libs/kernel/src/index.js`);

const model = path.resolve(process.argv[2] ?? `${root}/test/bench/models/fraud_transactions-3.1.0/model.onnx`);
const columns = Number(process.argv[3] ?? 30);
const SECONDS = 2;
const ROUNDS = 3;

const workFolder = mkdtempSync(path.join(tmpdir(), 'sibyl-bench-'));
const options = Object.assign(new InferenceOptions(), {
  runnerPath: `${root}/dist/apps/runner/main.js`,
  workFolder,
  runners: 1,
});
let batches = 0;
let rows = 0;
const nothing = () => undefined;
const observer = {
  onDropped: nothing,
  onModelLoaded: nothing,
  onModelUnloaded: nothing,
  onRunnerLost: nothing,
  onRunnerReady: nothing,
  onBatch: (_key, count) => {
    batches++;
    rows += count;
  },
};
const log = { info: nothing, warn: console.warn, error: console.error };
const runtime = new OnnxRuntime({ options, clock: new SystemClock(), log, observer });
const begun = performance.now();
await runtime.start();
const startMs = performance.now() - begun;
const loaded = await runtime.load(
  { key: 'bench', path: model },
  { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 64, warmup: [] },
);
const name = loaded.signature.inputs[0].name;

console.log(`spawn to ready ${startMs.toFixed(0)} ms, load ${loaded.loadMs.toFixed(0)} ms`);
console.log('in flight   requests/s   rows/batch   server us   runner us   wall us of one');
for (const inFlight of [1, 16, 64]) {
  const results = [];
  for (let round = 0; round < ROUNDS; round++) results.push(await measure(inFlight));
  results.sort((a, b) => a.serverUs - b.serverUs);
  const { perSecond, batchRows, serverUs, runnerUs, wallUs } = results[Math.floor(ROUNDS / 2)];
  const cells = [inFlight, perSecond.toFixed(0), batchRows.toFixed(1), serverUs.toFixed(1), runnerUs.toFixed(1)];
  console.log(
    [...cells, wallUs.toFixed(0)].map((cell, i) => String(cell).padStart([9, 13, 13, 12, 12, 17][i])).join(''),
  );
}
const [runner] = runtime.status().runners;
console.log(
  `runner ${(runner.rssBytes / 2 ** 20).toFixed(0)} MiB, server ${(process.memoryUsage.rss() / 2 ** 20).toFixed(0)} MiB`,
);
await runtime.close();
rmSync(workFolder, { recursive: true });

async function measure(inFlight) {
  const until = performance.now() + SECONDS * 1000;
  const from = performance.now();
  const cpu = process.cpuUsage();
  const runnerCpu = runnerCpuMs();
  let answered = 0;
  let wall = 0;
  batches = 0;
  rows = 0;
  const client = async (seed) => {
    const data = Float32Array.from({ length: columns }, (_, i) => (seed * 31 + i) % 7);
    const inputs = [{ name, datatype: 'FP32', shape: [1, columns], data }];
    while (performance.now() < until) {
      const sent = performance.now();
      await loaded.infer({ inputs, rows: 1, deadlineAt: sent + 10_000, aborted: false });
      wall += performance.now() - sent;
      answered++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, seed) => client(seed)));
  const used = process.cpuUsage(cpu);
  return {
    perSecond: (answered * 1000) / (performance.now() - from),
    batchRows: rows / batches,
    serverUs: (used.user + used.system) / answered,
    runnerUs: ((runnerCpuMs() - runnerCpu) * 1000) / answered,
    wallUs: (wall * 1000) / answered,
  };
}

/** Linux: ticks of 10 ms in user and system mode. */
function runnerCpuMs() {
  const { pid } = runtime.status().runners[0];
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}
