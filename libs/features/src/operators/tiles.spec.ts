import fc from 'fast-check';
import type { Series } from '../engine/series';
import type { FeatureValue } from '../feature-value';
import { computed } from './computed';
import { DistinctSketch, EXACT_DISTINCT } from './distinct-sketch';
import { hashOfNumber, hashOfText } from './hash53';
import type { CompiledOperator, TileFold } from './operator';
import { quantileOf } from './order-statistic';
import { QuantileSketch } from './quantile-sketch';
import { compiled, compute, randomNumbers, seriesOf, valueOf } from './testing';

const TILE = 60_000_000;

interface Made {
  readonly values: readonly (number | null)[];
  readonly volumes: readonly number[];
  readonly times: readonly number[];
}

/** Events of some ten tiles; none lies on a border, where a window with tiles begins one event earlier than one without. */
const events = fc
  .array(
    fc.record({
      time: fc.integer({ min: 1, max: 10 * TILE }).map((time) => (time % TILE === 0 ? time - 1 : time)),
      value: fc.option(
        fc.integer({ min: -4000, max: 4000 }).map((value) => 50_000 + value / 8),
        { freq: 6 },
      ),
      volume: fc.integer({ min: 1, max: 1000 }),
    }),
    { maxLength: 80 },
  )
  .map((all): Made => {
    const ordered = all.sort((a, b) => a.time - b.time);
    return {
      values: ordered.map(({ value }) => value),
      volumes: ordered.map(({ volume }) => volume),
      times: ordered.map(({ time }) => time),
    };
  });

const seriesFrom = ({ values, volumes, times }: Made): Series => seriesOf([values, volumes], times);

/** Sums each tile for itself, as one who keeps them does, up to `at`. */
function tilesOf(fold: TileFold, series: Series, at: number): unknown[] {
  const from = Math.floor((at - fold.span) / fold.tile);
  const sums = new Map<number, unknown>();
  for (let index = series.start; index < series.end; index++) {
    const tile = Math.floor(series.times[index]! / fold.tile);
    if (tile < from || series.times[index]! > at) continue;
    sums.set(tile, fold.add(sums.has(tile) ? sums.get(tile) : fold.empty(), series, index));
  }
  return [...sums].sort(([a], [b]) => a - b).map(([, sum]) => sum);
}

function fromTiles(operator: CompiledOperator, series: Series, at: number): FeatureValue {
  const out = computed(1);
  const fold = operator.tiles!;
  fold.finish(tilesOf(fold, series, at), at, out);
  return out.status === 'PRESENT' ? out.values[0]! : out.status;
}

function alike(actual: unknown, expected: unknown, within = 1e-9): void {
  if (typeof expected !== 'number' || typeof actual !== 'number') expect(actual).toEqual(expected);
  else expect(Math.abs(actual - expected)).toBeLessThanOrEqual(within * Math.abs(expected) + 1e-12);
}

const EXACT = ['count', 'rate', 'sum', 'mean', 'min', 'max', 'var', 'std', 'zscore', 'vwap', 'distinct_count'];
const SPAN = 5 * TILE;

