import fc from 'fast-check';
import type { Series } from '../engine/series';
import { OPERATORS } from './catalogue';
import { computed } from './computed';
import { OperatorFault, type CompiledOperator } from './operator';
import { compiled, compute, seriesOf } from './testing';

const SECOND = 1_000_000;

/** Each operator in the forms that it can have. */
const FORMS: readonly (readonly [string, Parameters<typeof compiled>[1]])[] = [
  ['last', {}],
  ['last', { window: { span: 9 * SECOND } }],
  ['lag', { params: { n: 2 } }],
  ['last_n', { params: { n: 3 } }],
  ['ema', { params: { period: 5 } }],
  ['wilder', { params: { period: 5 } }],
  ['rsi', { params: { period: 5 } }],
  ['macd', { params: { fast: 2, slow: 4, signal: 2 } }],
  ['bollinger', { params: { period: 5 } }],
  ['atr', { params: { period: 5 } }],
  ['returns', {}],
  ['log_returns', {}],
  ['time_since_last', {}],
  ['obv', { window: { events: 8 } }],
  ['obv', { window: { span: 9 * SECOND } }],
  ...['sum', 'mean', 'min', 'max', 'std', 'var', 'median', 'zscore', 'vwap', 'distinct_count'].flatMap(
    (name) =>
      [
        [name, { window: { events: 8 } }],
        [name, { window: { span: 9 * SECOND } }],
        [name, { window: { span: 9 * SECOND }, tile: 2 * SECOND }],
      ] as const,
  ),
  ...['count', 'rate'].flatMap(
    (name) =>
      [
        [name, { window: { span: 9 * SECOND } }],
        [name, { window: { span: 9 * SECOND }, tile: 2 * SECOND }],
      ] as const,
  ),
  ['quantile', { params: { q: 0.9 }, window: { events: 8 } }],
  ['quantile', { params: { q: 0.9, relative_error: 0.01 }, window: { span: 9 * SECOND }, tile: 3 * SECOND }],
];

const column = fc.array(fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { freq: 5 }), {
  minLength: 40,
  maxLength: 40,
});

describe('the catalogue', () => {
  it('has every operator that definitions can name', () => {
    const names =
      'last lag last_n count sum mean min max std var median quantile zscore ema wilder rsi macd bollinger atr obv vwap ' +
      'returns log_returns distinct_count time_since_last rate';
    expect([...OPERATORS.keys()]).toEqual(names.split(' '));
    expect([...new Set(FORMS.map(([name]) => name))].sort()).toEqual([...OPERATORS.keys()].sort());
  });

  it.each(FORMS)(
    '%s with %j is a function of its events: another entity between leaves nothing behind',
    (name, definition) => {
      const operator = compiled(name, definition);
      fc.assert(
        fc.property(
          fc.array(column, { minLength: 6, maxLength: 6 }),
          fc.integer({ min: 0, max: 40 }),
          (columns, length) => {
            const one = seriesOf(columns.slice(0, 3));
            const other: Series = { ...seriesOf(columns.slice(3)), end: length };
            const out = computed(operator.outputs.length);
            operator.compute(one, 40 * SECOND, out);
            const before = structuredClone(out);
            operator.compute(other, 40 * SECOND, computed(operator.outputs.length));
            expect(compute(operator, one, 40 * SECOND)).toEqual({
              ...before,
              have: expect.anything(),
              need: expect.anything(),
            });
            operator.compute(one, 40 * SECOND, out);
            expect({ values: out.values, status: out.status }).toEqual({
              values: before.values,
              status: before.status,
            });
          },
        ),
        { numRuns: 25 },
      );
    },
  );

  it.each(FORMS)('%s with %j does not see what lies outside its series', (name, definition) => {
    const operator = compiled(name, definition);
    fc.assert(
      fc.property(
        fc.array(column, { minLength: 3, maxLength: 3 }),
        fc.integer({ min: 0, max: 10 }),
        fc.integer({ min: 10, max: 40 }),
        (columns, start, end) => {
          const part: Series = { ...seriesOf(columns), start, end };
          const times = Array.from({ length: end - start }, (_, index) => (start + index) * SECOND);
          const alone = seriesOf(
            columns.map((values) => values.slice(start, end)),
            times,
          );
          expect(compute(operator, part, end * SECOND)).toEqual(compute(operator, alone, end * SECOND));
        },
      ),
      { numRuns: 25 },
    );
  });

  it.each(FORMS)('%s with %j has an answer for numbers of every size', (name, definition) => {
    const operator = compiled(name, definition);
    const size = fc.constantFrom(
      0,
      -0,
      5e-324,
      -1e-310,
      1e-9,
      1e9,
      1.7e308,
      -1.7e308,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      null,
    );
    fc.assert(
      fc.property(
        fc.array(fc.array(size, { minLength: 12, maxLength: 12 }), { minLength: 3, maxLength: 3 }),
        (columns) => {
          const { values, status } = compute(operator, seriesOf(columns), 12 * SECOND);
          if (name === 'last' || name === 'lag' || name === 'last_n') return;
          expect(values.every((value) => (status === 'PRESENT' ? Number.isFinite(value) : value === null))).toBe(true);
        },
      ),
    );
  });

  it.each(FORMS)('%s with %j says what it may depend on', (name, definition) => {
    const operator: CompiledOperator = compiled(name, definition);
    expect(operator.history > 0).toBe(operator.span === 0);
    expect(operator.tiles !== undefined).toBe(definition?.tile !== undefined);
    expect(operator.outputs.length).toBeGreaterThan(0);
    const isRateOfTiles = name === 'rate' && operator.tiles !== undefined;
    expect(operator.timed).toBe(isRateOfTiles || name === 'time_since_last');
  });
});

