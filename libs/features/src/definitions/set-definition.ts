import { nearestWords } from '@sibyl/kernel';
import { VALUE_TYPES, type ValueType } from '../feature-value';
import { isOfType } from '../value-of-type';
import { canonicalSet, hashOf } from './canonical';
import { DefinitionFaults, pointerTo, shown } from './definition-faults';
import type { FeatureSet, FeatureView, MissingPolicy, SetMember } from './feature-view';
import { NAME_EXPECTED, ObjectReader, isObject } from './object-reader';
import { defined, scalar } from './rule-reader';
import { offeredBy, type Offered } from './view-outputs';

const MEMBERS_MAX = 1024;
const MISSING: readonly MissingPolicy[] = ['error', 'null', 'default'];

/** Published views, for sets to be resolved against. */
export interface KnownViews {
  /** The current version, or the one whose hash begins with these hexadecimal digits. */
  view(name: string, hashPrefix?: string): FeatureView | undefined;
  names(): Iterable<string>;
}

/**
 * Checks the document of a feature set and resolves it against the views that are published: their hashes are pinned, so that a
 * set never changes under a model. Throws `invalid_definition` with all faults at once.
 */
export function parseSet(document: unknown, views: KnownViews): FeatureSet {
  const faults = new DefinitionFaults();
  if (!isObject(document)) {
    faults.add('', { expected: 'an object with kind: FeatureSet', received: shown(document) });
    faults.throwAny('feature set');
  }
  const reader = new ObjectReader(document as Record<string, unknown>, '', faults);
  reader.choice('kind', ['FeatureSet', 'FeatureService']);
  const name = reader.required('name', reader.name('name'), NAME_EXPECTED) ?? '';
  const description = reader.text('description');
  const onMissing = reader.choice('on_missing', MISSING) ?? 'error';
  const onStale = reader.choice('on_stale', [...MISSING, 'degrade'] as const) ?? 'error';
  // Where what is missing is refused nothing may be; where something stands in for it everything may.
  const minCompleteness = reader.number('min_completeness', { min: 0, max: 1 }) ?? (onMissing === 'error' ? 1 : 0);
  // Where profiles that models are compared with come from: with the version of the model, and nowhere else.
  reader.choice('baseline', ['model']);
  const members = readMembers(reader, views, faults, onMissing === 'default' || onStale === 'default');
  reader.done();
  faults.throwAny('feature set');
  const set = { name, ...defined({ description }), members, onMissing, onStale, minCompleteness };
  return { ...set, hash: hashOf(canonicalSet(set)) };
}

function readMembers(
  reader: ObjectReader,
  views: KnownViews,
  faults: DefinitionFaults,
  needsDefaults: boolean,
): readonly SetMember[] {
  const list = reader.list('features', MEMBERS_MAX) ?? [];
  if (list.length === 0)
    reader.fault('features', `1 to ${MEMBERS_MAX} features: view:feature, or {feature, name, dtype, default}`);
  const taken = new Map<string, string>();
  const pins = new Map<string, string>();
  return list.flatMap((entry, i) => {
    const pointer = pointerTo(reader.at('features'), i);
    const object = typeof entry === 'string' ? { feature: entry } : entry;
    if (!isObject(object)) {
      return (
        faults.add(pointer, { expected: 'view:feature, or {feature, name, dtype, default}', received: shown(entry) }) ??
        []
      );
    }
    const one = new ObjectReader(object, pointer, faults);
    const member = readMember(one, views);
    one.done();
    if (!member) return [];
    const other = taken.get(member.name);
    if (other !== undefined) {
      const hint = `'${other}' is called '${member.name}' too: give one of them another name`;
      return faults.add(one.at('name'), { expected: 'a name of its own', received: shown(member.name), hint }) ?? [];
    }
    taken.set(member.name, `${member.view}:${member.feature}`);
    const pin = pins.get(member.view) ?? member.viewHash;
    pins.set(member.view, pin);
    if (pin !== member.viewHash) one.fault('feature', `features of one version of '${member.view}'`);
    if (needsDefaults && member.default === undefined)
      one.fault('default', "a value, as the set's policy names defaults");
    return [member];
  });
}

const REFERENCE = /^([a-z][a-z0-9_]{0,62})(?:@(?:sha256:)?([0-9a-f]{6,64}))?:([a-z][a-z0-9_.]{0,126})$/;
const OUTPUT_NAME = /^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?$/;

function readMember(reader: ObjectReader, views: KnownViews): SetMember | undefined {
  const text = reader.required('feature', reader.text('feature', 256), 'view:feature');
  const given = reader.text('name', 127);
  const dtype = reader.choice('dtype', VALUE_TYPES);
  const value = scalar(reader, 'default');
  if (text === undefined) return undefined;
  if (given !== undefined && !OUTPUT_NAME.test(given)) return reader.fault('name', NAME_EXPECTED);
  const found = findFeature(reader, text, views);
  const type = found && typeOf(reader, found.output, dtype);
  if (!found || !type) return undefined;
  if (value !== undefined && !isOfType(value, type)) reader.fault('default', `a value of type ${type}`);
  const { view, output } = found;
  return {
    ...{ name: given ?? output.name, view: view.name, viewHash: view.hash, feature: output.name, type },
    ...defined({ default: value ?? output.definition.default }),
  };
}

function findFeature(
  reader: ObjectReader,
  text: string,
  views: KnownViews,
): { readonly view: FeatureView; readonly output: Offered } | undefined {
  const [, name = '', prefix, feature = ''] = REFERENCE.exec(text) ?? [];
  if (name === '') return reader.fault('feature', 'view:feature, or view@<beginning of its hash>:feature');
  const view = views.view(name, prefix);
  if (!view) {
    const near = nearestWords(name, views.names()).find((one) => one !== name);
    return reader.fault('feature', 'a view that is published', near && `did you mean '${near}'?`);
  }
  const output = findOutput(reader, view, feature);
  return output && { view, output };
}

function findOutput(reader: ObjectReader, view: FeatureView, feature: string): Offered | undefined {
  const offered = offeredBy(view);
  const found = offered.find(({ name }) => name === feature);
  if (found) return found;
  const several = offered.filter(({ name }) => name.startsWith(`${feature}.`)).map(({ name }) => name);
  const near = nearestWords(
    feature,
    offered.map(({ name }) => name),
  )[0];
  const hint = several.length > 0 ? `it has several outputs: ${several.join(', ')}` : near && `did you mean '${near}'?`;
  return reader.fault('feature', `a feature of '${view.name}'; '${feature.slice(0, 64)}' is none`, hint);
}

/** What the model is given: whole numbers may become doubles, and nothing else changes its type. */
function typeOf(reader: ObjectReader, output: Offered, dtype: ValueType | undefined): ValueType | undefined {
  if (output.list)
    return reader.fault('feature', 'one value; this is a list', 'name its elements with expressions: last5[0]');
  if (dtype === undefined || dtype === output.type) return output.type;
  if (dtype === 'double' && output.type === 'int') return dtype;
  return reader.fault('dtype', `${output.type}, as the feature is`);
}
