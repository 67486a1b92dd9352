import { DomainError, type FieldFault } from '@sibyl/kernel';
import { CelEngine } from '../expressions/cel-engine';
import { OPERATORS } from '../operators/catalogue';
import { RuleTally } from '../rules/rule-tally';
import type { DefinitionParts, KnownStreams } from './definition-parts';
import { readDocuments } from './document-text';
import type { FeatureView } from './feature-view';
import { compileView } from './view-compiler';
import { parseView } from './view-definition';

const expressions = new CelEngine();

function partsWith(streams: KnownStreams = { stream: () => undefined }): DefinitionParts {
  return { operators: OPERATORS, expressions, streams };
}

type Json = Record<string, unknown>;

const CLOSE = { name: 'price', op: 'last', input: 'close' };

function document(features: readonly unknown[] = [CLOSE], more: Json = {}): Json {
  const fields = {
    open: 'double',
    high: 'double',
    low: 'double',
    close: 'double',
    volume: 'int?',
    venue: 'string',
    live: 'bool',
  };
  const streams = [
    { name: 'bars', identity: 'event_time', fields },
    { name: 'tx', fields: { amount: 'double', merchant: 'string' } },
    { name: 'profile', table: true, fields: { home: 'string', limit: 'double' } },
  ];
  return { kind: 'FeatureView', name: 'v', entity: { name: 'symbol' }, streams, features, ...more };
}

function parse(features?: readonly unknown[], more?: Json, streams?: KnownStreams): FeatureView {
  return parseView(document(features, more), partsWith(streams));
}

function faultsOf(act: () => unknown): readonly FieldFault[] {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError && error.code === 'invalid_definition') return error.faults ?? [];
    throw error;
  }
  throw new Error('the definition was taken');
}

function fault(features: readonly unknown[], more?: Json): FieldFault {
  const faults = faultsOf(() => parse(features, more));
  expect(faults).toHaveLength(1);
  return faults[0]!;
}

