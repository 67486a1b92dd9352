import { nearestWords, type FieldFault } from '@sibyl/kernel';
import { pointerTo } from '../definitions/definition-faults';
import type { EntityRule, FieldDefinition } from '../definitions/feature-view';
import type { FeatureValue, ValueType } from '../feature-value';
import { placeOf, requestFault } from '../request-fault';
import type { Micros } from '../time';
import { readKey } from './entity-key';
import { uuidOfGivenId, uuidOfName } from './event-id';
import { INSTANT_EXPECTED, readInstant } from './instant';
import type { LoggedStream } from './stream-catalog';

/** An event that was read and may be stored. */
export interface PendingEvent {
  readonly stream: LoggedStream;
  readonly entity: string;
  readonly eventTime: Micros;
  readonly eventId: string;
  /** The producer named it; otherwise the id is made of what the event says. */
  readonly named: boolean;
  readonly provisional: boolean;
  readonly values: readonly FeatureValue[];
  /** The values as they lie in the log. */
  readonly json: string;
}

const ID_LENGTH = 128;
const STRING_BYTES = 4096;
/** What an event costs in memory beside its texts. */
const EVENT_BYTES = 300;

type Event = Readonly<Record<string, unknown>>;

/** Of an event, by both names that some have. */
const MEMBERS = new Set(['entity', 'event_time', 'event_ts', 'event_id', 'final', 'values', 'payload']);

const ENTITY = placeOf('/entity');

/** Why an event cannot be stored: where, and what was expected. */
class EventFault extends Error {
  constructor(readonly fault: FieldFault) {
    super(fault.expected);
  }
}

/** When an event comes, and how far ahead of that its own time may lie. */
export interface Arrival {
  readonly now: Micros;
  readonly skew: Micros;
}

/** Reads one event of a push, or says what is wrong with it. */
export function readEvent(stream: LoggedStream, given: unknown, arrival: Arrival): PendingEvent | FieldFault {
  try {
    return read(stream, given, arrival);
  } catch (error) {
    if (error instanceof EventFault) return error.fault;
    throw error;
  }
}

/** About what an event costs in memory: its texts lie there as values and as JSON. */
export function bytesOf({ json, entity }: Pick<PendingEvent, 'json' | 'entity'>): number {
  return EVENT_BYTES + 2 * (json.length + entity.length);
}

export function isFault(one: PendingEvent | FieldFault): one is FieldFault {
  return 'pointer' in one;
}

function read(stream: LoggedStream, given: unknown, arrival: Arrival): PendingEvent {
  const event = record(given, '');
  for (const name in event) if (!MEMBERS.has(name)) throw unknown('', name, MEMBERS);
  const entity = readEntity(stream.entity, event['entity']);
  const eventTime = readTime(stream, event, arrival);
  const { definition } = stream;
  const provisional = readFinal(definition.identity, event['final']);
  const values = readValues(definition.fields, event);
  const json = JSON.stringify(values);
  const id = event['event_id'];
  if (id !== undefined && id !== null && (typeof id !== 'string' || id === '' || id.length > ID_LENGTH))
    refuse('/event_id', `text of 1 to ${ID_LENGTH} characters`, id);
  const named = typeof id === 'string';
  const eventId = named ? uuidOfGivenId(id) : idOf({ stream, entity, eventTime, provisional, json });
  return { stream, entity, eventTime, eventId, named, provisional, values, json };
}

/** The id of an event that its producer did not name: the same event is the same id. `after` tells repeated ones apart. */
export function idOf(
  { stream, entity, eventTime, provisional, json }: Omit<PendingEvent, 'eventId' | 'named' | 'values'>,
  after = '',
): string {
  return uuidOfName(`${stream.definition.name}\0${entity}\0${eventTime}\0${provisional ? 'p' : ''}\0${json}\0${after}`);
}

function readEntity(rule: EntityRule, given: unknown): string {
  const faults: FieldFault[] = [];
  const key = readKey(rule, given, ENTITY, faults);
  const [fault] = faults;
  if (fault) throw new EventFault(fault);
  return key;
}

