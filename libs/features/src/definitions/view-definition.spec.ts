import type { KnownStreams } from './definition-parts';
import { readDocuments } from './document-text';
import type { FeatureView } from './feature-view';
import { CLOSE, faultsOf, parse, partsWith, type Json } from '../testing/view-document';
import { parseView } from './view-definition';

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

  it('keeps a history that is written, and what it allows', () => {
    const feature = { name: 'a', op: 'ema', input: 'close', period: 900, history: 5000, allow_approx: true };
    const [written] = parse([feature]).features;
    expect(written).toMatchObject({ params: { period: 900, history: 5000, allow_approx: true } });
    expect(parse([feature]).hash).not.toBe(parse([{ ...feature, history: 5001 }]).hash);
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
      const without: Json = { ...all };
      delete without['open'];
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
