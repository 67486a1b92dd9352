// What one value costs: node -r ./test/support/load-typescript.cjs libs/features/src/operators/operators.bench.ts
// Prints, per operator, the events it reads, nanoseconds of CPU a value (best of 5 rounds) and bytes allocated a value, over bars as they
// lie in memory. The last line is the figure: the twelve operators of a trading view together.
import { computed } from './computed';
import type { CompiledOperator } from './operator';
import { barsOf, compiled, MARKETS, seriesOf } from './testing';

const SECOND = 1_000_000;
const ROUNDS = 5;
const ROUND_MS = 40;
/** Few enough that no collection comes between. */
const ALLOCATING = 2_000;

const market = MARKETS['bitcoin'];
if (market === undefined) throw new Error('no market');
const { high, low, close, volume } = barsOf({ ...market, bars: 16_384 });
const bars = seriesOf([close, volume, high, low]);
const triples = seriesOf([high, low, close]);
const at = (bars.end - 1) * SECOND;

/** The last two columns: whether it is one of the twelve, and what its inputs are. */
const ROWS: readonly (readonly [string, CompiledOperator, boolean])[] = [
  ['last', compiled('last'), true],
  ['lag 5', compiled('lag', { params: { n: 5 } }), false],
  ['last_n 32', compiled('last_n', { params: { n: 32 } }), false],
  ['returns', compiled('returns'), true],
  ['log_returns', compiled('log_returns'), false],
  ['ema 12', compiled('ema', { params: { period: 12 } }), true],
  ['ema 26', compiled('ema', { params: { period: 26 } }), true],
  ['wilder 14', compiled('wilder', { params: { period: 14 } }), false],
  ['rsi 14', compiled('rsi'), true],
  ['macd 12 26 9', compiled('macd'), true],
  ['atr 14', compiled('atr'), true],
  ['bollinger 20', compiled('bollinger'), true],
  ['sum 20', compiled('sum', { window: { events: 20 } }), false],
  ['mean 20', compiled('mean', { window: { events: 20 } }), true],
  ['std 20', compiled('std', { window: { events: 20 } }), true],
  ['zscore 20', compiled('zscore', { window: { events: 20 } }), true],
  ['min 20', compiled('min', { window: { events: 20 } }), false],
  ['vwap 20', compiled('vwap', { window: { events: 20 } }), true],
  ['obv 100', compiled('obv', { window: { events: 100 } }), true],
  ['median 100', compiled('median', { window: { events: 100 } }), false],
  ['count 1 h of seconds', compiled('count', { window: { span: 3600 * SECOND } }), false],
  ['sum 1 h of seconds', compiled('sum', { window: { span: 3600 * SECOND } }), false],
  ['std 1 h of seconds', compiled('std', { window: { span: 3600 * SECOND } }), false],
  ['median 1 h of seconds', compiled('median', { window: { span: 3600 * SECOND } }), false],
  ['distinct_count 1 h of seconds', compiled('distinct_count', { window: { span: 3600 * SECOND } }), false],
];

/** Of this thread of work and not of the clock: others on the machine count less. */
function cpuMs(): number {
  return process.cpuUsage().user / 1000;
}

interface Cost {
  readonly ns: number;
  readonly bytes: number;
}

function cost(operator: CompiledOperator, name: string): Cost {
  const series = name.startsWith('atr') ? triples : bars;
  const out = computed(operator.outputs.length);
  const run = (times: number): void => {
    for (let time = 0; time < times; time++) operator.compute(series, at, out);
  };
  run(1);
  let times = 16;
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS;) {
    const began = cpuMs();
    run(times);
    const ms = cpuMs() - began;
    if (ms < ROUND_MS) {
      times *= 2;
      continue;
    }
    best = Math.min(best, ms / times);
    round++;
  }
  if (out.status !== 'PRESENT') throw new Error(`${name} is ${out.status}`);
  const before = process.memoryUsage().heapUsed;
  run(ALLOCATING);
  const bytes = Math.max(0, process.memoryUsage().heapUsed - before) / ALLOCATING;
  return { ns: best * 1e6, bytes };
}

function tileCost(name: string, params: Record<string, number> = {}): string {
  const operator = compiled(name, { window: { span: 720 * 60 * SECOND }, tile: 60 * SECOND, params });
  const fold = operator.tiles;
  if (fold === undefined) throw new Error('no tiles');
  let tiles: unknown[] = [];
  let addNs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round++) {
    tiles = [];
    const began = cpuMs();
    for (let index = 0; index < bars.end; index++) {
      if (index % 60 === 0) tiles.push(fold.empty());
      tiles[tiles.length - 1] = fold.add(tiles[tiles.length - 1], bars, index);
    }
    addNs = Math.min(addNs, ((cpuMs() - began) * 1e6) / bars.end);
  }
  const out = computed(1);
  let finishUs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round++) {
    const began = cpuMs();
    for (let time = 0; time < 100; time++) fold.finish(tiles, at, out);
    finishUs = Math.min(finishUs, ((cpuMs() - began) * 1000) / 100);
  }
  const bytes = tiles.reduce((sum: number, tile) => sum + fold.bytes(tile), 0) / tiles.length;
  return `${name.padEnd(14)}  ${addNs.toFixed(0).padStart(12)}  ${finishUs.toFixed(1).padStart(9)}  ${bytes.toFixed(0).padStart(12)}`;
}

let together = 0;
let members = 0;
console.log('operator                         history       ns  bytes');
for (const [name, operator, member] of ROWS) {
  const { ns, bytes } = cost(operator, name);
  if (member) {
    together += ns;
    members++;
  }
  const history = operator.history > 0 ? String(operator.history) : 'time';
  console.log(
    `${name.padEnd(31)}  ${history.padStart(7)}  ${ns.toFixed(0).padStart(7)}  ${bytes.toFixed(0).padStart(5)}`,
  );
}
console.log(`\n273 tiles of 60 events`);
console.log('operator        ns to add one  us a value  bytes a tile');
for (const name of ['count', 'sum', 'std', 'vwap', 'median', 'distinct_count']) console.log(tileCost(name));
console.log(`${members} operators of a trading view: ${(together / 1000).toFixed(1)} us`);