function readTime({ definition }: LoggedStream, event: Event, { now, skew }: Arrival): Micros {
  const member = nameOf(event, 'event_time', 'event_ts');
  const given = event[member];
  const at = readInstant(given);
  if (at === undefined) refuse(`/${member}`, INSTANT_EXPECTED, given);
  if (at > now + skew) refuse(`/${member}`, 'a time that has come', given);
  if (at < now - definition.retention) refuse(`/${member}`, 'a time within the retention of the stream', given);
  return at;
}

/** What a member that has two names is called here. */
function nameOf(event: Event, name: string, other: string): string {
  if (isAbsent(event[other])) return name;
  if (!isAbsent(event[name])) refuse(`/${other}`, `not both '${name}' and '${other}'`, event[other]);
  return other;
}

function isAbsent(given: unknown): boolean {
  return given === undefined || given === null;
}

function readFinal(identity: string, given: unknown): boolean {
  if (given === undefined || given === null || given === true) return false;
  if (given !== false) refuse('/final', 'true or false', given);
  if (identity !== 'event_time')
    refuse('/final', 'a stream of identity event_time, where a later event can replace it', given);
  return true;
}

function readValues(fields: readonly FieldDefinition[], event: Event): FeatureValue[] {
  const at = nameOf(event, 'values', 'payload') === 'values' ? '/values' : '/payload';
  const named = record(event[at.slice(1)], at);
  let known = 0;
  const values = fields.map((field) => {
    const value = Object.hasOwn(named, field.name) ? named[field.name] : undefined;
    if (value !== undefined) known++;
    return readValue(field, value, at);
  });
  // Counting costs less than looking for what is unknown; that is done where there is something.
  if (known < Object.keys(named).length) refuseUnknown(fields, named, at);
  return values;
}

function refuseUnknown(fields: readonly FieldDefinition[], named: Record<string, unknown>, at: string): void {
  const names = fields.map(({ name }) => name);
  for (const name of Object.keys(named)) {
    if (names.includes(name)) continue;
    throw unknown(at, name, names);
  }
}

function unknown(at: string, name: string, known: Iterable<string>): EventFault {
  const [near] = nearestWords(name, known);
  return new EventFault({
    pointer: pointerTo(at, name),
    received: 'a field that does not exist',
    ...(near === undefined ? {} : { hint: `did you mean '${near}'?` }),
  });
}

const EXPECTED: Readonly<Record<ValueType, string>> = {
  double: 'a finite number',
  int: 'a whole number within ±(2^53 - 1)',
  bool: 'true or false',
  string: `well-formed text of at most ${STRING_BYTES} bytes`,
};

function readValue({ name, type, nullable }: FieldDefinition, given: unknown, at: string): FeatureValue {
  if (given === undefined || given === null) {
    if (!nullable) refuse(pointerTo(at, name), EXPECTED[type], given);
    return null;
  }
  if (!isOf(type, given)) refuse(pointerTo(at, name), EXPECTED[type], given);
  // JSON knows a negative zero, and no sum needs one.
  return given === 0 ? 0 : given;
}

function isOf(type: ValueType, given: unknown): given is number | string | boolean {
  if (type === 'double') return typeof given === 'number' && Number.isFinite(given);
  if (type === 'int') return typeof given === 'number' && Number.isSafeInteger(given);
  if (type === 'bool') return typeof given === 'boolean';
  return typeof given === 'string' && isPlain(given);
}

function isPlain(text: string): boolean {
  if (text.length > STRING_BYTES || !text.isWellFormed() || text.includes('\0')) return false;
  return text.length * 3 <= STRING_BYTES || Buffer.byteLength(text) <= STRING_BYTES;
}

function record(given: unknown, at: string): Record<string, unknown> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) refuse(at, 'an object', given);
  return given as Record<string, unknown>;
}

function refuse(at: string, expected: string, given: unknown): never {
  throw new EventFault(requestFault(at, expected, given));
}