describe('a definition that an operator cannot take', () => {
  const span = { span: 60 * SECOND };
  it.each<[string, Parameters<typeof compiled>[1], string, RegExp]>([
    ['ema', {}, 'period', /needs 'period' between 2 and/],
    ['ema', { params: { period: 1 } }, 'period', /between 2 and 10000, not 1/],
    ['ema', { params: { period: 2.5 } }, 'period', /whole number, not 2.5/],
    ['ema', { params: { period: 'ten' } }, 'period', /number between .* not "ten"/],
    ['ema', { params: { period: Number.NaN } }, 'period', /number between/],
    ['ema', { params: { period: 900 } }, 'period', /would depend on 16669 events; at most 16384/],
    [
      'ema',
      { params: { period: 9, history: 184 } },
      'history',
      /depends on 185 events; from 184 .* 'allow_approx: true'/,
    ],
    ['ema', { params: { period: 9, history: 8, allow_approx: true } }, 'history', /between 9 and 16384, not 8/],
    ['rsi', { params: { history: 14, allow_approx: true } }, 'history', /between 15 and/],
    ['macd', { params: { history: 33, allow_approx: true } }, 'history', /between 34 and/],
    ['ema', { params: { period: 9, history: true } }, 'history', /a number between/],
    ['ema', { params: { period: 9, history: 20_000 } }, 'history', /between 9 and 16384/],
    ['ema', { params: { period: 9, allow_approx: true } }, 'allow_approx', /beside 'history' only/],
    ['ema', { params: { period: 9, history: 200, allow_approx: 1 } }, 'allow_approx', /true or false/],
    ['mean', { params: { history: 200 }, window: span }, 'history', /does not take 'history'/],
    ['ema', { params: { period: 9, periods: 3 } }, 'periods', /does not take 'periods'; it takes period/],
    ['ema', { params: { period: 9 }, window: span }, 'window', /takes no window/],
    ['ema', { params: { period: 9 }, tile: SECOND }, 'tile', /takes no tile/],
    ['ema', { params: { period: 9 }, types: ['string'] }, 'input', /'field_0' is string/],
    ['ema', { params: { period: 9 }, types: [] }, 'input', /takes 1 \(input\), not 0/],
    ['rsi', { params: { period: 432 } }, 'period', /16416 events/],
    ['macd', { params: { fast: 26, slow: 26 } }, 'fast', /'fast' below 'slow'/],
    ['macd', { params: { slow: 1000 } }, 'slow', /events; at most/],
    ['atr', { types: ['double', 'double'] }, 'input', /takes 3 \(high, low, close\), not 2/],
    ['count', { types: ['double'], window: span }, 'input', /takes no input field, not 1/],
    ['count', {}, 'window', /needs a window by time/],
    ['count', { window: { events: 4 } }, 'window', /needs a window by time/],
    ['rate', { window: span, params: { unit: 'year' } }, 'unit', /one of ms, s, m, h, d, not "year"/],
    ['rate', { window: span, params: { unit: 60 } }, 'unit', /not 60/],
    ['sum', {}, 'window', /needs a window: a number of events or a time/],
    ['sum', { window: { events: 0 } }, 'window', /1 event or more/],
    ['sum', { window: { events: 16_385 } }, 'window', /at most 16384/],
    ['sum', { window: { events: 4 }, tile: SECOND }, 'tile', /takes no tile/],
    ['sum', { window: { span: 0 } }, 'window', /longer than nothing/],
    ['sum', { window: span, tile: 61 * SECOND }, 'tile', /not longer than its window/],
    ['sum', { window: span, tile: 0 }, 'tile', /longer than nothing/],
    ['sum', { window: { span: 4097 * SECOND }, tile: SECOND }, 'tile', /4097 tiles/],
    ['sum', { window: span, types: ['string'] }, 'input', /double or int or bool/],
    ['min', { window: span, types: ['bool'] }, 'input', /double or int; 'field_0' is bool/],
    ['obv', {}, 'window', /needs a window/],
    ['obv', { window: span, tile: SECOND }, 'tile', /takes no tile/],
    ['last', { window: { events: 3 } }, 'window', /takes no window/],
    ['last', { tile: SECOND }, 'tile', /takes no tile/],
    ['last_n', { params: { n: 1025 } }, 'n', /between 1 and 1024/],
    ['lag', { params: { n: 16_384 } }, 'n', /between 1 and 16383/],
    ['quantile', { window: span }, 'q', /needs 'q'/],
    ['quantile', { window: span, params: { q: 1.5 } }, 'q', /between 0 and 1/],
    ['median', { window: span, params: { relative_error: 0.01 } }, 'relative_error', /exact without tiles/],
    ['std', { window: span, params: { sample: 2 } }, 'sample', /between 0 and 1/],
    ['zscore', { window: span, params: { sample: 1 } }, 'sample', /does not take 'sample'/],
    ['bollinger', { params: { deviations: 0 } }, 'deviations', /between 0.01 and 100/],
    ['time_since_last', { window: { events: 2 } }, 'window', /window by time or none/],
    ['time_since_last', { tile: SECOND, window: span }, 'tile', /takes no tile/],
  ])('%s with %j: %s', (name, definition, member, message) => {
    let fault: unknown;
    try {
      compiled(name, definition);
    } catch (error) {
      fault = error;
    }
    expect(fault).toBeInstanceOf(OperatorFault);
    expect((fault as OperatorFault).member).toBe(member);
    expect((fault as OperatorFault).message).toMatch(message);
    expect((fault as OperatorFault).message.startsWith(`${name} `)).toBe(true);
  });
});
