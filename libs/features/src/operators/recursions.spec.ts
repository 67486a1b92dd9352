import fc from 'fast-check';
import { compiled, compute, seriesOf, valueOf } from './testing';

/** Written from the textbook, over all of the past, to compare with. */
function wholeEma(values: readonly number[], period: number): number {
  let average = values.slice(0, period).reduce((sum, value) => sum + value, 0) / period;
  for (const value of values.slice(period)) average += (2 / (period + 1)) * (value - average);
  return average;
}

function wholeWilder(values: readonly number[], period: number): number {
  let average = values.slice(0, period).reduce((sum, value) => sum + value, 0) / period;
  for (const value of values.slice(period)) average = (average * (period - 1) + value) / period;
  return average;
}

function wholeRsi(values: readonly number[], period: number): number {
  const changes = values.slice(1).map((value, index) => value - values[index]!);
  const gain = wholeWilder(
    changes.map((change) => Math.max(change, 0)),
    period,
  );
  const loss = wholeWilder(
    changes.map((change) => Math.max(-change, 0)),
    period,
  );
  return (100 * gain) / (gain + loss);
}

function wholeMacd(values: readonly number[], [fast, slow, signal]: readonly [number, number, number]): number[] {
  const lines: number[] = [];
  let quick = values.slice(slow - fast, slow).reduce((sum, value) => sum + value, 0) / fast;
  let steady = values.slice(0, slow).reduce((sum, value) => sum + value, 0) / slow;
  lines.push(quick - steady);
  for (const value of values.slice(slow)) {
    quick += (2 / (fast + 1)) * (value - quick);
    steady += (2 / (slow + 1)) * (value - steady);
    lines.push(quick - steady);
  }
  const average = wholeEma(lines, signal);
  return [lines.at(-1)!, average, lines.at(-1)! - average];
}

function wholeAtr(high: readonly number[], low: readonly number[], close: readonly number[], period: number): number {
  const ranges = close.slice(1).map((_, index) => {
    const [top, bottom, before] = [high[index + 1]!, low[index + 1]!, close[index]!];
    return Math.max(top - bottom, Math.abs(top - before), Math.abs(bottom - before));
  });
  return wholeWilder(ranges, period);
}

/** A walk that begins far from where it ends, so that a beginning that is not forgotten shows. */
const walk = (minLength: number, maxLength: number) =>
  fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength, maxLength }).map((steps) => {
    let price = 1000;
    return steps.map((step, index) => (price = index < minLength / 4 ? price + 20 * step : price * 0.99 + 1 + step));
  });

const close = (actual: unknown, expected: number, within: number): void => {
  expect(typeof actual).toBe('number');
  expect(Math.abs((actual as number) - expected)).toBeLessThanOrEqual(within);
};

/** Of the greatest value, which is below 2000. */
const WITHIN = 2000 * 1e-12;