describe('windows with tiles', () => {
  it.each([...EXACT, 'median'])('%s: come to what the events come to where the window begins at a border', (name) => {
    const within = name === 'median' ? 0.005 : 1e-9;
    const tiled = compiled(name, { window: { span: SPAN }, tile: TILE });
    const untiled = compiled(name, { window: { span: SPAN } });
    fc.assert(
      fc.property(events, (made) => {
        const series = seriesFrom(made);
        const expected = valueOf(untiled, series, 10 * TILE);
        alike(fromTiles(tiled, series, 10 * TILE), expected, within);
        alike(valueOf(tiled, series, 10 * TILE), expected, within);
      }),
    );
  });

  it.each([...EXACT, 'median', 'quantile'])('%s: are the same from tiles and from events at any moment', (name) => {
    const params = name === 'quantile' ? { q: 0.95 } : {};
    const tiled = compiled(name, { window: { span: SPAN }, tile: TILE, params });
    fc.assert(
      fc.property(events, fc.integer({ min: 0, max: 4 * TILE }), (made, more) => {
        const series = seriesFrom(made);
        const at = 10 * TILE + more;
        alike(fromTiles(tiled, series, at), valueOf(tiled, series, at));
      }),
    );
  });

  it('begin at the border at or before the old edge of the window, and end with the moment', () => {
    const sum = compiled('sum', { window: { span: SPAN }, tile: TILE });
    const series = seriesOf([[1, 2, 4, 8]], [TILE - 1, TILE, 2 * TILE, 6 * TILE + 30]);
    expect(valueOf(sum, series, 6 * TILE + 30)).toBe(14);
    expect(fromTiles(sum, series, 6 * TILE + 30)).toBe(14);
    expect(valueOf(sum, series, 7 * TILE)).toBe(12);
    // Ten events in 5 minutes and the half that the oldest tile reaches further back.
    const rate = compiled('rate', { window: { span: SPAN }, tile: TILE, params: { unit: 'm' } });
    const ten = seriesOf(
      [[]],
      Array.from({ length: 10 }, (_, index) => 6 * TILE + index),
    );
    expect(valueOf(rate, { ...ten, end: 10 }, 10.5 * TILE)).toBeCloseTo(10 / 5.5, 12);
  });

  it('leave the sums as they are', () => {
    const series = seriesOf(
      [
        [3, 5, 9, 11],
        [1, 2, 3, 4],
      ],
      [1, 2, TILE + 1, TILE + 2],
    );
    for (const name of [...EXACT, 'median']) {
      const { tiles } = compiled(name, { window: { span: SPAN }, tile: TILE });
      const sums = tilesOf(tiles!, series, 2 * TILE);
      const before = JSON.stringify(sums);
      const first = computed(1);
      tiles!.finish(sums, 2 * TILE, first);
      const again = computed(1);
      tiles!.finish(sums, 2 * TILE, again);
      expect(again).toEqual(first);
      expect(JSON.stringify(sums)).toBe(before);
      expect(tiles!.bytes(sums[0])).toBeGreaterThan(0);
    }
  });

  it('of flat values are exactly flat', () => {
    const times = Array.from({ length: 300 }, (_, index) => index * 1_000_000);
    const flat = seriesOf([times.map(() => 0.1), times.map((_, index) => index)], times);
    const value = (name: string, params = {}) =>
      fromTiles(compiled(name, { window: { span: SPAN }, tile: TILE, params }), flat, 300_000_000);
    expect(value('std')).toBe(0);
    expect(value('zscore')).toBe(0);
    for (const name of ['mean', 'vwap', 'median', 'min', 'max']) expect(value(name)).toBe(0.1);
  });

  it('keep small spreads far from zero', () => {
    const random = randomNumbers(5);
    const values = Array.from({ length: 600 }, () => 1e9 + Math.round(1000 * random()) / 1024);
    const series = seriesOf(
      [values],
      values.map((_, index) => index * 1_000_000),
    );
    const near = seriesOf([values.map((value) => value - 1e9)]);
    const std = compiled('std', { window: { span: 20 * TILE }, tile: TILE });
    const expected = Number(valueOf(compiled('std', { window: { events: 600 } }), near));
    expect(Math.abs(Number(fromTiles(std, series, 600_000_000)) / expected - 1)).toBeLessThan(1e-9);
    expect(Math.abs(Number(valueOf(compiled('std', { window: { events: 600 } }), series)) / expected - 1)).toBeLessThan(
      1e-9,
    );
  });
});

describe('a sketch of quantiles', () => {
  /** Numbers of both signs, the greatest at most `ratio` times the least. */
  const spread = (ratio: number) =>
    fc.array(
      fc.oneof(
        fc.double({ min: 1 / ratio, max: 1, noNaN: true }),
        fc.double({ min: -ratio, max: -1, noNaN: true }),
        fc.constant(0),
      ),
      { minLength: 2, maxLength: 200 },
    );

  it.each([
    [0.001, 1000],
    [0.005, 1e15],
    [0.05, 1e150],
  ])('is within its error, %d, of the value that has the rank, merged or not, in any order', (error, ratio) => {
    fc.assert(
      fc.property(spread(ratio), fc.integer({ min: 1, max: 7 }), (values, parts) => {
        const sketches = Array.from({ length: parts }, () => new QuantileSketch(error));
        values.forEach((value, index) => sketches[index % parts]!.add(value));
        const whole = new QuantileSketch(error);
        for (const sketch of sketches) whole.merge(sketch);
        const wrong = [...Float64Array.from(values).sort()].filter((value, rank) => {
          const q = rank / (values.length - 1);
          // Where rounding put the rank a hair beside the whole number, it lies between two values.
          if (q * (values.length - 1) !== rank) return false;
          return !(Math.abs(whole.quantile(q) - value) <= error * Math.abs(value) * (1 + 1e-9));
        });
        expect(wrong).toEqual([]);
      }),
    );
  });

  it('has a bounded size, and still its error among the greatest, for numbers of every size', () => {
    const sketch = new QuantileSketch(0.005);
    const random = randomNumbers(3);
    const values: number[] = [];
    for (let index = 0; index < 50_000; index++) {
      const value = 10 ** (600 * random() - 300) * (random() < 0.5 ? -1 : 1);
      values.push(value);
      sketch.add(value);
    }
    expect(sketch.bytes).toBeLessThan(2 * 16_384 + 1000);
    for (const q of [0.001, 0.01, 0.99, 0.999, 1]) {
      const exact = quantileOf(Float64Array.from(values), values.length, q);
      expect(Math.abs(sketch.quantile(q) - exact)).toBeLessThanOrEqual(0.02 * Math.abs(exact));
    }
    expect(sketch.quantile(0.5)).not.toBeNaN();
  });
});

