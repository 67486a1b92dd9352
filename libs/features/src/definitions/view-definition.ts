import { invariant } from '@sibyl/kernel';
import { RuleTally } from '../rules/rule-tally';
import { compileRegex, PATTERN_MAX } from '../expressions/regex';
import { canonicalView, hashOf } from './canonical';
import { DefinitionFaults, pointerTo, shown } from './definition-faults';
import type { DefinitionParts } from './definition-parts';
import type { FeatureDraft } from './feature-draft';
import { FEATURES_MAX, readFeature } from './feature-reader';
import type { EntityRule, FeatureView } from './feature-view';
import { NAME_EXPECTED, ObjectReader, isObject } from './object-reader';
import { defined } from './rule-reader';
import { readStreams, tablesOfOthers } from './stream-reader';
import { ViewLinker, type FaultSink } from './view-linker';

const ENTITY_KEY_MAX = 256;
const TAGS_MAX = 32;
const TAG_MAX = 256;

/**
 * Checks the document of a feature view as it was read from JSON or YAML: docs/formats/feature-definitions.md. Throws
 * `invalid_definition` with all faults at once.
 */
export function parseView(document: unknown, parts: DefinitionParts): FeatureView {
  const faults = new DefinitionFaults();
  if (!isObject(document)) {
    faults.add('', { expected: 'an object with kind: FeatureView', received: shown(document) });
    faults.throwAny('feature view');
  }
  const reader = new ObjectReader(document as Record<string, unknown>, '', faults);
  reader.choice('kind', ['FeatureView']);
  const name = reader.required('name', reader.name('name'), NAME_EXPECTED) ?? '';
  const description = reader.text('description');
  const entity = readEntity(reader);
  const own = readStreams(reader, { name, entity }, faults, parts);
  const streams = [...own, ...tablesOfOthers(reader.value('features'), own, name, parts)];
  const { drafts, places, failed } = readFeatures(reader, faults, (one) =>
    readFeature(one, entity?.name, streams, parts),
  );
  const freshnessSlo = reader.duration('freshness_slo');
  const tags = readTags(reader, faults);
  reader.done();
  const sink: FaultSink = (index, member, fault) => {
    faults.add(member.split('/').reduce(pointerTo, places[index] ?? ''), fault);
  };
  const linker = new ViewLinker({ name, streams, drafts, failed }, { ...parts, tally: new RuleTally() }, sink);
  const features = linker.link();
  faults.throwAny('feature view');
  invariant(entity, 'a view without faults has an entity');
  const view = {
    name,
    ...defined({ description }),
    entity,
    streams,
    features,
    ...defined({ freshnessSlo }),
    tags,
  };
  return { ...view, hash: hashOf(canonicalView(view)) };
}

function readEntity(of: ObjectReader): EntityRule | undefined {
  const reader = of.required('entity', of.inner('entity'), '{name, type, pattern, max_length}');
  if (!reader) return undefined;
  const name = reader.required('name', reader.name('name'), NAME_EXPECTED);
  const type = reader.choice('type', ['string', 'int']) ?? 'string';
  const pattern = reader.text('pattern', PATTERN_MAX);
  const maxLength = reader.number('max_length', { min: 1, max: ENTITY_KEY_MAX, whole: true }) ?? ENTITY_KEY_MAX;
  reader.done();
  if (pattern !== undefined) {
    try {
      compileRegex(pattern);
    } catch (error) {
      reader.fault('pattern', 'a regular expression of RE2', error instanceof Error ? error.message : undefined);
    }
    if (type === 'int') reader.fault('pattern', 'no pattern: the key is a number');
  }
  return name === undefined ? undefined : { name, type, ...defined({ pattern }), maxLength };
}

/** The features that could be read and where they stand, and the names of those that could not. */
function readFeatures(
  of: ObjectReader,
  faults: DefinitionFaults,
  read: (reader: ObjectReader) => FeatureDraft | undefined,
): {
  readonly drafts: readonly FeatureDraft[];
  readonly places: readonly string[];
  readonly failed: ReadonlySet<string>;
} {
  const entries = of.entries('features', FEATURES_MAX);
  if (entries.length === 0) of.fault('features', `1 to ${FEATURES_MAX} features`);
  const drafts: FeatureDraft[] = [];
  const places: string[] = [];
  const seen = new Set<string>();
  const failed = new Set<string>();
  for (const reader of entries) {
    if (!reader) continue;
    const before = faults.count;
    const draft = read(reader);
    if (!draft || faults.count > before) {
      const name = reader.value('name');
      if (typeof name === 'string') failed.add(name);
      continue;
    }
    if (seen.has(draft.name)) {
      faults.add(reader.at('name'), { expected: 'a name that no other feature of the view has', received: draft.name });
      continue;
    }
    seen.add(draft.name);
    drafts.push(draft);
    places.push(reader.pointer);
  }
  return { drafts, places, failed };
}

function readTags(reader: ObjectReader, faults: DefinitionFaults): Readonly<Record<string, string>> {
  const tags: Record<string, string> = {};
  for (const [name, value] of reader.members('tags', TAGS_MAX) ?? []) {
    const fits = name.length <= TAG_MAX && name !== '__proto__' && typeof value === 'string' && value.length <= TAG_MAX;
    if (fits) tags[name] = value;
    else
      faults.add(pointerTo(reader.at('tags'), name), {
        expected: `text of at most ${TAG_MAX} characters`,
        received: shown(value),
      });
  }
  return tags;
}
