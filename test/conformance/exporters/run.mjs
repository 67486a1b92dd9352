// Models as toolkits export them, against a running server: each is uploaded without a manifest, answers the library's own
// rows, and must agree with the library. Then packages with golden samples: validated, and asked for each sample again.
//   sh test/conformance/exporters/setup.sh && node scripts/build.mjs && node test/conformance/exporters/run.mjs
//   --kits sklearn,trees   only these;   --again   exports anew;   --packages FOLDER   packages (default: examples/models)
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { REPOSITORY, startServer } from '../../support/server.mjs';

const { values: options } = parseArgs({
  options: {
    kits: { type: 'string', default: 'sklearn,trees,keras,torch' },
    again: { type: 'boolean', default: false },
    packages: { type: 'string', default: path.join(REPOSITORY, 'examples/models') },
  },
});
const kits = options.kits.split(',');
const prefixes = { sklearn: ['sk'], trees: ['lgb', 'xgb', 'cat'], keras: ['keras'], torch: ['torch'] };
const HERE = path.join(REPOSITORY, 'test/conformance/exporters');
const EXPORTS = path.join(REPOSITORY, '.conformance/exports');
const LANGUAGE_MODELS = /^tiny_(llama|gpt2)-/;

process.exitCode = await main();

async function main() {
  exportMissing();
  const cases = readdirSync(EXPORTS)
    .filter((name) => kits.some((kit) => prefixes[kit]?.includes(name.split('_')[0])))
    .filter((name) => existsSync(path.join(EXPORTS, name, 'case.json')));
  const server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_LOG_LEVEL: 'warn' } });
  const results = [];
  try {
    for (const name of cases) results.push(await exported(server, name));
    for (const name of packages()) results.push(await packaged(server, name));
  } finally {
    await server.stop();
  }
  return report(results);
}

function exportMissing() {
  const python = path.join(REPOSITORY, '.conformance/exporters/bin/python');
  if (!existsSync(python)) throw new Error('run test/conformance/exporters/setup.sh first');
  const made = existsSync(EXPORTS) ? readdirSync(EXPORTS).map((name) => name.split('_')[0]) : [];
  const missing = kits.filter((kit) => options.again || !prefixes[kit].every((prefix) => made.includes(prefix)));
  // Each toolkit in a process of its own: TensorFlow and PyTorch do not go together.
  for (const kit of missing) {
    const ran = spawnSync(python, [path.join(HERE, 'export.py'), EXPORTS, kit], { encoding: 'utf8', timeout: 300_000 });
    if (ran.status !== 0) throw new Error(`the export of ${kit} failed:\n${ran.stderr}`);
  }
}

function packages() {
  if (!existsSync(options.packages)) return [];
  return readdirSync(options.packages).filter(
    (name) => existsSync(path.join(options.packages, name, 'model.onnx')) && !LANGUAGE_MODELS.test(name),
  );
}

/** Uploads every file of a folder that belongs to a package. */
async function upload(server, folder, { name, version }) {
  const form = new FormData();
  if (version !== undefined) form.append('version', version);
  for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!file.isFile() || file.name === 'case.json') continue;
    const relative = path.relative(folder, path.join(file.parentPath, file.name));
    form.append('files', new Blob([readFileSync(path.join(folder, relative))]), relative);
  }
  const answer = await fetch(`${server.url}/v1/models/${name}/versions`, {
    method: 'POST',
    headers: { 'X-API-Key': server.adminKey },
    body: form,
    signal: AbortSignal.timeout(60_000),
  });
  return { status: answer.status, body: await answer.json() };
}

async function exported(server, name) {
  const expected = JSON.parse(readFileSync(path.join(EXPORTS, name, 'case.json'), 'utf8'));
  const { toolkit, what, inputs, outputs, features, prediction } = expected;
  const misses = [];
  const made = await upload(server, path.join(EXPORTS, name), { name, version: '1' });
  if (made.status !== 201) misses.push(`registering: ${said(made)}`);
  else {
    const all = await server.call('POST', `/models/${name}/predict`, { body: { inputs } });
    if (all.status !== 200) misses.push(`${rowsOf(inputs)} rows: ${said(all)}`);
    else misses.push(...differences(outputs, all.body.outputs, expected));
    if (prediction !== undefined) {
      const one = await server.call('POST', '/predict', { body: { model: name, features } });
      if (one.status !== 200) misses.push(`/predict: ${said(one)}`);
      else misses.push(...differences(prediction, one.body.prediction, expected, '/predict '));
    }
  }
  const changes = (made.body.derived?.changes ?? []).map(({ kind }) => kind);
  return { name, toolkit, what, rows: rowsOf(inputs), changes: [...new Set(changes)].join(', '), misses };
}