describe('a sketch of different values', () => {
  it('is exact up to 4096, in any number of parts', () => {
    const parts = Array.from({ length: 9 }, () => new DistinctSketch());
    for (let value = 0; value < 3 * EXACT_DISTINCT; value++)
      parts[value % 9]!.add(hashOfText(`card-${value % EXACT_DISTINCT}`));
    const whole = new DistinctSketch();
    for (const part of parts) whole.merge(part);
    expect(whole.count).toBe(EXACT_DISTINCT);
  });

  it.each([5000, 20_000, 300_000])('is within 3 standard errors at %i, twice over', (different) => {
    for (const hash of [(value: number) => hashOfNumber(value), (value: number) => hashOfText(`merchant ${value}`)]) {
      const whole = new DistinctSketch();
      const part = new DistinctSketch();
      for (let value = 0; value < different; value++) {
        whole.add(hash(value));
        part.add(hash(value));
      }
      expect(Math.abs(whole.count / different - 1)).toBeLessThan(3 * (1.04 / 64));
      expect(whole.bytes).toBeLessThan(5000);
      const before = whole.count;
      whole.merge(part);
      expect(whole.count).toBe(before);
    }
  });

  it.each([4200, 9000])('is without bias at %i: right on the average of 60', (different) => {
    let sum = 0;
    for (let round = 0; round < 60; round++) {
      const sketch = new DistinctSketch();
      for (let value = 0; value < different; value++) sketch.add(hashOfNumber(round * different + value));
      sum += sketch.count / different;
    }
    expect(Math.abs(sum / 60 - 1)).toBeLessThan((3 * (1.04 / 64)) / Math.sqrt(60));
  });

  it('is the same however it is put together', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9000 }), { minLength: 2, maxLength: 5 }), (ends) => {
        const whole = new DistinctSketch();
        const joined = new DistinctSketch();
        for (const [index, end] of ends.entries()) {
          const part = new DistinctSketch();
          for (let value = index * 1500; value < end; value++) {
            whole.add(hashOfNumber(value));
            part.add(hashOfNumber(value));
          }
          joined.merge(part);
        }
        expect(joined.count).toBe(whole.count);
      }),
      { numRuns: 20 },
    );
  });

  it('has hashes that do not meet', () => {
    const hashes = new Set<number>();
    for (let value = 0; value < 200_000; value++) {
      hashes
        .add(hashOfNumber(value))
        .add(hashOfNumber(value / 128 + 0.001))
        .add(hashOfText(`user-${value}`))
        .add(hashOfText(`${value}`));
    }
    expect(hashes.size).toBe(800_000);
    expect(hashOfNumber(-0)).toBe(hashOfNumber(0));
    expect(Math.max(...[...hashes].slice(0, 1000))).toBeLessThan(2 ** 53);
  });
});

describe('distinct counts with tiles', () => {
  it('of strings stay within their error', () => {
    const count = 20_000;
    const series: Series = {
      ...seriesOf(
        [],
        Array.from({ length: count }, (_, index) => 1 + index * 10_000),
      ),
      strings: [Array.from({ length: count }, (_, index) => (index % 3 === 0 ? null : `m${index % 15_000}`))],
    };
    const operator = compiled('distinct_count', { window: { span: SPAN }, tile: TILE, types: ['string'] });
    const exact = new Set(series.strings[0]).size - 1;
    const said = compute(operator, series, 5 * TILE - 1).values[0];
    expect(Math.abs(Number(said) / exact - 1)).toBeLessThan(0.05);
    expect(fromTiles(operator, series, 5 * TILE - 1)).toBe(said);
  });
});
