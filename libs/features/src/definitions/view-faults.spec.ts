import type { FieldFault } from '@sibyl/kernel';
import { CLOSE, faultsOf, parse, partsWith, type Json } from '../testing/view-document';
import { parseView } from './view-definition';

function fault(features: readonly unknown[], more?: Json): FieldFault {
  const faults = faultsOf(() => parse(features, more));
  expect(faults).toHaveLength(1);
  return faults[0]!;
}

describe('faults of a view', () => {
  it('come all at once, each with its pointer', () => {
    const faults = faultsOf(() =>
      parse(
        [
          { name: 'a', op: 'eam', input: 'close' },
          { name: 'b', op: 'ema', input: 'clsoe', period: 3 },
          { name: 'c', expr: 'prise * 2' },
          { name: 'd', op: 'mean', input: 'close', window: 'soon', widnow: 3 },
          CLOSE,
          'text',
        ],
        { entity: { name: 'Symbol' }, tags: { a: 1 }, freshnes_slo: '1m' },
      ),
    );
    expect(faults.map(({ pointer, hint }) => [pointer, hint])).toEqual([
      ['/entity/name', undefined],
      ['/features/5', undefined],
      ['/features/0/op', "did you mean 'ema'?"],
      ['/features/1/input', "did you mean 'close'?"],
      ['/features/3/window', undefined],
      ['/features/3/widnow', "did you mean 'window'?"],
      ['/tags/a', undefined],
      ['/freshnes_slo', "did you mean 'freshness_slo'?"],
      ['/features/2/expr', "there is no 'prise': did you mean 'price'?"],
    ]);
  });

  it.each<[string, readonly unknown[], Partial<FieldFault>]>([
    ['an expression that cannot be read', [{ name: 'a', expr: '1 + ' }], { pointer: '/features/0/expr', position: 4 }],
    [
      'types in an expression',
      [CLOSE, { name: 'a', expr: '1 + (price + bars.venue)' }],
      { pointer: '/features/1/expr', position: 5 },
    ],
    [
      'another type than is promised',
      [{ name: 'a', expr: '1.5', dtype: 'int' }],
      { pointer: '/features/0/expr', position: 0 },
    ],
    [
      'a condition on a field that is not there',
      [{ name: 'a', op: 'sum', input: 'amount', window: '1h', where: 'amont > 1' }],
      { pointer: '/features/0/where', position: 0, hint: "there is no 'amont': did you mean 'amount'?" },
    ],
    [
      'a condition that is none',
      [{ name: 'a', op: 'sum', input: 'amount', window: '1h', where: 'amount' }],
      { pointer: '/features/0/where' },
    ],
    [
      'a condition without a window by time',
      [{ name: 'a', op: 'sum', input: 'amount', window: 5, where: 'amount > 1' }],
      { pointer: '/features/0/where' },
    ],
    [
      'a parameter of another operator',
      [{ name: 'a', op: 'rsi', input: 'close', fast: 3 }],
      { pointer: '/features/0/fast' },
    ],
    [
      'a history that is too short',
      [{ name: 'a', op: 'ema', input: 'close', period: 26, history: 100 }],
      { pointer: '/features/0/history' },
    ],
    [
      'a history of what has none',
      [{ name: 'a', op: 'mean', input: 'close', window: 5, history: 100 }],
      { pointer: '/features/0/history' },
    ],
    [
      'a parameter as others write it',
      [{ name: 'a', op: 'ema', input: 'close', period: 26, history: 500, allowApprox: true }],
      { pointer: '/features/0/allowApprox', hint: "did you mean 'allow_approx'?" },
    ],
    [
      'a parameter that is none',
      [{ name: 'a', op: 'ema', input: 'close', period: [26] }],
      { pointer: '/features/0/period', expected: 'a number, a short text, true or false' },
    ],
    [
      'a parameter out of range',
      [{ name: 'a', op: 'rsi', input: 'close', period: 1 }],
      { pointer: '/features/0/period' },
    ],
    [
      'a field of the wrong type',
      [{ name: 'a', op: 'mean', input: 'venue', window: 5 }],
      { pointer: '/features/0/input' },
    ],
    ['a field of several streams', [{ name: 'a', op: 'last', input: 'close.x.y' }], { pointer: '/features/0/input' }],
    [
      'a stream that is not there',
      [{ name: 'a', op: 'count', input: 'txs', window: '1h' }],
      { pointer: '/features/0/input', hint: "did you mean 'tx'?" },
    ],
    [
      'a window longer than events are kept',
      [{ name: 'a', op: 'count', input: 'tx', window: '400d' }],
      { pointer: '/features/0/window' },
    ],
    ['two features of one name', [CLOSE, { ...CLOSE }], { pointer: '/features/1/name' }],
    ['a feature of two kinds', [{ name: 'a', op: 'last', input: 'close', expr: '1' }], { pointer: '/features/0/expr' }],
    [
      'outputs that an operator has not',
      [{ name: 'a', op: 'macd', input: 'close', outputs: ['line', 'histogram'] }],
      { pointer: '/features/0/outputs', expected: 'some of line, signal, hist' },
    ],
    [
      'a default of another type',
      [{ name: 'a', op: 'last', input: 'venue', default: 1 }],
      { pointer: '/features/0/default' },
    ],
    [
      'a default for what is not finite that is not there',
      [{ ...CLOSE, on_non_finite: 'default' }],
      { pointer: '/features/0/default' },
    ],
    [
      'a table that is a stream',
      [{ name: 'a', source: 'static', table: 'tx', field: 'amount' }],
      { pointer: '/features/0/table' },
    ],
    [
      'a key that is no name of a row',
      [CLOSE, { name: 'home', source: 'static', table: 'profile', key: 'price' }],
      { pointer: '/features/1/key' },
    ],
    ['a reserved name', [{ name: 'request_time', expr: '1' }], { pointer: '/features/0/name' }],
    ['a rule without a check', [{ ...CLOSE, rules: [{ action: 'warn' }] }], { pointer: '/features/0/rules/0/between' }],
    [
      'a bound as others write it',
      [{ ...CLOSE, rules: [{ between: { min: 0, strict: true } }] }],
      { pointer: '/features/0/rules/0/between/strict', hint: "did you mean 'strict_min' or 'strict_max'?" },
    ],
    ['a rule for another type', [{ ...CLOSE, rules: [{ regex: 'a' }] }], { pointer: '/features/0/rules/0/regex' }],
    [
      'a rule that compares',
      [{ ...CLOSE, rules: [{ monotonic: 'increasing' }] }],
      { pointer: '/features/0/rules/0/monotonic' },
    ],
    [
      'an expression of a rule',
      [{ ...CLOSE, rules: [{ expression: 'value > "a"' }] }],
      { pointer: '/features/0/rules/0/expression', position: 0 },
    ],
    [
      'a rule on several values',
      [{ name: 'a', op: 'last_n', input: 'close', n: 3, rules: [{ between: { min: 0 } }] }],
      { pointer: '/features/0/rules' },
    ],
  ])('name %s', (_what, features, expected) => expect(fault(features)).toMatchObject(expected));

  it.each([
    ['re2_regex', 'a', "did you mean 'regex'?"],
    ['max_abs_change', 5, "did you mean 'max_change'?"],
    ['not_older_than', '1h', "did you mean 'max_age'?"],
    ['unique_id', true, /did you mean 'unique'/],
    ['dtype', 'double', /type stands with the field/],
    ['not_null', { mostly: 0.9 }, /ends in '\?'/],
    ['finite', true, /NON_FINITE/],
  ])('know the check %s by what it is called elsewhere', (check, value, hint) => {
    const { pointer, hint: said } = fault([{ ...CLOSE, rules: [{ [check]: value, action: 'warn' }] }]);
    expect(pointer).toBe(`/features/0/rules/0/${check}`);
    expect(said).toMatch(hint);
  });

  it('of cycles name the way', () => {
    const cycle = [{ name: 'a', expr: 'b + 1' }, { name: 'b', expr: 'c * 2' }, { name: 'c', expr: 'price + a' }, CLOSE];
    expect(fault(cycle)).toMatchObject({ pointer: '/features/0/expr', hint: 'cycle: a → b → c → a' });
    expect(fault([{ name: 'a', expr: 'a + 1' }])).toMatchObject({ hint: 'cycle: a → a' });
  });

  it('of a feature are not repeated for those that read it', () => {
    expect(
      fault([
        { name: 'a', op: 'rsi', input: 'close', period: 1 },
        { name: 'b', expr: 'a + 1.0' },
        { name: 'c', expr: 'b + a' },
      ]).pointer,
    ).toBe('/features/0/period');
  });

  it.each<[string, Json, string]>([
    ['fields', { streams: [{ name: 's', fields: { a: 'dubble' } }] }, '/streams/0/fields/a'],
    ['names of fields', { streams: [{ name: 's', fields: { 'a-b': 'double' } }] }, '/streams/0/fields/a-b'],
    ['no fields', { streams: [{ name: 's', fields: {} }] }, '/streams/0/fields'],
    [
      'two streams of one name',
      {
        streams: [
          { name: 's', fields: { close: 'int' } },
          { name: 's', fields: { b: 'int' } },
        ],
      },
      '/streams/1/name',
    ],
    ['identity', { streams: [{ name: 's', identity: 'event_tim', fields: { close: 'int' } }] }, '/streams/0/identity'],
    [
      'a table of events',
      { streams: [{ name: 's', table: true, identity: 'event_id', fields: { close: 'int' } }] },
      '/streams/0/identity',
    ],
    [
      'a rule on a field that is not there',
      { streams: [{ name: 's', fields: { close: 'int' }, rules: [{ field: 'x', between: { min: 0 } }] }] },
      '/streams/0/rules/0/field',
    ],
    [
      'null where there may be none',
      {
        streams: [
          { name: 's', fields: { close: 'int' }, rules: [{ field: 'close', between: { min: 0 }, action: 'null' }] },
        ],
      },
      '/streams/0/rules/0/action',
    ],
    [
      'clamping to a bound that is out',
      {
        streams: [
          {
            name: 's',
            fields: { close: 'int' },
            rules: [{ field: 'close', between: { min: 0, strict_min: true }, action: 'clamp' }],
          },
        ],
      },
      '/streams/0/rules/0/action',
    ],
    [
      'an empty range',
      {
        streams: [{ name: 's', fields: { close: 'int' }, rules: [{ field: 'close', between: { min: 2, max: 1 } }] }],
      },
      '/streams/0/rules/0/between',
    ],
    ['a pattern', { entity: { name: 'e', pattern: '(' } }, '/entity/pattern'],
    ['a kind', { kind: 'FeatureSet' }, '/kind'],
    [
      'a stream of a view that has none',
      {
        streams: [
          { name: 'bars', of: 'w' },
          { name: 's', fields: { close: 'int' } },
        ],
      },
      '/streams/0/of',
    ],
  ])('name %s', (_what, more, pointer) => expect(faultsOf(() => parse([CLOSE], more))[0]).toMatchObject({ pointer }));

  it.each(['30m', '3654d'])('of a time that is out of bounds name them: retention %s', (retention) => {
    const streams = [{ name: 'bars', retention, fields: { close: 'double' } }];
    expect(faultsOf(() => parse([CLOSE], { streams }))[0]).toMatchObject({
      pointer: '/streams/0/retention',
      expected: 'a time from 1h to 3653d',
    });
  });

  it('are at most a hundred', () => {
    expect(faultsOf(() => parse(Array.from({ length: 512 }, () => 1)))).toHaveLength(100);
    expect(faultsOf(() => parse(Array.from({ length: 513 }, () => CLOSE)))[0]).toMatchObject({
      pointer: '/features',
    });
  });

  it.each([
    null,
    1,
    'x',
    [],
    [[]],
    { a: 1 },
    JSON.parse('{"__proto__": 1, "constructor": {}, "features": [{"__proto__": {}}]}'),
  ])('are the answer to %j', (value) =>
    expect(faultsOf(() => parseView(value, partsWith())).length).toBeGreaterThan(0),
  );
});
