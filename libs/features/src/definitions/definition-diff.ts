import { canonicalJson, canonicalSet, canonicalView, type CanonicalDocument } from './canonical';
import type { FeatureSet, FeatureView } from './feature-view';
import { offeredBy } from './view-outputs';

/** What one version of a definition has that another has not, by name. */
export interface DefinitionDiff {
  readonly from: string;
  readonly to: string;
  /** Features of a view by the names that callers know, members of a set by those that the model knows. */
  readonly features: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly retyped: readonly { readonly name: string; readonly from: string; readonly to: string }[];
    /** Computed in another way, of the same type. */
    readonly changed: readonly { readonly name: string; readonly from: unknown; readonly to: unknown }[];
  };
  /** Of a set: the same members in another order, which is another input to the model. */
  readonly reordered: boolean;
  readonly streams: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly { readonly name: string; readonly from: unknown; readonly to: unknown }[];
  };
  /** Members of the document itself: `entity`, `description`, `on_missing`, ... */
  readonly settings: readonly { readonly name: string; readonly from: unknown; readonly to: unknown }[];
  /** Whoever reads `from` could not read `to`: something is gone, has another type or another place. */
  readonly breaking: boolean;
}

interface Entry {
  readonly name: string;
  readonly type: string;
  readonly document: unknown;
}

export function diffViews(from: FeatureView, to: FeatureView): DefinitionDiff {
  const [old, present] = [canonicalView(from), canonicalView(to)];
  const features = compare(entriesOfView(from, old), entriesOfView(to, present));
  const { added, removed, changed } = compare(named(old['streams']), named(present['streams']));
  const breaking = isBreaking(features) || !sameEntity(from, to);
  return {
    ...common(from, to, old, present),
    features,
    reordered: false,
    streams: { added, removed, changed },
    breaking,
  };
}

export function diffSets(from: FeatureSet, to: FeatureSet): DefinitionDiff {
  const [old, present] = [canonicalSet(from), canonicalSet(to)];
  const features = compare(entriesOfSet(from, old), entriesOfSet(to, present));
  const order = (set: FeatureSet): string => set.members.map(({ name }) => name).join();
  const reordered = features.added.length + features.removed.length === 0 && order(from) !== order(to);
  const streams = { added: [], removed: [], changed: [] };
  const breaking = isBreaking(features) || reordered;
  return { ...common(from, to, old, present), features, reordered, streams, breaking };
}

function common(
  from: { readonly hash: string },
  to: { readonly hash: string },
  old: CanonicalDocument,
  present: CanonicalDocument,
): Pick<DefinitionDiff, 'from' | 'to' | 'settings'> {
  return { from: from.hash, to: to.hash, settings: settings(old, present) };
}

function isBreaking({ removed, retyped }: DefinitionDiff['features']): boolean {
  return removed.length + retyped.length > 0;
}

function sameEntity({ entity: a }: FeatureView, { entity: b }: FeatureView): boolean {
  return a.name === b.name && a.type === b.type;
}

function entriesOfView(view: FeatureView, { features }: CanonicalDocument): readonly Entry[] {
  const documents = new Map(named(features).map(({ name, document }) => [name, document]));
  return offeredBy(view).map(({ name, type, list, definition }) => ({
    ...{ name, type: list ? `list<${type}>` : type, document: documents.get(definition.name) },
  }));
}

function entriesOfSet({ members }: FeatureSet, { features }: CanonicalDocument): readonly Entry[] {
  const types = new Map(members.map(({ name, type }) => [name, type]));
  return named(features).map((entry) => ({ ...entry, type: types.get(entry.name) ?? '' }));
}

function named(list: unknown): readonly Entry[] {
  return (list as readonly { readonly name: string }[]).map((document) => ({
    name: document.name,
    type: '',
    document,
  }));
}

function compare(from: readonly Entry[], to: readonly Entry[]): DefinitionDiff['features'] {
  const byName = (list: readonly Entry[]): ReadonlyMap<string, Entry> =>
    new Map(list.map((entry) => [entry.name, entry]));
  const [old, present] = [byName(from), byName(to)];
  const both = from.flatMap((before) => {
    const after = present.get(before.name);
    return after ? [{ before, after }] : [];
  });
  return {
    added: to.flatMap(({ name }) => (old.has(name) ? [] : [name])),
    removed: from.flatMap(({ name }) => (present.has(name) ? [] : [name])),
    retyped: both.flatMap(({ before, after }) =>
      before.type === after.type ? [] : [{ name: before.name, from: before.type, to: after.type }],
    ),
    changed: both.flatMap(({ before, after }) =>
      before.type !== after.type || same(before.document, after.document)
        ? []
        : [{ name: before.name, from: before.document, to: after.document }],
    ),
  };
}

function settings(from: CanonicalDocument, to: CanonicalDocument): DefinitionDiff['settings'] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return names.flatMap((name) =>
    name === 'features' || name === 'streams' || same(from[name], to[name])
      ? []
      : [{ name, from: from[name], to: to[name] }],
  );
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
