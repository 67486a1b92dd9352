import fc from 'fast-check';
import type { Series } from '../engine/series';
import { compiled, compute, seriesOf, valueOf } from './testing';

const SECOND = 1_000_000;

function naive(name: string, values: readonly number[]): unknown {
  const sorted = [...values].sort((a, b) => a - b);
  const total = values.reduce((sum, value) => sum + value, 0);
  if (name === 'sum') return total;
  if (name === 'distinct_count') return new Set(values).size;
  if (values.length === 0) return 'NULL';
  const mean = total / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const place = (values.length - 1) / 2;
  const found: Record<string, number> = {
    mean,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    var: variance,
    std: Math.sqrt(variance),
    median: (sorted[Math.floor(place)]! + sorted[Math.ceil(place)]!) / 2,
    zscore: variance === 0 ? 0 : (values.at(-1)! - mean) / Math.sqrt(variance),
  };
  return found[name];
}

const NAMES = ['sum', 'mean', 'min', 'max', 'var', 'std', 'median', 'zscore', 'distinct_count'];

/** Within 1e-9 of what numbers of this size come to. */
function alike(actual: unknown, expected: unknown): void {
  if (typeof expected !== 'number' || typeof actual !== 'number') expect(actual).toEqual(expected);
  else expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));
}

interface Event {
  readonly time: number;
  readonly value: number | null;
  readonly counts: boolean;
}

const events = fc
  .array(
    fc.record({
      time: fc.integer({ min: 0, max: 60 }).map((seconds) => seconds * SECOND),
      value: fc.option(
        fc.integer({ min: -500, max: 500 }).map((value) => value / 4),
        { freq: 5 },
      ),
      counts: fc.boolean(),
    }),
    { maxLength: 60 },
  )
  .map((all): Event[] => all.sort((a, b) => a.time - b.time));

const series = (all: readonly Event[]): Series =>
  seriesOf(
    [all.map(({ value }) => value)],
    all.map(({ time }) => time),
  );
const present = (all: readonly Event[]): number[] => all.flatMap(({ value }) => value ?? []);