describe('recursive operators', () => {
  it('come from their tail to what all of the past comes to', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), walk(700, 1500), (period, values) => {
        const series = seriesOf([values]);
        close(valueOf(compiled('ema', { params: { period } }), series), wholeEma(values, period), WITHIN);
        close(valueOf(compiled('wilder', { params: { period } }), series), wholeWilder(values, period), WITHIN);
        close(valueOf(compiled('rsi', { params: { period } }), series), wholeRsi(values, period), 100 * 1e-11);
        const high = values.map((value, index) => value + (index % 7) * 0.1);
        const low = values.map((value, index) => value - (index % 5) * 0.1);
        const bars = seriesOf([high, low, values]);
        close(valueOf(compiled('atr', { params: { period } }), bars), wholeAtr(high, low, values, period), WITHIN);
      }),
      { numRuns: 60 },
    );
  });

  it('come from their tail to what all of the past comes to: MACD, also with equal periods', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 1, max: 14 }),
        fc.integer({ min: 1, max: 27 }),
        walk(900, 1500),
        (fast, more, signal, values) => {
          const periods = [fast, fast + more, signal] as const;
          const operator = compiled('macd', { params: { fast, slow: fast + more, signal } });
          const { values: ours } = compute(operator, seriesOf([values]));
          wholeMacd(values, periods).forEach((expected, output) => close(ours[output], expected, WITHIN));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('read nothing before their tail', () => {
    const values = Array.from({ length: 3000 }, (_, index) => 100 + Math.sin(index));
    for (const [name, params] of [
      ['ema', { period: 20 }],
      ['wilder', { period: 14 }],
      ['rsi', {}],
      ['macd', {}],
    ] as const) {
      const operator = compiled(name, { params });
      expect(operator.history).toBeLessThan(3000);
      const cut = values.map((value, index) => (index < values.length - operator.history ? -1e9 : value));
      expect(compute(operator, seriesOf([cut]))).toEqual(compute(operator, seriesOf([values])));
      const later = values.map((value, index) => (index <= values.length - operator.history ? -1e9 : value));
      expect(compute(operator, seriesOf([later]))).not.toEqual(compute(operator, seriesOf([values])));
    }
  });

  it('run over as many events as the definition says', () => {
    const values = Array.from({ length: 2000 }, (_, index) => 100 + index / 50 + Math.sin(index));
    for (const [name, own, whole] of [
      ['ema', { period: 20 }, (tail: readonly number[]) => wholeEma(tail, 20)],
      ['wilder', { period: 14 }, (tail: readonly number[]) => wholeWilder(tail, 14)],
      ['rsi', {}, (tail: readonly number[]) => wholeRsi(tail, 14)],
      ['macd', {}, (tail: readonly number[]) => wholeMacd(tail, [12, 26, 9])[0]!],
      ['atr', {}, (tail: readonly number[]) => wholeAtr(tail, tail, tail, 14)],
    ] as const) {
      const bars = name === 'atr' ? [values, values, values] : [values];
      const exact = compiled(name, { params: own });
      for (const history of [50, exact.history, 1500]) {
        const approx = history < exact.history && { allow_approx: true };
        const operator = compiled(name, { params: { ...own, history, ...approx } });
        expect(operator.history).toBe(history);
        close(valueOf(operator, seriesOf(bars)), whole(values.slice(-history)), WITHIN);
      }
      const few = compute(compiled(name, { params: { ...own, history: 50, allow_approx: true } }), seriesOf(bars));
      expect(few.values).not.toEqual(compute(exact, seriesOf(bars)).values);
    }
    // Longer than what is kept of an entity, where less will do.
    expect(compiled('ema', { params: { period: 2000, history: 16_384, allow_approx: true } }).history).toBe(16_384);
  });

  it('pass over nulls', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.boolean()), { minLength: 1, maxLength: 120 }),
        (events) => {
          const withNulls = events.map(([value, there]) => (there ? value / 100 : null));
          const without = withNulls.filter((value) => value !== null);
          for (const [name, params] of [
            ['ema', { period: 10 }],
            ['wilder', { period: 9 }],
            ['rsi', { period: 7 }],
            ['macd', { fast: 3, slow: 8, signal: 4 }],
          ] as const) {
            const operator = compiled(name, { params });
            expect(compute(operator, seriesOf([withNulls]))).toEqual(compute(operator, seriesOf([without])));
          }
          const columns = (values: readonly (number | null)[]) => [
            values.map((value) => value && value + 1),
            values,
            values,
          ];
          const atr = compiled('atr', { params: { period: 3 } });
          expect(compute(atr, seriesOf(columns(withNulls)))).toEqual(compute(atr, seriesOf(columns(without))));
        },
      ),
    );
  });

  it.each([
    ['ema', { period: 10 }, 10],
    ['wilder', { period: 10 }, 10],
    ['rsi', {}, 15],
    ['macd', {}, 34],
    ['atr', {}, 15],
    ['bollinger', {}, 20],
    ['lag', { n: 3 }, 4],
    ['last_n', { n: 3 }, 3],
    ['returns', {}, 2],
    ['log_returns', { n: 2 }, 3],
    ['last', {}, 1],
    ['time_since_last', {}, 1],
  ])('%s with %j says how many events it has and needs until there are %i', (name, params, need) => {
    const operator = compiled(name, { params });
    for (const have of [0, need - 1]) {
      const column = Array.from({ length: have }, (_, index) => 100 + index);
      expect(compute(operator, seriesOf([column, column, column]))).toEqual({
        values: operator.outputs.map(() => null),
        status: 'WARMING_UP',
        have,
        need,
      });
    }
    const column = Array.from({ length: need }, (_, index) => 100 + index);
    expect(compute(operator, seriesOf([column, column, column])).status).toBe('PRESENT');
  });

  it('have an answer for a flat series', () => {
    const flat = seriesOf([Array.from({ length: 600 }, () => 0.1)]);
    const level = (name: string, params = {}) => compute(compiled(name, { params }), flat).values;
    expect(level('rsi')).toEqual([0]);
    expect(level('macd')).toEqual([0, 0, 0].map((zero) => expect.closeTo(zero, 15)));
    expect(level('bollinger')).toEqual([0.1, 0.1, 0.1, 0.5]);
    expect(level('ema', { period: 10 })).toEqual([expect.closeTo(0.1, 15)]);
    expect(level('returns')).toEqual([0]);
  });

  it('say where arithmetic has no answer', () => {
    const status = (name: string, values: number[]) => compute(compiled(name), seriesOf([values]));
    expect(status('returns', [0, 1])).toMatchObject({ status: 'NON_FINITE', values: [null] });
    expect(status('log_returns', [-1, -2])).toMatchObject({ status: 'NON_FINITE', values: [null] });
    expect(
      status(
        'macd',
        Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 1.7e308 : -1.7e308)),
      ),
    ).toMatchObject({
      status: 'NON_FINITE',
      values: [null, null, null],
    });
  });
});
