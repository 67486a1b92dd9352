import type { SetSelection } from '@sibyl/features';
import type { FeatureAsk, FeatureQuery } from '@sibyl/prediction';
import { keysOf } from './row-keys';

/** A set of views of these entities. */
const setOf = (...entities: string[]): SetSelection => {
  const views = entities.map((name) => ({ view: { entity: { name, type: 'string', maxLength: 16 } } }));
  return { views } as unknown as SetSelection;
};
const asking = (query: FeatureQuery): FeatureAsk => ({ query, features: {}, pointer: '/requests/1/features' });

describe('the keys that a request names', () => {
  it.each<[string, string[], FeatureQuery, string[] | undefined]>([
    ['nobody', ['symbol'], {}, undefined],
    ['a symbol', ['symbol'], { symbol: 'A' }, ['A']],
    ['a symbol, by entity', ['symbol'], { entity: 'A' }, ['A']],
    ['a symbol twice', ['symbol'], { symbol: 'A', entity: 'A' }, ['A']],
    ['one key of all views', ['card', 'card'], { entity: 'A' }, ['A', 'A']],
    ['one key, by symbol', ['card'], { symbol: 'A' }, ['A']],
    ['one key, and what the caller calls the request', ['card'], { symbol: 'r-17', entity: 'A' }, ['A']],
    ['each by its name', ['symbol', 'card'], { entity: { symbol: 'A', card: 'B' } }, ['A', 'B']],
    [
      'each by its name, and the symbol as such',
      ['card', 'symbol'],
      { symbol: 'A', entity: { card: 'B' } },
      ['B', 'A'],
    ],
  ])('%s', (_what, entities, query, keys) => {
    expect(keysOf(setOf(...entities), asking(query))).toEqual(keys);
  });

  it.each<[string, string[], FeatureQuery, string, string]>([
    ['two symbols', ['symbol'], { symbol: 'A', entity: 'B' }, 'invalid_parameter', '/entity'],
    [
      'two symbols of several views',
      ['symbol', 'symbol'],
      { symbol: 'A', entity: 'B' },
      'invalid_parameter',
      '/entity',
    ],
    ['one of two keys', ['symbol', 'card'], { symbol: 'A' }, 'input_missing', '/entity/card'],
    [
      'a symbol, and a text for another key',
      ['symbol', 'card'],
      { symbol: 'A', entity: 'B' },
      'input_missing',
      '/entity/card',
    ],
    ['one text for two keys', ['symbol', 'card'], { entity: 'A' }, 'input_missing', '/entity/symbol'],
    ['one of two keys, by its name', ['symbol', 'card'], { entity: { card: 'A' } }, 'input_missing', '/symbol'],
    ['no key by its name', ['card'], { symbol: 'A', entity: {} }, 'input_missing', '/entity/card'],
    ['what every object has', ['constructor'], { entity: {} }, 'input_missing', '/entity/constructor'],
    ['a name with a slash', ['a/b'], { entity: {} }, 'input_missing', '/entity/a~1b'],
    ['a key of no view', ['card'], { entity: { card: 'A', crd: 'B' } }, 'unknown_field', '/entity/crd'],
    ['what is no key', ['card'], { symbol: 'x'.repeat(17) }, 'invalid_parameter', '/symbol'],
    ['no text', ['card'], { entity: { card: '' } }, 'invalid_parameter', '/entity/card'],
  ])('are refused: %s', (_what, entities, query, code, pointer) => {
    const faults = [expect.objectContaining({ pointer: `/requests/1${pointer}` })];
    expect(() => keysOf(setOf(...entities), asking(query))).toThrow(expect.objectContaining({ code, faults }));
  });
});
