import type { FeatureValue } from '../feature-value';
import { isSame, type EventVerdict } from '../rules/event-rules';
import type { Micros } from '../time';
import type { PushResult } from './feature-event';
import { idOf, type PendingEvent } from './pending-event';

/** What the log holds of an entity, read under the lock of its row. */
export interface EntityState {
  /** Of the newest event that is served. */
  newest: Micros | undefined;
  values: readonly FeatureValue[] | undefined;
  /** Greatest stamp so far. */
  stamp: Micros;
}

/** An event of the log with the same stream, entity and time as one that comes. */
export interface KnownEvent {
  readonly eventId: string;
  readonly stamp: Micros;
  readonly provisional: boolean;
  readonly json: string;
}

/** What becomes of one event. */
export interface Decision {
  readonly result: PushResult;
  /** Under which it is stored; where it is not, under which it came. */
  readonly eventId: string;
  readonly logOnly: boolean;
  readonly values: readonly FeatureValue[];
  readonly json: string;
  readonly reason?: string;
}

const STORED: ReadonlySet<PushResult> = new Set(['ACCEPTED', 'LATE_APPLIED', 'LATE_LOG_ONLY', 'CORRECTED']);

export function isStored(result: PushResult): boolean {
  return STORED.has(result);
}

/** What was served right before and right after the time of an event; undefined where there is nothing. */
export interface Around {
  readonly before?: readonly FeatureValue[] | undefined;
  readonly after?: readonly FeatureValue[] | undefined;
}

/** What the log has at the time of an event, and beside it. */
export interface Met {
  readonly known: readonly KnownEvent[];
  readonly around: Around;
}

/** Decides by what is known of the entity and of this moment of it; changes nothing. */
export function decide(event: PendingEvent, state: EntityState, { known, around }: Met, now: Micros): Decision {
  const byTime = event.stream.definition.identity === 'event_time';
  const winner = byTime ? winnerOf(known) : undefined;
  const repeated = repeatOf(event, known, winner);
  if (repeated === 'same') return unstored(event, 'DUPLICATE', replacedBy(event, known, winner));
  if (repeated === 'other') return unstored(event, 'CONFLICT', 'an event of this id has other values');
  if (event.provisional && known.some(({ provisional }) => !provisional))
    return unstored(event, 'CONFLICT', 'the final event of this time has come already');
  const checked = checkedValues(event, around, now);
  if (checked.refusal !== undefined) return unstored(event, 'INVALID', checked.refusal);
  const logOnly = isLogOnly(event, state);
  const json = checked.values === event.values ? event.json : JSON.stringify(checked.values);
  const eventId = repeated === 'again' ? idOf(event, winner?.eventId) : event.eventId;
  const result = resultOf(event, state, { logOnly, corrects: winner !== undefined });
  return { result, eventId, logOnly, values: checked.values, json };
}

function resultOf(
  { eventTime }: PendingEvent,
  { newest }: EntityState,
  { logOnly, corrects }: { readonly logOnly: boolean; readonly corrects: boolean },
): PushResult {
  if (logOnly) return 'LATE_LOG_ONLY';
  if (corrects) return 'CORRECTED';
  return newest !== undefined && eventTime < newest ? 'LATE_APPLIED' : 'ACCEPTED';
}

function isLogOnly({ eventTime, stream }: PendingEvent, { newest }: EntityState): boolean {
  return newest !== undefined && eventTime < newest - stream.definition.allowedLateness;
}

function winnerOf(known: readonly KnownEvent[]): KnownEvent | undefined {
  return known.reduce<KnownEvent | undefined>((best, one) => (best && best.stamp > one.stamp ? best : one), undefined);
}

/**
 * Whether the event is there already. A bar that is not finished may come back to values that it had before, and is then no
 * repetition (`again`), unless they are those that it has.
 */
function repeatOf(
  event: PendingEvent,
  known: readonly KnownEvent[],
  winner: KnownEvent | undefined,
): 'same' | 'other' | 'again' | undefined {
  const first = known.find(({ eventId }) => eventId === event.eventId);
  if (!event.named && event.provisional && first && winner) return winner.json === first.json ? 'same' : 'again';
  if (!first) return undefined;
  if (!event.named) return 'same';
  const same = first.provisional === event.provisional && isSameContent(event, first.json);
  return same ? 'same' : 'other';
}

/**
 * What is sent again is known by what it says, or a repeated upload would bring back what was corrected since. Whoever means to
 * return to it must say that it is another event.
 */
function replacedBy(
  { named, eventId }: PendingEvent,
  known: readonly KnownEvent[],
  winner: KnownEvent | undefined,
): string | undefined {
  if (named || winner === undefined || known.find((one) => one.eventId === eventId)?.json === winner.json)
    return undefined;
  return 'another event of this time has replaced it; to return to these values give it an event_id of its own';
}

/** Rules may have changed what was stored: then what they make of this event is compared. */
function isSameContent({ json, values, stream: { rules } }: PendingEvent, stored: string): boolean {
  if (json === stored) return true;
  const there = JSON.parse(stored) as FeatureValue[];
  return rules ? rules.mayBe(values, there) : isSame(values, there);
}

function checkedValues(
  { stream: { rules }, values, eventTime }: PendingEvent,
  around: Around,
  at: Micros,
): EventVerdict {
  return rules ? rules.check(values, { ...around, at, eventTime }) : { values };
}

function unstored({ eventId, values, json }: PendingEvent, result: PushResult, reason?: string): Decision {
  return { result, eventId, logOnly: false, values, json, ...(reason === undefined ? {} : { reason }) };
}