describe('windows', () => {
  it.each(NAMES)('by count: %s of the last events, nulls among them', (name) => {
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 40 }), (all, count) => {
        const operator = compiled(name, { window: { events: count } });
        const came = compute(operator, series(all));
        if (all.length < count) {
          expect(came).toEqual({ values: [null], status: 'WARMING_UP', have: all.length, need: count });
        } else {
          alike(valueOf(operator, series(all)), naive(name, present(all.slice(-count))));
        }
      }),
    );
  });

  it.each(NAMES)('by time: %s of what came after the old edge and up to the moment, where it counts', (name) => {
    fc.assert(
      fc.property(
        events,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 60, max: 90 }),
        fc.boolean(),
        (all, span, at, filtered) => {
          const operator = compiled(name, { window: { span: span * SECOND } });
          const keep = filtered ? (index: number) => all[index]!.counts : undefined;
          const inWindow = all.filter(({ time, counts }) => time > (at - span) * SECOND && (counts || !filtered));
          alike(valueOf(operator, series(all), at * SECOND, keep), naive(name, present(inWindow)));
        },
      ),
    );
  });

  it('count events and their rate, whatever they say', () => {
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 40 }), fc.boolean(), (all, span, filtered) => {
        const keep = filtered ? (index: number) => all[index]!.counts : undefined;
        const window = { span: span * SECOND };
        const expected = all.filter(({ time, counts }) => time > (60 - span) * SECOND && (counts || !filtered)).length;
        expect(valueOf(compiled('count', { window }), series(all), 60 * SECOND, keep)).toBe(expected);
        const perMinute = valueOf(compiled('rate', { window, params: { unit: 'm' } }), series(all), 60 * SECOND, keep);
        alike(perMinute, (60 * expected) / span);
      }),
    );
  });

  it('have their edges where they are said to be', () => {
    const four = seriesOf([[1, 2, 3, 4]], [10 * SECOND, 20 * SECOND, 20 * SECOND + 1, 30 * SECOND]);
    const sum = compiled('sum', { window: { span: 10 * SECOND } });
    expect(valueOf(sum, four, 30 * SECOND)).toBe(7);
    expect(valueOf(sum, four, 40 * SECOND)).toBe(0);
    expect(valueOf(sum, four, 40 * SECOND - 1)).toBe(4);
  });

  it('do not depend on the order of events that are equally old', () => {
    fc.assert(
      fc.property(
        fc
          .array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 40 })
          .chain((values) => fc.tuple(fc.constant(values), fc.shuffledSubarray(values, { minLength: values.length }))),
        ([values, shuffled]) => {
          const times = values.map(() => SECOND);
          for (const name of NAMES.filter((each) => each !== 'zscore')) {
            const operator = compiled(name, { window: { span: 10 * SECOND } });
            alike(valueOf(operator, seriesOf([shuffled], times)), valueOf(operator, seriesOf([values], times)));
          }
        },
      ),
    );
  });

  it('of nothing are 0 where they count and NULL where they average', () => {
    const nothing = seriesOf([[], []]);
    const nulls = seriesOf([
      [null, null],
      [null, null],
    ]);
    const window = { span: 10 * SECOND };
    for (const empty of [nothing, nulls]) {
      for (const name of ['sum', 'distinct_count']) expect(valueOf(compiled(name, { window }), empty, SECOND)).toBe(0);
      for (const name of ['mean', 'min', 'max', 'std', 'var', 'median', 'zscore', 'vwap', 'obv']) {
        expect(compute(compiled(name, { window }), empty, SECOND)).toMatchObject({ status: 'NULL', values: [null] });
      }
    }
    expect(valueOf(compiled('count', { window }), nothing, SECOND)).toBe(0);
    expect(valueOf(compiled('count', { window }), nulls, SECOND)).toBe(2);
    expect(valueOf(compiled('rate', { window }), nothing, SECOND)).toBe(0);
    const sample = compiled('std', { window, params: { sample: 1 } });
    expect(valueOf(sample, seriesOf([[5]]), SECOND)).toBe('NULL');
    expect(valueOf(sample, seriesOf([[5, 7]]), SECOND)).toBeCloseTo(Math.SQRT2, 14);
    expect(
      valueOf(
        compiled('vwap', { window }),
        seriesOf([
          [5, 6],
          [0, 0],
        ]),
        SECOND,
      ),
    ).toBe('NULL');
  });

  it('of a flat series are exactly flat', () => {
    const flat = seriesOf([Array.from({ length: 333 }, () => 0.1), Array.from({ length: 333 }, () => 0.3)]);
    for (const window of [{ events: 20 }, { span: 3600 * SECOND }]) {
      expect(valueOf(compiled('std', { window }), flat)).toBe(0);
      expect(valueOf(compiled('var', { window }), flat)).toBe(0);
      expect(valueOf(compiled('zscore', { window }), flat)).toBe(0);
      for (const name of ['mean', 'median', 'min', 'max', 'vwap'])
        expect(valueOf(compiled(name, { window }), flat)).toBe(0.1);
    }
  });

  it('weigh prices by volume', () => {
    const trades = seriesOf([
      [10, 20, null, 30],
      [1, 3, 5, null],
    ]);
    expect(valueOf(compiled('vwap', { window: { events: 4 } }), trades)).toBe(17.5);
  });

  it('balance volumes from the first bar of the window on', () => {
    const bars = seriesOf([
      [10, 11, 11, 9, 12],
      [5, 7, 100, 2, 4],
    ]);
    expect(valueOf(compiled('obv', { window: { events: 100 } }), bars)).toBe(5 + 7 - 2 + 4);
    expect(valueOf(compiled('obv', { window: { events: 2 } }), bars)).toBe(2 + 4);
    expect(valueOf(compiled('obv', { window: { span: 3 * SECOND } }), bars)).toBe(100 - 2 + 4);
  });

  it('give quantiles between values in proportion', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, q) => {
          const sorted = [...values].sort((a, b) => a - b);
          const place = q * (values.length - 1);
          const [lower, upper] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
          const ours = valueOf(
            compiled('quantile', { params: { q }, window: { events: values.length } }),
            seriesOf([values]),
          );
          alike(ours, lower + (place - Math.floor(place)) * (upper - lower));
        },
      ),
    );
  });

  it('have no value where they reach beyond what is kept', () => {
    const kept: Series = { ...seriesOf([[1, 2, 3]], [10 * SECOND, 20 * SECOND, 30 * SECOND]), whole: false, cut: true };
    for (const name of ['sum', 'count', 'last', 'time_since_last']) {
      const wide = compiled(name, { window: { span: 20 * SECOND + 1 } });
      const never = name === 'last' || name === 'time_since_last' ? () => false : undefined;
      expect(compute(wide, kept, 30 * SECOND, never)).toMatchObject({ status: 'INVALID', values: [null] });
      const fitting = compiled(name, { window: { span: 20 * SECOND } });
      expect(compute(fitting, kept, 30 * SECOND).status).toBe('PRESENT');
    }
    expect(compute(compiled('mean', { window: { events: 4 } }), kept).status).toBe('INVALID');
    expect(compute(compiled('mean', { window: { events: 3 } }), kept).status).toBe('PRESENT');
    expect(compute(compiled('lag', { params: { n: 3 } }), kept).status).toBe('INVALID');
    expect(compute(compiled('sum', { window: { span: 30 * SECOND }, tile: 10 * SECOND }), kept).status).toBe('INVALID');
  });
});

