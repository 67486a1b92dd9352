import type { FieldDefinition, OperatorParams, Window } from '../definitions/feature-view';
import type { Series } from '../engine/series';
import type { FeatureValue, ValueType } from '../feature-value';
import { OPERATORS } from './catalogue';
import { computed } from './computed';
import type { CompiledOperator, Computed } from './operator';

/** Bars of a market, oldest first. */
export interface Bars {
  readonly high: readonly number[];
  readonly low: readonly number[];
  readonly close: readonly number[];
  readonly volume: readonly number[];
}

/** Numbers from 0 to 1, the same for the same seed in every process: mulberry32. */
export function randomNumbers(seed: number): () => number {
  // A global is slow to find in a Jest environment.
  const { imul } = Math;
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

interface Market {
  readonly seed: number;
  readonly bars: number;
  /** Where the price begins, and how many digits it has after the point. */
  readonly price: number;
  readonly digits: number;
  /** Share of bars without any trade: the price stays and the volume is 0. */
  readonly halted: number;
}

/** The markets of the golden numbers. Made with additions, products and rounding only, which are the same on every machine. */
export const MARKETS: Readonly<Record<string, Market>> = {
  shares: { seed: 11, bars: 252, price: 91.5, digits: 3, halted: 0 },
  bitcoin: { seed: 12, bars: 1500, price: 91_234.56, digits: 2, halted: 0 },
  halted: { seed: 13, bars: 400, price: 12.25, digits: 2, halted: 0.9 },
  small: { seed: 14, bars: 700, price: 0.0213, digits: 7, halted: 0.1 },
};

export function barsOf({ seed, bars, price, digits, halted }: Market): Bars {
  const random = randomNumbers(seed);
  const scale = 10 ** digits;
  const round = (value: number): number => Math.round(value * scale) / scale;
  const made = { high: [] as number[], low: [] as number[], close: [] as number[], volume: [] as number[] };
  let close = price;
  for (let bar = 0; bar < bars; bar++) {
    // The first thirty bars of a market that halts are all alike.
    const still = halted > 0 && (bar < 30 || random() < halted);
    const before = close;
    if (!still) close = round(before * (1 + 0.02 * (random() + random() + random() - 1.5)));
    made.high.push(still ? before : round(Math.max(before, close) * (1 + 0.005 * random())));
    made.low.push(still ? before : round(Math.min(before, close) * (1 - 0.005 * random())));
    made.close.push(close);
    made.volume.push(still ? 0 : Math.round(1_000_000 * random()));
  }
  return made;
}

/** A series of columns of numbers, `null` for nothing, one second apart unless `times` are given. */
export function seriesOf(columns: readonly (readonly (number | null)[])[], times?: readonly number[]): Series {
  const count = columns[0]?.length ?? times?.length ?? 0;
  return {
    start: 0,
    end: count,
    times: Float64Array.from(times ?? Array.from({ length: count }, (_, index) => index * 1_000_000)),
    numbers: columns.map((column) => Float64Array.from(column, (value) => value ?? Number.NaN)),
    strings: [],
    whole: true,
    cut: false,
  };
}

interface Definition {
  readonly params?: OperatorParams;
  readonly window?: Window;
  readonly tile?: number;
  /** Types of the inputs, which are the first columns; doubles unless given. */
  readonly types?: readonly ValueType[];
}

/** Compiles an operator of the catalogue over the first columns of a series. */
export function compiled(name: string, { params = {}, window, tile, types }: Definition = {}): CompiledOperator {
  const operator = OPERATORS.get(name);
  if (operator === undefined) throw new Error(`no operator ${name}`);
  const fieldTypes = types ?? operator.inputs.map((): ValueType => 'double');
  const inputs = fieldTypes.map((type, index) => {
    const field: FieldDefinition = { name: `field_${index}`, type, nullable: true };
    return { index, field };
  });
  return operator.compile({
    inputs,
    params,
    ...(window === undefined ? {} : { window }),
    ...(tile === undefined ? {} : { tile }),
  });
}

/** What it comes to at the newest event of the series, or at `at`. */
export function compute(
  operator: CompiledOperator,
  series: Series,
  at?: number,
  keep?: (index: number) => boolean,
): Computed {
  const out = computed(operator.outputs.length);
  operator.compute(series, at ?? series.times[series.end - 1] ?? 0, out, keep);
  return out;
}

/** The first value, where it is PRESENT; otherwise the status. */
export function valueOf(
  operator: CompiledOperator,
  series: Series,
  at?: number,
  keep?: (index: number) => boolean,
): FeatureValue {
  const { values, status } = compute(operator, series, at, keep);
  return status === 'PRESENT' ? (values[0] ?? null) : status;
}

/** What the golden numbers name, as this catalogue has it; columns are high, low, close, volume. */
export const INDICATORS: Readonly<
  Record<string, { operator: CompiledOperator; output: number; columns: readonly (keyof Bars)[] }>
> = Object.fromEntries(
  (
    [
      ['ema_10', 'ema', { params: { period: 10 } }],
      ['ema_20', 'ema', { params: { period: 20 } }],
      ['wilder_14', 'wilder', { params: { period: 14 } }],
      ['rsi_14', 'rsi', {}],
      ['rsi_2', 'rsi', { params: { period: 2 } }],
      ['macd.line', 'macd', {}, 0],
      ['macd.signal', 'macd', {}, 1],
      ['macd.hist', 'macd', {}, 2],
      ['bollinger.upper', 'bollinger', {}, 0],
      ['bollinger.middle', 'bollinger', {}, 1],
      ['bollinger.lower', 'bollinger', {}, 2],
      ['std_20', 'std', { window: { events: 20 } }],
      ['var_20', 'var', { window: { events: 20 } }],
      ['atr_14', 'atr', {}],
      ['obv', 'obv', { window: { events: 16_384 } }],
      ['mean_20', 'mean', { window: { events: 20 } }],
      ['sum_20', 'sum', { window: { events: 20 } }],
      ['min_20', 'min', { window: { events: 20 } }],
      ['max_20', 'max', { window: { events: 20 } }],
      ['returns_5', 'returns', { params: { n: 5 } }],
    ] as const satisfies readonly (readonly [string, string, Definition, number?])[]
  ).map(([key, name, definition, output]) => {
    const operator = compiled(name, definition);
    const columns = (OPERATORS.get(name)?.inputs ?? []).map(
      (input) => (input === 'input' ? 'close' : input) as keyof Bars,
    );
    return [key, { operator, output: output ?? 0, columns }];
  }),
);

/** What an indicator comes to at one bar, with all bars before it at hand; null while it warms up. */
export function indicatorAt(key: string, bars: Bars, bar: number): number | null {
  const indicator = INDICATORS[key];
  if (indicator === undefined) throw new Error(`no indicator ${key}`);
  const series = seriesOf(indicator.columns.map((column) => bars[column].slice(0, bar + 1)));
  const { values, status } = compute(indicator.operator, series);
  if (status === 'WARMING_UP') return null;
  return Number(values[indicator.output]);
}

/** How far a value may be from TA-Lib's: 1e-12 for the recursive ones (of the greatest price where that is above 1), 1e-9 of the value for others. */
export function tolerance(key: string, expected: number, bars: Bars): number {
  const recursive = /^(ema|wilder|rsi|macd|atr)/.test(key);
  if (!recursive) return 1e-9 * Math.abs(expected);
  return 1e-12 * (key.startsWith('rsi') ? 1 : Math.max(1, ...bars.close));
}
