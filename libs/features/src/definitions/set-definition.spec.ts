import { CLOSE, faultsOf, parse } from '../testing/view-document';
import { diffSets, diffViews } from './definition-diff';
import type { FeatureSet, FeatureView } from './feature-view';
import { parseSet, type KnownViews } from './set-definition';

const FEATURES = [
  { ...CLOSE, default: 1 },
  { name: 'n', op: 'count', input: 'tx', window: '1h' },
  { name: 'macd', op: 'macd', input: 'close' },
  { name: 'last3', op: 'last_n', input: 'close', n: 3 },
  { name: 'venue', op: 'last', input: 'venue' },
];
const old = parse(FEATURES);
const view = parse([...FEATURES, { name: 'more', expr: 'price + 1' }]);
const other = { ...parse([CLOSE], { name: 'w' }), name: 'w' };

const views: KnownViews = {
  view: (name, prefix = '') =>
    [view, old, other].find((one) => one.name === name && one.hash.startsWith(`sha256:${prefix}`)),
  names: () => ['v', 'w'],
};

function set(features: readonly unknown[], more: Record<string, unknown> = {}): FeatureSet {
  return parseSet({ kind: 'FeatureSet', name: 's', features, ...more }, views);
}

describe('parseSet', () => {
  it('keeps the order, pins the versions of the views and takes over types and defaults', () => {
    expect(
      set(['v:macd.hist', 'v:price', { feature: 'v:n', dtype: 'double', default: 0.5, name: 'count' }]).members,
    ).toEqual([
      { name: 'macd.hist', view: 'v', viewHash: view.hash, feature: 'macd.hist', type: 'double' },
      { name: 'price', view: 'v', viewHash: view.hash, feature: 'price', type: 'double', default: 1 },
      { name: 'count', view: 'v', viewHash: view.hash, feature: 'n', type: 'double', default: 0.5 },
    ]);
  });

  it('pins an older version that it names', () => {
    const prefix = old.hash.slice('sha256:'.length, 'sha256:'.length + 12);
    expect(set([`v@${prefix}:price`]).members[0]!.viewHash).toBe(old.hash);
    expect(faultsOf(() => set([`v@${prefix}:more`]))[0]).toMatchObject({ pointer: '/features/0/feature' });
  });

  it('is another version when a view that it uses is', () => {
    const before: KnownViews = { ...views, view: () => old };
    const features = ['v:price'];
    expect(parseSet({ name: 's', features }, before).hash).not.toBe(set(features).hash);
    expect(
      set([{ feature: 'v:price', dtype: 'double', default: 1 }], { on_missing: 'error', min_completeness: 1 }).hash,
    ).toBe(set(features).hash);
  });

  it('needs all values where what is missing is refused, and none where something stands in', () => {
    expect(set(['v:price'])).toMatchObject({ onMissing: 'error', onStale: 'error', minCompleteness: 1 });
    expect(set(['v:price'], { on_missing: null }).minCompleteness).toBe(0);
    expect(set(['v:price'], { on_missing: 'default', on_stale: 'degrade', min_completeness: 0.5 })).toMatchObject({
      onMissing: 'default',
      onStale: 'degrade',
      minCompleteness: 0.5,
    });
  });

  it.each<[string, readonly unknown[], Record<string, unknown>, Record<string, unknown>]>([
    ['a view that is not there', ['vv:price'], {}, { pointer: '/features/0/feature', hint: "did you mean 'v'?" }],
    ['a feature that is not there', ['v:prise'], {}, { pointer: '/features/0/feature', hint: "did you mean 'price'?" }],
    [
      'a feature of several outputs',
      ['v:macd'],
      {},
      { hint: 'it has several outputs: macd.line, macd.signal, macd.hist' },
    ],
    ['a list', ['v:last3'], {}, { pointer: '/features/0/feature' }],
    ['no reference', ['price'], {}, { pointer: '/features/0/feature' }],
    [
      'two of one name',
      ['v:price', 'w:price'],
      {},
      { pointer: '/features/1/name', hint: expect.stringContaining("'v:price'") },
    ],
    ['two versions of a view', ['v:price', `v@${old.hash.slice(7)}:n`], {}, { pointer: '/features/1/feature' }],
    ['another type', [{ feature: 'v:venue', dtype: 'double' }], {}, { pointer: '/features/0/dtype' }],
    ['a narrower type', [{ feature: 'v:price', dtype: 'int' }], {}, { pointer: '/features/0/dtype' }],
    ['a default of another type', [{ feature: 'v:n', default: 0.5 }], {}, { pointer: '/features/0/default' }],
    ['a default that is not there', ['v:n'], { on_missing: 'default' }, { pointer: '/features/0/default' }],
    ['no features', [], {}, { pointer: '/features' }],
    [
      'a member that is not there',
      ['v:price'],
      { on_mising: 'null' },
      { pointer: '/on_mising', hint: "did you mean 'on_missing'?" },
    ],
    ['a share', ['v:price'], { min_completeness: 2 }, { pointer: '/min_completeness' }],
  ])('refuses %s', (_what, features, more, expected) => {
    expect(faultsOf(() => set(features, more))[0]).toMatchObject(expected);
  });
});

describe('a diff', () => {
  const compare = (from: FeatureView, features: readonly unknown[], more = {}): ReturnType<typeof diffViews> =>
    diffViews(from, parse(features, more));

  it('of a view with itself is empty', () => {
    expect(diffViews(view, view)).toMatchObject({
      features: { added: [], removed: [], retyped: [], changed: [] },
      streams: { added: [], removed: [], changed: [] },
      ...{ settings: [], breaking: false, reordered: false },
    });
  });

  it('names what came, what went, what has another type and what is computed in another way', () => {
    const diff = compare(old, [
      { ...CLOSE, default: 1, ttl: '1m' },
      { name: 'n', op: 'sum', input: 'amount', window: '1h' },
      { name: 'macd', op: 'macd', input: 'close', outputs: ['hist'] },
      { name: 'venue', op: 'last', input: 'venue' },
      { name: 'new', expr: '1' },
    ]);
    expect(diff.features).toMatchObject({
      added: ['new'],
      removed: ['macd.line', 'macd.signal', 'last3'],
      retyped: [{ name: 'n', from: 'int', to: 'double' }],
      changed: [{ name: 'price', from: { name: 'price' }, to: { ttl: '1m' } }, { name: 'macd.hist' }],
    });
    expect(diff.breaking).toBe(true);
  });

  it('names streams and settings, which break nobody but by the entity', () => {
    const diff = compare(old, FEATURES, { tags: { owner: 'me' }, description: 'x' });
    expect(diff.settings.map(({ name }) => name)).toEqual(['description', 'tags']);
    expect(diff.breaking).toBe(false);
    expect(compare(old, FEATURES, { entity: { name: 'pair' } }).breaking).toBe(true);
  });

  it('of sets sees another order', () => {
    const [a, b] = [set(['v:price', 'v:n']), set(['v:n', 'v:price'])];
    expect(diffSets(a, b)).toMatchObject({ reordered: true, breaking: true, features: { added: [], removed: [] } });
    expect(diffSets(a, set(['v:price', 'v:n', 'v:more']))).toMatchObject({
      features: { added: ['more'] },
      breaking: false,
    });
    expect(diffSets(a, set(['v:price', { feature: 'v:n', dtype: 'double' }]))).toMatchObject({
      features: { retyped: [{ name: 'n', from: 'int', to: 'double' }] },
      breaking: true,
    });
  });
});
