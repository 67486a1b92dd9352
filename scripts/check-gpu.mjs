// Runs the golden samples of packages on the CPU and on every GPU provider that this machine has, and compares answers and
// speed: `npm run check:gpu [-- folder …]`, by default the packages of examples/models. Exit 0: all answers are within the
// packages' tolerance, or there is no GPU, which is said; 1: answers differ, or a package cannot be compared.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);
const built = (file) => require(path.join(root, 'dist/libs', file));
const { Runner } = built('inference/src/runner.js');
const { MemoryGroups } = built('inference/src/memory-groups.js');
const { InferenceOptions } = built('inference/src/inference-options.js');
const { executionOf } = built('inference/src/execution.js');
const { loadedMessage } = built('inference/src/session-loader.js');
const { OnnxLimits } = built('onnx/src/index.js');
const protocol = built('protocol/src/index.js');
const { compareGolden } = built('registry/src/golden-compare.js');
const { MANIFEST_FILE } = built('registry/src/manifest-reader.js');
const { PackageReader } = built('registry/src/package-reader.js');
const { MODEL_FILE } = built('registry/src/package-source.js');
const { RegistryOptions } = built('registry/src/registry-options.js');
const { EXECUTION_PROVIDERS, FRAME_TYPES, firstRow, frameMessage, frameTensors, numberAt, sameRows, stackRows } =
  protocol;

const BATCHES = [1, 8, 32];
/** Engines of TensorRT are built at the first load. */
const LOAD_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 30_000;
const MEASURE_MS = 300;
const LEAST_RUNS = 5;
const MISSES_LISTED = 3;
/** Of a message of the runtime, which says at its end what happened. */
const SHOWN = 120;
const SESSION = 1;

const workFolder = mkdtempSync(path.join(tmpdir(), 'sibyl-check-gpu-'));
const settings = Object.assign(new InferenceOptions(), {
  runnerPath: path.join(root, 'dist/apps/runner/main.js'),
  workFolder,
  // The packages are the caller's own: nothing but time is limited.
  groups: MemoryGroups.open('off', { debug() {}, warn() {} }),
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error.message, ...(error.faults ?? []));
  process.exitCode = 1;
} finally {
  rmSync(workFolder, { recursive: true });
}

async function main(folders) {
  const packages = [];
  for (const folder of folders.length > 0 ? folders : examples()) packages.push(await readPackage(folder));
  const ready = await withRunner((runner) => runner.started(performance.now() + settings.startLimitMs));
  const gpuProviders = EXECUTION_PROVIDERS.filter(
    ({ device, name }) => device === 'gpu' && ready.providers.includes(name),
  );
  const rows = [];
  const unusable = new Map();
  for (const each of packages) {
    const cpu = await run(each, 'cpu');
    rows.push(rowOf(each, 'cpu', cpu, cpu));
    for (const { name } of gpuProviders) {
      if (unusable.has(name)) continue;
      const result = await run(each, name);
      if (result.unavailable === undefined) rows.push(rowOf(each, name, result, cpu));
      else unusable.set(name, result.unavailable);
    }
  }
  printTable(rows);
  return verdict(rows, ready, unusable);
}

function examples() {
  const folder = path.join(root, 'examples/models');
  return readdirSync(folder).map((name) => path.join(folder, name));
}

async function readPackage(given) {
  const folder = path.resolve(given);
  const identity = existsSync(path.join(folder, MANIFEST_FILE)) ? {} : { name: path.basename(folder), version: '0' };
  const contents = await new PackageReader(new RegistryOptions(), new OnnxLimits()).read(folder, identity);
  const { manifest, golden } = contents;
  if (!golden?.samples.some(({ outputs }) => outputs.length > 0))
    throw new Error(`${folder} has no golden samples with outputs to compare`);
  return { label: `${manifest.name} ${manifest.version}`, model: path.join(folder, MODEL_FILE), golden };
}

/** A throwaway runner; one that takes too long is killed, which ends what waits for it. */
async function withRunner(work) {
  let gone;
  const ended = new Promise((resolve) => (gone = resolve));
  const runner = new Runner(settings, { onIdle() {}, onEnded: () => gone() });
  try {
    return await work(runner);
  } finally {
    if (!runner.ended) runner.kill('stopped');
    await ended;
  }
}

function within(runner, limitMs, work) {
  const timer = setTimeout(() => runner.kill('overran'), limitMs);
  return work.finally(() => clearTimeout(timer));
}

/** All samples of a package and its speed on one provider; `unavailable` where no session can be made with that. */
function run({ model, golden }, provider) {
  return withRunner(async (runner) => {
    await within(runner, settings.startLimitMs, runner.started(Infinity));
    const message = { path: model, providers: [provider] };
    const frame = await within(runner, LOAD_LIMIT_MS, runner.call(FRAME_TYPES.load, SESSION, message, Infinity));
    if (frame.type === FRAME_TYPES.loadFailed && frameMessage(frame).reason === 'provider')
      return { unavailable: frameMessage(frame).message };
    const loaded = loadedMessage(frame);
    const names = loaded.inputs.map(({ name }) => name);
    const ask = async (inputs) => {
      const answer = await within(runner, RUN_LIMIT_MS, runner.run(SESSION, inputs, names, Infinity));
      if (answer.type !== FRAME_TYPES.outputs)
        throw new Error(`${model} on ${provider}: ${frameMessage(answer).message}`);
      return frameTensors(answer).map((tensor) => ({ ...tensor, name: loaded.outputs[tensor.index].name }));
    };
    const answers = [];
    // The memory of a frame belongs to the next one too.
    for (const { inputs } of golden.samples)
      answers.push((await ask(inputs)).map((output) => ({ ...output, data: output.data.slice() })));
    const placed = await runner.call(FRAME_TYPES.place, SESSION, {}, Infinity);
    const execution = executionOf([provider], loaded.provider, frameMessage(placed).nodes);
    return { answers, execution, speeds: await speeds(golden.samples, ask) };
  });
}

