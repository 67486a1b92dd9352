import { entityKey, type SetSelection } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import { pointerTo, type FeatureAsk, type FeatureQuery } from '@sibyl/prediction';

/** The key of each view of a set; undefined: the request names nobody. Throws what is wrong with the keys. */
export function keysOf({ views }: SetSelection, { query, pointer }: FeatureAsk): readonly string[] | undefined {
  if (query.symbol === undefined && query.entity === undefined) return undefined;
  const base = pointer.slice(0, pointer.lastIndexOf('/'));
  const names = new Set(views.map(({ view }) => view.entity.name));
  const keys: string[] = [];
  for (const {
    view: { entity },
  } of views) {
    const [given, at] = givenKey(query, entity.name, names.size === 1);
    const key = entityKey(entity, given);
    if (typeof key === 'string') {
      keys.push(key);
      continue;
    }
    const missing = given === undefined;
    throw new DomainError(
      missing ? 'input_missing' : 'invalid_parameter',
      missing ? `The features of this model need the key '${entity.name}'.` : `'${entity.name}' is no such key.`,
      { faults: [{ pointer: base + at, expected: key.expected, ...(missing ? { received: 'nothing' } : {}) }] },
    );
  }
  return keys;
}

/** What a request names the key with: by its name in `entity`, `symbol` where that is its name, and either where there is only one. */
function givenKey({ symbol, entity }: FeatureQuery, name: string, only: boolean): readonly [unknown, string] {
  if (typeof entity === 'object') {
    const given = Object.hasOwn(entity, name) ? entity[name] : undefined;
    return given === undefined && name === 'symbol' ? [symbol, '/symbol'] : [given, `/entity${pointerTo('', name)}`];
  }
  if (name === 'symbol' && symbol !== undefined) return [symbol, '/symbol'];
  if (!only) return [undefined, `/entity${pointerTo('', name)}`];
  return entity === undefined ? [symbol, '/symbol'] : [entity, '/entity'];
}