describe('parseView', () => {
  it('fills in what is left out', () => {
    const view = parse();
    expect(view.entity).toEqual({ name: 'symbol', type: 'string', maxLength: 256 });
    expect(view.streams[1]).toEqual({
      ...{
        name: 'tx',
        identity: 'event_id',
        allowedLateness: 600e6,
        retention: 365 * 86_400e6,
        rules: [],
        table: false,
      },
      fields: [
        { name: 'amount', type: 'double', nullable: false },
        { name: 'merchant', type: 'string', nullable: false },
      ],
    });
    expect(view.streams[2]).toMatchObject({ identity: 'event_time', table: true });
    expect(view.features[0]).toEqual({
      ...{
        kind: 'operator',
        name: 'price',
        op: 'last',
        stream: 'bars',
        inputs: ['close'],
        params: {},
        required: false,
      },
      ...{ onNonFinite: 'null', rules: [], outputs: [{ name: '', type: 'double', list: false }] },
    });
  });

  it.each<[string, unknown, Json]>([
    ['a field', { op: 'ema', input: 'close', period: 5 }, { stream: 'bars', inputs: ['close'], params: { period: 5 } }],
    ['a field with its stream', { op: 'last', from: 'bars.close' }, { stream: 'bars', inputs: ['close'] }],
    ['a stream', { op: 'count', input: 'tx', window: '1h' }, { stream: 'tx', inputs: [], window: { span: 3600e6 } }],
    ['a stream as a member', { op: 'last', stream: 'tx', input: 'amount' }, { stream: 'tx', inputs: ['amount'] }],
    ['fields by order', { op: 'atr', inputs: ['open', 'low', 'close'] }, { inputs: ['open', 'low', 'close'] }],
    [
      'fields by name',
      { op: 'atr', inputs: { close: 'open', high: 'high', low: 'low' } },
      { inputs: ['high', 'low', 'open'] },
    ],
    [
      'fields that are called as the operator calls them',
      { op: 'atr' },
      { stream: 'bars', inputs: ['high', 'low', 'close'] },
    ],
    ['events for a window', { op: 'mean', input: 'close', window: 20 }, { window: { events: 20 } }],
    ['a type that follows', { expr: '1 + 2' }, { kind: 'expression', type: 'int' }],
    ['a type that is wider', { expr: '1 + 2', dtype: 'double' }, { type: 'double' }],
    ['a value of the request', { source: 'request', dtype: 'string' }, { kind: 'request', type: 'string' }],
    [
      'a row of the entity',
      { source: 'static', table: 'profile', field: 'limit', key: 'symbol' },
      { type: 'double', field: 'limit' },
    ],
  ])('reads %s', (_what, feature, expected) => {
    expect(parse([{ name: 'f', ...(feature as Json) }]).features[0]).toMatchObject(expected);
  });

  it('is the same version however it is written', () => {
    const view = parse([
      { ...CLOSE, ttl: '90s' },
      { name: 'r', expr: 'price * 2.0' },
    ]);
    const yaml = `
name: v
features:
- {ttl: 1.5m, on_non_finite: ~, op: last, required: false, name: price, stream: bars, inputs: [close]}
- expr: price * 2.0
  dtype: double
  name: r
  rules: []
entity: {type: string, name: symbol, max_length: 256}
streams:
- fields: {venue: string, volume: {nullable: true, type: int}, live: bool, close: double, low: double, high: double, open: double}
  identity: event_time
  allowed_lateness: 600s
  name: bars
- {name: tx, identity: event_id, retention: 365d, fields: {merchant: string, amount: {type: double}}}
- {name: profile, fields: {limit: double, home: string}, table: true, identity: event_time}
`;
    expect(parseView(readDocuments(yaml)[0], partsWith())).toEqual(view);
    expect(view.hash).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it.each<[string, Json]>([
    ['a time', { ttl: '91s' }],
    ['a name', { name: 'price2' }],
    ['a rule', { rules: [{ between: { min: 0 } }] }],
    ['a description', { description: 'x' }],
  ])('is another version with another %s', (_what, change) => {
    expect(parse([{ ...CLOSE, ttl: '90s', ...change }]).hash).not.toBe(parse([{ ...CLOSE, ttl: '90s' }]).hash);
  });

  describe('faults', () => {
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
      [
        'an expression that cannot be read',
        [{ name: 'a', expr: '1 + ' }],
        { pointer: '/features/0/expr', position: 4 },
      ],
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
      [
        'a feature of two kinds',
        [{ name: 'a', op: 'last', input: 'close', expr: '1' }],
        { pointer: '/features/0/expr' },
      ],
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
      [
        'a rule without a check',
        [{ ...CLOSE, rules: [{ action: 'warn' }] }],
        { pointer: '/features/0/rules/0/between' },
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

    it('of cycles name the way', () => {
      const cycle = [
        { name: 'a', expr: 'b + 1' },
        { name: 'b', expr: 'c * 2' },
        { name: 'c', expr: 'price + a' },
        CLOSE,
      ];
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
      ['identity', { streams: [{ name: 's', identity: 'event_ts', fields: { close: 'int' } }] }, '/streams/0/identity'],
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

  describe('a stream that is there already', () => {
    const first = parse().streams[0]!;
    const known: KnownStreams = { stream: (name) => (name === 'bars' ? { view: 'v', definition: first } : undefined) };
    const withFields = (fields: Json): Json => ({ streams: [{ name: 'bars', identity: 'event_time', fields }] });
    const all = {
      venue: 'string',
      volume: 'int?',
      live: 'bool',
      close: 'double',
      low: 'double',
      high: 'double',
      open: 'double',
    };

    it('gains fields behind those that it has, whatever the order in the document', () => {
      const names = (view: FeatureView): readonly string[] => view.streams[0]!.fields.map(({ name }) => name);
      const before = names({ ...parse(), streams: [first] });
      expect(names(parse([CLOSE], withFields({ aaa: 'int', zzz: 'int', ...all }), known))).toEqual([
        ...before,
        'aaa',
        'zzz',
      ]);
    });

    it('has the same hash whatever was there before', () => {
      const more = withFields({ aaa: 'int', ...all });
      expect(parse([CLOSE], more, known).hash).toBe(parse([CLOSE], more).hash);
    });

    it('loses none and changes none', () => {
      const { open: _open, ...without } = all;
      expect(faultsOf(() => parse([CLOSE], withFields(without), known))[0]).toMatchObject({
        pointer: '/streams/0/fields',
      });
      expect(faultsOf(() => parse([CLOSE], withFields({ ...all, open: 'int' }), known))[0]).toMatchObject({
        pointer: '/streams/0/fields',
      });
      expect(faultsOf(() => parse([CLOSE], { streams: [{ name: 'bars', fields: all }] }, known))[0]).toMatchObject({
        pointer: '/streams/0/identity',
      });
    });

    it('belongs to one view; others use it by of', () => {
      const other: KnownStreams = {
        stream: (name) => (name === 'bars' ? { view: 'owner', definition: first } : undefined),
      };
      expect(faultsOf(() => parse([CLOSE], {}, other))[0]).toMatchObject({
        pointer: '/streams/0/name',
        hint: expect.stringContaining('of: owner'),
      });
      const view = parse([CLOSE], { streams: [{ name: 'bars', of: 'owner' }] }, other);
      expect(view.streams[0]).toEqual({ ...first, of: 'owner' });
      expect(view.features[0]).toMatchObject({ stream: 'bars' });
    });
  });
});

describe('compileView', () => {
  it('keys rows of a table by the value of a feature, apart from those of the entity', () => {
    const view = parse([
      { name: 'venue', op: 'last', input: 'venue' },
      { name: 'home', source: 'static', table: 'profile', key: 'venue' },
      { name: 'limit', source: 'static', table: 'profile' },
    ]);
    const plan = compileView(view, { ...partsWith(), tally: new RuleTally() });
    expect(plan.streams.map(({ definition, keyed }) => [definition.name, keyed])).toEqual([
      ...[
        ['bars', false],
        ['profile', true],
        ['profile', false],
      ],
    ]);
    expect(plan.steps[1]).toMatchObject({ kind: 'static', key: 0, stream: 1 });
    expect(plan.steps[2]).toMatchObject({ kind: 'static', stream: 2 });
  });

  it('computes outputs that were not chosen and offers them to nobody', () => {
    const plan = compileView(parse([{ name: 'macd', op: 'macd', input: 'close', outputs: ['hist'] }]), {
      ...partsWith(),
      tally: new RuleTally(),
    });
    expect(plan.steps[0]).toMatchObject({ slot: 0, width: 3 });
    expect(plan.outputs.map(({ name, implicit }) => [name, implicit])).toEqual([
      ...[
        ['macd.line', true],
        ['macd.signal', true],
        ['macd.hist', false],
      ],
    ]);
    expect(
      faultsOf(() =>
        parse([
          { name: 'macd', op: 'macd', input: 'close', outputs: ['hist'] },
          { name: 'a', expr: 'macd.line' },
        ]),
      ),
    ).toHaveLength(1);
  });

  it('evaluates what it compiled', () => {
    const plan = compileView(parse([CLOSE, { name: 'twice', expr: 'price * 2 + bars.open' }]), {
      ...partsWith(),
      tally: new RuleTally(),
    });
    const step = plan.steps.find(({ kind }) => kind === 'expression');
    expect(step?.kind === 'expression' && step.expression.evaluate([3, 0.5])).toBe(6.5);
  });
});