/** Milliseconds of a run by batch size, the median; undefined where the samples cannot be stacked. */
async function speeds(samples, ask) {
  const [first] = samples.map(({ inputs }) => inputs);
  const fitting = samples.map(({ inputs }) => inputs).filter((inputs) => inputs.every(({ shape }) => shape[0] > 0));
  const rows = fitting.filter((inputs) => sameRows(first, inputs)).map((inputs) => inputs.map(firstRow));
  const measured = [];
  for (const size of BATCHES) {
    const batch = first.map((_, i) => stackRows(Array.from({ length: size }, (__, row) => rows[row % rows.length][i])));
    measured.push(rows.length === 0 ? undefined : await medianMs(() => ask(batch)).catch(() => undefined));
  }
  return measured;
}

async function medianMs(work) {
  const times = [];
  await work();
  for (const until = performance.now() + MEASURE_MS; times.length < LEAST_RUNS || performance.now() < until;) {
    const begun = performance.now();
    await work();
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

function rowOf({ label, golden }, provider, result, cpu) {
  const compared = compareGolden(golden, result.answers, MISSES_LISTED);
  return { label, provider, ...result, ...compared, ...largestDifferences(result.answers, cpu.answers), cpu };
}

/** Between two providers, over all numbers of all samples; a number beside something else differs infinitely. */
function largestDifferences(answers, others) {
  let absolute = 0;
  let relative = 0;
  answers.forEach((outputs, sample) =>
    outputs.forEach((output, index) => {
      const other = others[sample][index];
      if (output.data.length !== other.data.length) absolute = Infinity;
      for (let i = 0; i < output.data.length; i++) {
        const [a, b] = [output, other].map((tensor) => valueAt(tensor, i));
        if (Object.is(a, b)) continue;
        // A label of another class, or a NaN on one side.
        const difference = typeof a === 'number' && Number.isFinite(a - b) ? Math.abs(a - b) : Infinity;
        absolute = Math.max(absolute, difference);
        relative = Math.max(
          relative,
          difference === Infinity ? Infinity : difference / Math.max(Math.abs(b), Number.MIN_VALUE),
        );
      }
    }),
  );
  return { absolute, relative };
}

function valueAt(tensor, index) {
  const value = tensor.data[index];
  return typeof value === 'number' ? numberAt(tensor, index) : value;
}

function printTable(rows) {
  const table = [
    [
      'package',
      'provider',
      'of its graph',
      ...BATCHES.map((size) => `ms at ${size}`),
      'times as fast',
      'max abs',
      'max rel',
      'golden',
    ],
  ];
  for (const row of rows) {
    const { shares } = row.execution;
    const share = shares && (shares[row.provider] ?? 0);
    const ratio = row.speeds
      .map((ms, i) => (ms === undefined ? '-' : Number((row.cpu.speeds[i] / ms).toPrecision(2))))
      .join(' / ');
    table.push([
      row.label,
      row.provider,
      share === undefined ? 'unknown' : `${Math.round(share * 100)} %`,
      ...row.speeds.map((ms) => (ms === undefined ? '-' : ms.toFixed(3))),
      row.provider === 'cpu' ? '' : ratio,
      ...[row.absolute, row.relative].map((value) => (row.provider === 'cpu' ? '' : value.toExponential(1))),
      row.missCount === 0 ? `${row.compared} equal` : `${row.missCount} DIFFER`,
    ]);
  }
  const widths = table[0].map((_, column) => Math.max(...table.map((cells) => cells[column].length)));
  for (const cells of table)
    console.log(
      cells
        .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    );
}

function verdict(rows, ready, unusable) {
  const different = rows.filter(({ missCount }) => missCount > 0);
  for (const { label, provider, misses } of different)
    for (const { sample, tensor, index, expected, got } of misses)
      console.log(
        `${label} on ${provider}, sample ${sample}, ${tensor}[${index ?? ''}]: expected ${expected}, got ${got}`,
      );
  const compared = new Set(rows.map(({ provider }) => provider).filter((provider) => provider !== 'cpu'));
  for (const [provider, why] of unusable) console.log(`${provider} cannot be used: …${why.trim().slice(-SHOWN)}`);
  if (compared.size === 0) sayThatThereIsNone(ready);
  const places = ['the CPU', ...compared].join(', ');
  if (different.length === 0) console.log(`All golden samples are answered within their tolerance on ${places}.`);
  else console.log(`${different.length} of ${rows.length} comparisons differ.`);
  return different.length === 0 ? 0 : 1;
}

function sayThatThereIsNone({ gpus }) {
  console.log('There is no GPU here that models could run on, so nothing was compared with the CPU. Looked for:');
  console.log(`  GPUs that the driver shows (/dev/nvidia0 and on): ${gpus}`);
  const platform = `${process.platform}/${process.arch}`;
  const folder = path.join(path.dirname(require.resolve('onnxruntime-node/package.json')), 'bin/napi-v6', platform);
  for (const { name, device, library, platforms } of EXECUTION_PROVIDERS) {
    if (device !== 'gpu' || library === undefined) continue;
    const found = !platforms.includes(platform)
      ? `no build for ${platform}`
      : existsSync(path.join(folder, library))
        ? 'installed'
        : `${library} is not installed beside onnxruntime-node (see deploy/README.md)`;
    console.log(`  ${name}: ${found}`);
  }
}