describe('events by their place', () => {
  const said: Series = {
    ...seriesOf([[1, null, 0, 1]]),
    strings: [undefined, ['a', null, 'c', 'd']],
  };
  const typed = (name: string, column: 'number' | 'bool' | 'string', params: Record<string, number> = {}) => {
    const operator = compiled(name, { params, types: [column === 'number' ? 'double' : column] });
    const strings = { ...said, strings: [said.strings[1]] };
    return valueOf(operator, column === 'string' ? strings : said);
  };

  it('keep the type of their field, and say null where the event did', () => {
    expect(typed('last', 'number')).toBe(1);
    expect(typed('last', 'bool')).toBe(true);
    expect(typed('last', 'string')).toBe('d');
    expect(typed('lag', 'bool', { n: 1 })).toBe(false);
    expect(typed('lag', 'string', { n: 3 })).toBe('a');
    expect(typed('lag', 'number', { n: 2 })).toBe('NULL');
    expect(typed('lag', 'string', { n: 2 })).toBe('NULL');
    expect(typed('returns', 'number', { n: 2 })).toBe('NULL');
    expect(typed('last_n', 'number', { n: 3 })).toEqual([null, 0, 1]);
    expect(typed('last_n', 'bool', { n: 3 })).toEqual([null, false, true]);
    expect(typed('last_n', 'string', { n: 4 })).toEqual(['a', null, 'c', 'd']);
    expect(compiled('last_n', { params: { n: 3 }, types: ['bool'] }).outputs).toEqual([
      { name: '', type: 'bool', list: true },
    ]);
    expect(compiled('min', { window: { events: 1 }, types: ['int'] }).outputs[0]?.type).toBe('int');
  });

  it('give a new list each time', () => {
    const operator = compiled('last_n', { params: { n: 2 } });
    expect(valueOf(operator, said)).not.toBe(valueOf(operator, said));
  });

  it('count different strings, and true as 1', () => {
    const window = { events: 4 };
    const strings = { ...said, strings: [said.strings[1]] };
    expect(valueOf(compiled('distinct_count', { window, types: ['string'] }), strings)).toBe(3);
    expect(valueOf(compiled('distinct_count', { window, types: ['bool'] }), said)).toBe(2);
    expect(valueOf(compiled('sum', { window, types: ['bool'] }), said)).toBe(2);
    expect(valueOf(compiled('mean', { window, types: ['bool'] }), said)).toBeCloseTo(2 / 3, 15);
  });

  it('say how long ago the newest one was, also of those that count', () => {
    const at = 63 * SECOND;
    expect(valueOf(compiled('time_since_last'), said, at)).toBe(60);
    expect(valueOf(compiled('time_since_last', { params: { unit: 'm' } }), said, at)).toBe(1);
    const window = { span: 61.5 * SECOND };
    const first = (index: number): boolean => index <= 2;
    expect(valueOf(compiled('time_since_last', { window }), said, at, first)).toBe(61);
    expect(valueOf(compiled('time_since_last', { window }), said, at, (index) => index < 2)).toBe('NULL');
    expect(valueOf(compiled('last', { window }), said, at, first)).toBe(0);
    expect(valueOf(compiled('last', { window }), said, at, () => false)).toBe('NULL');
  });
});