/** A package with its manifest: valid by its golden samples, which are then asked for again over HTTP. */
async function packaged(server, folder) {
  const at = path.join(options.packages, folder);
  const manifest = JSON.parse(readFileSync(path.join(at, 'sibyl.json'), 'utf8'));
  const { samples, tolerance } = JSON.parse(readFileSync(path.join(at, 'golden.json'), 'utf8'));
  const misses = [];
  const made = await upload(server, at, { name: manifest.name });
  if (made.status !== 201 && made.status !== 200) misses.push(`registering: ${said(made)}`);
  else if (!made.body.report.passed) misses.push('its report is not green');
  let asked = 0;
  for (const { inputs, outputs } of misses.length > 0 ? [] : samples) {
    if (outputs === undefined || Object.values(inputs).some((value) => value?.file !== undefined)) continue;
    asked++;
    const body = { inputs, model_version: manifest.version };
    const answer = await server.call('POST', `/models/${manifest.name}/predict`, { body });
    // What a sample says beyond the model's outputs, a pooled vector for one, is not for this route to answer.
    if (answer.status === 200)
      misses.push(...differences(known(outputs, answer.body.outputs), answer.body.outputs, tolerance));
    else misses.push(`sample ${asked}: ${said(answer)}`);
  }
  const what = `package, ${made.body.report?.golden?.compared ?? 0} samples, ${asked} over HTTP`;
  return { name: folder, toolkit: manifest.framework?.name ?? '', what, rows: '', changes: '', misses };
}

function known(expected, got) {
  return Object.fromEntries(Object.entries(expected).filter(([name]) => name in got));
}

function rowsOf(inputs) {
  return Object.values(inputs)[0].length;
}

/** Where two documents differ by more than the tolerance; members that only the answer has are fine. */
function differences(expected, got, tolerance, pointer = '') {
  if (typeof expected === 'number' && typeof got === 'number') {
    const allowed = (tolerance.atol ?? 0) + (tolerance.rtol ?? 0) * Math.abs(expected);
    return Math.abs(expected - got) <= allowed ? [] : [`${pointer}: ${got} instead of ${expected}`];
  }
  if (expected === null || typeof expected !== 'object') {
    return expected === got ? [] : [`${pointer}: ${JSON.stringify(got)} instead of ${JSON.stringify(expected)}`];
  }
  // An output that is a raw file of the package was compared by the validation.
  if (expected.file !== undefined) return [];
  if (Array.isArray(expected) && expected.length !== got?.length)
    return [`${pointer}: ${got?.length} instead of ${expected.length}`];
  return Object.entries(expected).flatMap(([key, value]) =>
    differences(value, got?.[key], tolerance, `${pointer}/${key}`),
  );
}

function said({ status, body }) {
  const faults = (body.errors ?? []).slice(0, 2).map((fault) => JSON.stringify(fault));
  return `${status} ${body.code ?? ''} ${body.detail ?? ''} ${faults.join(' ')}`.trim();
}

function report(results) {
  const line = (cells) =>
    console.log(cells.map((cell, i) => String(cell).padEnd([25, 13, 52, 5, 16][i] ?? 0)).join(' '));
  line(['model', 'toolkit', 'what', 'rows', 'rewritten', 'agrees']);
  for (const { name, toolkit, what, rows, changes, misses } of results) {
    line([name, toolkit, what, rows, changes, misses.length === 0 ? 'yes' : 'NO']);
    for (const miss of misses.slice(0, 4)) console.log(`    ${miss.slice(0, 400)}`);
  }
  const missed = results.filter(({ misses }) => misses.length > 0).length;
  console.log(`${results.length - missed} of ${results.length} models agree with their toolkits`);
  return missed === 0 && results.length > 0 ? 0 : 1;
}
