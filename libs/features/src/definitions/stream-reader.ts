import { nearestWords } from '@sibyl/kernel';
import { compileStreamRule } from '../rules/compile-rules';
import { RuleFault } from '../rules/value-rule';
import { VALUE_TYPES } from '../feature-value';
import type { DefinitionFaults } from './definition-faults';
import { pointerTo, shown } from './definition-faults';
import type { DefinitionParts, KnownStream } from './definition-parts';
import { ofRule } from './expression-faults';
import type { EntityRule, FieldDefinition, StreamDefinition, StreamIdentity, ValueRule } from './feature-view';
import { NAME, NAME_EXPECTED, ObjectReader, isObject } from './object-reader';
import { readRules } from './rule-reader';

const STREAMS_MAX = 16;
const FIELDS_MAX = 256;
const ALLOWED_LATENESS = 10 * 60_000_000;
const DAY = 86_400_000_000;
const RETENTION = 365 * DAY;
const RETENTION_MIN = 3_600_000_000;

/** The streams of a view: its own, and those of other views that it uses. */
export function readStreams(
  of: ObjectReader,
  { name: view, entity }: { readonly name: string; readonly entity: EntityRule | undefined },
  faults: DefinitionFaults,
  parts: DefinitionParts,
): readonly StreamDefinition[] {
  const seen = new Set<string>();
  return of.entries('streams', STREAMS_MAX).flatMap((reader) => {
    const stream = reader && readStream(reader, view, faults, parts);
    if (!stream) return [];
    if (stream.of !== undefined) checkKeys(reader, stream, entity, parts);
    if (seen.has(stream.name)) reader.fault('name', 'a name that no other stream of the view has');
    seen.add(stream.name);
    return [stream];
  });
}

/** Tables of other views in which features look rows up: their names say all that `{name, of}` among the streams would. */
export function tablesOfOthers(
  features: unknown,
  own: readonly StreamDefinition[],
  view: string,
  { streams }: Pick<DefinitionParts, 'streams'>,
): readonly StreamDefinition[] {
  const named = Array.isArray(features) ? features.flatMap((one) => (isObject(one) ? [one['table']] : [])) : [];
  const found = new Map<string, StreamDefinition>();
  for (const name of named) {
    if (typeof name !== 'string' || own.some((stream) => stream.name === name)) continue;
    const known = streams.stream(name);
    if (known?.definition.table && known.view !== view && own.length + found.size < STREAMS_MAX)
      found.set(name, { ...known.definition, of: known.view });
  }
  return [...found.values()];
}

function readStream(
  reader: ObjectReader,
  view: string,
  faults: DefinitionFaults,
  parts: DefinitionParts,
): StreamDefinition | undefined {
  const name = reader.required('name', reader.name('name'), NAME_EXPECTED);
  const owner = reader.name('of');
  const known = name === undefined ? undefined : parts.streams.stream(name);
  if (owner !== undefined && owner !== view)
    return name === undefined ? undefined : ofOther(reader, name, owner, known);
  const table = reader.flag('table') ?? false;
  const identity = readIdentity(reader, table);
  const fields = ordered(readFields(reader, faults), known?.definition);
  const allowedLateness = reader.duration('allowed_lateness', 0) ?? ALLOWED_LATENESS;
  const retention = reader.duration('retention', RETENTION_MIN) ?? RETENTION;
  const written = readRules(reader, true);
  reader.done();
  if (name === undefined) return undefined;
  const rules = written.map(({ rule }) => rule);
  const stream: StreamDefinition = { name, identity, fields, allowedLateness, retention, rules, table };
  for (const one of written) checkRule(one, stream, faults, parts);
  if (known) checkGrowth(stream, known, view, reader);
  return stream;
}

const IDENTITY_SYNONYMS: ReadonlyMap<string, StreamIdentity> = new Map([['event_ts', 'event_time']]);

function readIdentity(reader: ObjectReader, table: boolean): StreamIdentity {
  const identity =
    reader.choice('identity', ['event_time', 'event_id'], IDENTITY_SYNONYMS) ?? (table ? 'event_time' : 'event_id');
  if (table && identity !== 'event_time') reader.fault('identity', 'event_time, as the rows of a table are corrected');
  return identity;
}

