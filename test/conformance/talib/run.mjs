// Every bar of every market: what TA-Lib says and what the operators say. Needs `sh test/conformance/talib/setup.sh` once.
//   node test/conformance/talib/run.mjs [bars.json ...]   also bars of your own: { "high": [...], "low": [...], "close": [...], "volume": [...] }
//   node test/conformance/talib/run.mjs --write           makes libs/features/test/talib-golden.json anew
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { format } from 'prettier';
import { table } from '../../bench/figures.mjs';

const require = createRequire(import.meta.url);
require('../../support/load-typescript.cjs');
const { MARKETS, barsOf, indicatorAt, tolerance } = require('@sibyl/features/testing');

const root = path.resolve(import.meta.dirname, '../../..');
const python = path.join(root, '.conformance/talib/bin/python');
const golden = path.join(root, 'libs/features/test/talib-golden.json');
/** Bars of each market whose numbers are kept: the first two values, the last one, and some between. */
const KEPT_BETWEEN = 9;

const files = process.argv.slice(2).filter((argument) => argument !== '--write');
const markets = Object.fromEntries([
  ...Object.entries(MARKETS).map(([name, market]) => [name, barsOf(market)]),
  ...files.map((file) => [path.basename(file), JSON.parse(fs.readFileSync(file, 'utf8'))]),
]);

function talib() {
  const { status, stdout, stderr } = spawnSync(python, [path.join(import.meta.dirname, 'indicators.py')], {
    input: JSON.stringify(markets),
    maxBuffer: 64 * 1024 * 1024,
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (status !== 0) throw new Error(`TA-Lib did not answer: ${stderr}`);
  return JSON.parse(stdout);
}

/** Bars compared, the greatest difference, and how much of what is allowed it takes. */
function compare(key, bars, expected) {
  const worst = { bars: 0, difference: 0, share: 0, wrong: [] };
  expected.forEach((value, bar) => {
    const ours = indicatorAt(key, bars, bar);
    if (ours === null || value === null) {
      if (ours !== value) worst.wrong.push(`bar ${bar}: ${ours}, not ${value}`);
      return;
    }
    const difference = Math.abs(ours - value);
    const allowed = tolerance(key, value, bars);
    worst.bars++;
    worst.difference = Math.max(worst.difference, difference);
    worst.share = Math.max(worst.share, difference === 0 ? 0 : difference / allowed);
    if (!(difference <= allowed)) worst.wrong.push(`bar ${bar}: ${ours}, not ${value}`);
  });
  return worst;
}

function sample(values) {
  const first = values.findIndex((value) => value !== null);
  const step = Math.floor((values.length - first) / KEPT_BETWEEN);
  const kept = new Set([first, first + 1, values.length - 1]);
  for (let bar = first; bar < values.length; bar += step) kept.add(bar);
  const bars = [...kept].sort((a, b) => a - b);
  return { bars, values: bars.map((bar) => values[bar]) };
}

const { talib: version, sets } = talib();
if (process.argv.includes('--write')) {
  const kept = Object.fromEntries(
    Object.keys(MARKETS).map((name) => [
      name,
      Object.fromEntries(Object.entries(sets[name]).map(([key, values]) => [key, sample(values)])),
    ]),
  );
  const origin = `TA-Lib ${version}, of the markets in operators/testing.ts; made by test/conformance/talib/run.mjs --write`;
  const text = JSON.stringify({ origin, markets: kept });
  fs.writeFileSync(golden, await format(text, { parser: 'json', printWidth: 120 }));
  console.log(`wrote ${path.relative(root, golden)}, ${fs.statSync(golden).size} bytes`);
}

const rows = [];
const wrong = [];
for (const [name, outputs] of Object.entries(sets)) {
  for (const [key, expected] of Object.entries(outputs)) {
    const result = compare(key, markets[name], expected);
    rows.push([name, key, result.bars, result.difference.toExponential(1), `${(100 * result.share).toFixed(1)} %`]);
    wrong.push(...result.wrong.map((what) => `${name} ${key} ${what}`));
  }
}
console.log(table([['market', 'indicator', 'bars', 'greatest difference', 'of allowed'], ...rows]));
for (const what of wrong.slice(0, 20)) console.log(what);
console.log(`TA-Lib ${version}: ${wrong.length} of ${rows.reduce((sum, row) => sum + row[2], 0)} values differ`);
process.exitCode = wrong.length > 0 ? 1 : 0;
