/** Hot path: asked for each row that leaves features out. */
import { entityKey, type SetSelection } from '@sibyl/features';
import { DomainError, received } from '@sibyl/kernel';
import { pointerTo, RequestFaults, type FeatureAsk, type FeatureQuery } from '@sibyl/prediction';

/** The key of each view of a set; undefined: the request names nobody. Throws what is wrong with the keys. */
export function keysOf({ views }: SetSelection, ask: FeatureAsk): readonly string[] | undefined {
  const { query } = ask;
  if (query.symbol === undefined && query.entity === undefined) return undefined;
  checkNames(views, ask);
  const only = areOfOne(views);
  const keys: string[] = [];
  for (const { view } of views) {
    const { entity } = view;
    const source = sourceOf(query, entity.name, only);
    const given = givenBy(query, entity.name, source);
    const key = entityKey(entity, given);
    if (typeof key !== 'string') throw unknownKey(ask, { name: entity.name, source, given, ...key });
    keys.push(key);
  }
  return keys;
}

/** A key that no view has is refused, as `symbol` and `entity` are that say different things of one. */
function checkNames(views: SetSelection['views'], { query: { symbol, entity }, pointer }: FeatureAsk): void {
  const request = pointer.slice(0, pointer.lastIndexOf('/'));
  if (typeof entity === 'object') {
    for (const name in entity) {
      if (views.some(({ view }) => view.entity.name === name)) continue;
      const faults = new RequestFaults();
      faults.unknown(`${request}/entity`, Object.keys(entity), new Set(views.map(({ view }) => view.entity.name)));
      throw faults.error();
    }
  } else if (entity !== undefined && symbol !== undefined && entity !== symbol && areOfOne(views)) {
    // Of views of something else, `entity` is the key, and `symbol` what the caller calls the request.
    if (views[0]?.view.entity.name !== 'symbol') return;
    throw new DomainError('invalid_parameter', "'symbol' and 'entity' name different symbols.", {
      faults: [
        { pointer: `${request}/entity`, expected: "what 'symbol' says, or nothing", received: received(entity) },
      ],
    });
  }
}

function areOfOne(views: SetSelection['views']): boolean {
  for (const { view } of views) if (view.entity.name !== views[0]?.view.entity.name) return false;
  return true;
}

/** Which member of a request names a key. */
type KeySource = 'symbol' | 'entity' | 'member of entity';

/** By its name in `entity`, `symbol` where that is its name, and either where there is only one. */
function sourceOf({ symbol, entity }: FeatureQuery, name: string, only: boolean): KeySource {
  if (typeof entity === 'object')
    return name === 'symbol' && !Object.hasOwn(entity, name) ? 'symbol' : 'member of entity';
  if (name === 'symbol' && symbol !== undefined) return 'symbol';
  if (!only) return 'member of entity';
  return entity === undefined ? 'symbol' : 'entity';
}

function givenBy({ symbol, entity }: FeatureQuery, name: string, source: KeySource): unknown {
  if (source === 'symbol') return symbol;
  if (source === 'entity') return entity;
  return typeof entity === 'object' && Object.hasOwn(entity, name) ? entity[name] : undefined;
}

interface WrongKey {
  readonly name: string;
  readonly source: KeySource;
  readonly given: unknown;
  readonly expected: string;
}

function unknownKey({ pointer }: FeatureAsk, { name, source, given, expected }: WrongKey): DomainError {
  const request = pointer.slice(0, pointer.lastIndexOf('/'));
  const at = request + (source === 'member of entity' ? `/entity${pointerTo('', name)}` : `/${source}`);
  const faults = [{ pointer: at, expected, received: received(given) }];
  if (given === undefined)
    return new DomainError('input_missing', `The features of this model need the key '${name}'.`, { faults });
  return new DomainError('invalid_parameter', `'${name}' is no such key.`, { faults });
}