/** A stream of another view: its name, and nothing that would change it. */
function ofOther(
  reader: ObjectReader,
  name: string,
  owner: string,
  known: KnownStream | undefined,
): StreamDefinition | undefined {
  reader.done();
  if (known?.view === owner) return { ...known.definition, of: owner };
  return reader.fault('of', `a view with a stream '${name}'`, known && `'${name}' is a stream of '${known.view}'`);
}

/** Keys of another type find nothing. Rows of a table are looked up by values of any. */
function checkKeys(
  reader: ObjectReader,
  { name, table }: StreamDefinition,
  entity: EntityRule | undefined,
  { streams }: DefinitionParts,
): void {
  const owner = streams.stream(name);
  const type = owner?.entity?.type;
  if (table || type === undefined || entity === undefined || type === entity.type) return;
  reader.fault(
    'of',
    `a view whose keys are ${entity.type}, as those of this one; those of '${owner?.view}' are ${type}`,
  );
}

function readFields(reader: ObjectReader, faults: DefinitionFaults): readonly FieldDefinition[] {
  const members = reader.members('fields', FIELDS_MAX);
  if (!members || members.length === 0) {
    if (!reader.has('fields') || members) reader.fault('fields', 'names and types of 1 to 256 fields');
    return [];
  }
  const pointer = reader.at('fields');
  return members.flatMap(([name, value]) => {
    const at = pointerTo(pointer, name);
    if (!NAME.test(name)) return faults.add(at, { expected: NAME_EXPECTED, received: shown(name) }) ?? [];
    const field = readField(name, value, at, faults);
    return field ? [field] : [];
  });
}

const TYPES_EXPECTED = `${VALUE_TYPES.join(', ')}, with ? behind it where null is allowed, or {type, nullable}`;

function readField(name: string, value: unknown, at: string, faults: DefinitionFaults): FieldDefinition | undefined {
  if (isObject(value)) {
    const reader = new ObjectReader(value, at, faults);
    const type = reader.required('type', reader.choice('type', VALUE_TYPES), VALUE_TYPES.join(', '));
    const nullable = reader.flag('nullable') ?? false;
    reader.done();
    return type && { name, type, nullable };
  }
  const text = typeof value === 'string' ? value : '';
  const type = VALUE_TYPES.find((one) => one === text.replace(/\?$/, ''));
  if (type) return { name, type, nullable: text.endsWith('?') };
  const near = nearestWords(text, VALUE_TYPES)[0];
  const hint = near === undefined ? {} : { hint: `did you mean '${near}'?` };
  return faults.add(at, { expected: TYPES_EXPECTED, received: shown(value), ...hint });
}

/** Events lie in the log in the order of the fields: those that were there keep their places, new ones come behind, by name. */
function ordered(fields: readonly FieldDefinition[], known: StreamDefinition | undefined): readonly FieldDefinition[] {
  const places = new Map(known?.fields.map(({ name }, i) => [name, i]));
  const place = ({ name }: FieldDefinition): number => places.get(name) ?? Number.MAX_SAFE_INTEGER;
  return [...fields].sort((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1));
}

/** What lies in the log stays readable: a stream gains fields and loses none. */
function checkGrowth(
  stream: StreamDefinition,
  { view: owner, definition }: KnownStream,
  view: string,
  reader: ObjectReader,
): void {
  if (owner !== view) {
    reader.fault('name', 'a name that no other view has a stream of', `use the stream of '${owner}' with of: ${owner}`);
    return;
  }
  for (const { name, type } of definition.fields) {
    const now = stream.fields.find((field) => field.name === name);
    if (!now)
      reader.fault(
        'fields',
        `'${name}' among the fields`,
        'events of the stream have it: fields are added, never removed',
      );
    else if (now.type !== type)
      reader.fault('fields', `'${name}' of type ${type}`, 'events of the stream have it in this type');
  }
  for (const member of ['identity', 'table'] as const) {
    if (stream[member] !== definition[member]) reader.fault(member, `${definition[member]}, as it was`);
  }
}

function checkRule(
  { rule, at }: { readonly rule: ValueRule; readonly at: ObjectReader },
  stream: StreamDefinition,
  faults: DefinitionFaults,
  { expressions }: DefinitionParts,
): void {
  try {
    compileStreamRule(rule, stream, expressions);
  } catch (error) {
    if (!(error instanceof RuleFault)) throw error;
    faults.add(error.member === '' ? at.pointer : at.at(error.member), ofRule(error));
  }
}
