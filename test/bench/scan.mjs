// npm run bench:scan: how fast model files are read and judged before any runtime sees them, ordinary ones and hostile ones,
// and what memory that takes. Each file lies on the disk (in memory, where the cache has it) and is read as a registration
// reads it, three times, of which the fastest counts: on a shared machine the others measure its neighbours.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { table } from './figures.mjs';
import { denseModel, hostileFiles, ORDINARY } from './scan-models.mjs';

const require = createRequire(import.meta.url);
require('../support/load-typescript.cjs');
const { inspectOnnxFile } = require('@sibyl/onnx');

const MIB = 2 ** 20;
const WINDOW = 64 * 1024; // of libs/onnx/src/inspect-onnx-file.ts
const GOALS = { mibPerSecond: 20, msPerMib: 50, buffers: 3 * WINDOW, growthMib: 16 };
const LARGE_MIB = 300;
const TIMES = 3;

/** Milliseconds of one scan, and whether it found nothing wrong. */
async function scan(file) {
  const begun = performance.now();
  const passed = await inspectOnnxFile(file).then(
    () => true,
    (error) => {
      if (error.code !== 'model_rejected') throw error;
      return false;
    },
  );
  return { ms: performance.now() - begun, passed };
}

async function measured(folder, [name, make]) {
  const file = path.join(folder, 'model.onnx');
  fs.writeFileSync(file, make());
  const mib = fs.statSync(file).size / MIB;
  const runs = [];
  for (let time = 0; time < TIMES; time++) runs.push(await scan(file));
  fs.rmSync(file);
  return { name, mib, ms: Math.min(...runs.map(({ ms }) => ms)), passed: runs[0].passed };
}

/** In a process of its own: what a scan adds to the most memory it ever had, and the largest buffer that it asks for. */
async function memory(small, large) {
  await scan(small);
  await scan(small);
  let largest = 0;
  let held = 0;
  const allocate = Buffer.allocUnsafe.bind(Buffer);
  Buffer.allocUnsafe = (bytes) => {
    largest = Math.max(largest, bytes);
    held += 1;
    return allocate(bytes);
  };
  const before = process.resourceUsage().maxRSS;
  const { passed } = await scan(large);
  Buffer.allocUnsafe = allocate;
  const growthMib = (process.resourceUsage().maxRSS - before) / 1024;
  console.log(JSON.stringify({ passed, growthMib, buffers: held > 1 ? largest + WINDOW : largest }));
}

function memoryOfChild(folder) {
  const [small, large] = [8, LARGE_MIB].map((mib) => {
    const file = path.join(folder, `${mib}.onnx`);
    fs.writeFileSync(file, denseModel(mib));
    return file;
  });
  const told = execFileSync(process.execPath, [fileURLToPath(import.meta.url), small, large], { encoding: 'utf8' });
  return JSON.parse(told);
}

function print(title, rows) {
  console.log(title);
  console.log(
    table([
      ['file', 'MiB', 'ms', 'MiB/s', 'ms a MiB begun', ''],
      ...rows.map(({ name, mib, ms, passed }) => [
        name,
        mib.toFixed(1),
        ms.toFixed(1),
        (mib / (ms / 1e3)).toFixed(0),
        msPerMib({ mib, ms }).toFixed(1),
        passed ? 'passed' : 'refused',
      ]),
    ]),
  );
}

/** A file of a hundred bytes costs opening and closing it: less than a whole MiB counts as one. */
const msPerMib = ({ mib, ms }) => ms / Math.max(1, mib);

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-scan-'));
  try {
    const ordinary = [];
    for (const one of ORDINARY) ordinary.push(await measured(folder, one));
    const hostile = [];
    for (const one of hostileFiles()) hostile.push(await measured(folder, one));
    const { growthMib, buffers, passed } = memoryOfChild(folder);
    print('ordinary models', ordinary);
    const dearest = hostile.toSorted((a, b) => msPerMib(b) - msPerMib(a));
    print(`the dearest of ${hostile.length} hostile files`, dearest.slice(0, 16));
    const slow = ordinary.filter(({ mib, ms }) => mib / (ms / 1e3) < GOALS.mibPerSecond);
    const dear = dearest.filter((one) => msPerMib(one) > GOALS.msPerMib);
    const misses = [
      ...slow.map(({ name }) => `${name}: too slow`),
      ...ordinary.filter((one) => !one.passed).map(({ name }) => `${name}: refused`),
      ...dear.map(({ name }) => `${name}: too dear`),
      ...(passed && growthMib <= GOALS.growthMib && buffers <= GOALS.buffers ? [] : ['memory']),
    ];
    for (const miss of misses) console.log(`missed: ${miss}`);
    const slowest = Math.min(...ordinary.map(({ mib, ms }) => mib / (ms / 1e3)));
    console.log(
      `slowest ordinary model ${slowest.toFixed(0)} MiB/s (goal ${GOALS.mibPerSecond}), dearest hostile file ` +
        `${msPerMib(dearest[0]).toFixed(1)} ms a MiB (goal ${GOALS.msPerMib}); a file of ${LARGE_MIB} MiB takes ` +
        `${growthMib.toFixed(1)} MiB more memory (goal ${GOALS.growthMib}), ${buffers / 1024} KiB of buffers (goal ${GOALS.buffers / 1024})`,
    );
    return misses.length === 0;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const [small, large] = process.argv.slice(2);
if (large === undefined) process.exitCode = (await main()) ? 0 : 1;
else await memory(small, large);
