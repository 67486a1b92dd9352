import type { EntityManager } from 'typeorm';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import { decide, isStored, type Decision, type EntityState, type KnownEvent } from './decide';
import type { TakenEvent } from './feature-event';
import {
  addEvents,
  lockEntities,
  probe,
  stampsOf,
  type Commit,
  type NewRow,
  type NewState,
  type Probe,
} from './log-statements';
import { Neighbours } from './neighbours';
import type { PendingEvent } from './pending-event';

/** What one transaction made of its events, in their order. */
export interface BatchOutcome {
  readonly decisions: readonly Decision[];
  readonly stored: readonly TakenEvent[];
  /** The transaction; undefined where nothing is stored. */
  readonly commit?: string;
}

/** An entity while its events are decided. */
interface Place {
  readonly stream: number;
  readonly entity: string;
  state: EntityState;
  json: string | undefined;
  /** Of its last event that is stored; -1: none. */
  last: number;
}

interface Kept {
  readonly event: PendingEvent;
  readonly decision: Decision;
}

/**
 * Takes events into the log, in the transaction of the caller: locks the rows of their entities, decides each in its order by
 * what is there and by those before it, and adds what is to be kept.
 */
export async function takeEvents(
  tx: EntityManager,
  events: readonly PendingEvent[],
  writer: string,
  now: Micros,
): Promise<BatchOutcome> {
  const places = new Map<string, Place>();
  for (const { stream, entity } of events) {
    const state = { newest: undefined, values: undefined, stamp: 0 };
    const key = placeKey(stream.id, entity);
    if (!places.has(key)) places.set(key, { stream: stream.id, entity, state, json: undefined, last: -1 });
  }
  const sorted = [...places.values()];
  for (const { stream, entity, state } of await lockEntities(tx, sorted)) {
    const place = places.get(placeKey(stream, entity));
    if (place) place.state = state;
  }
  const known = await lookUp(tx, events, places);
  const placeOf = ({ stream, entity }: PendingEvent): Place => places.get(placeKey(stream.id, entity)) as Place;
  const neighbours = await Neighbours.read(tx, events, (event) => placeOf(event).state);
  const rows: NewRow[] = [];
  const kept: Kept[] = [];
  const decisions = events.map((event) => {
    const place = placeOf(event);
    const moment = momentKey(event);
    const met = { known: known.get(moment) ?? [], around: neighbours.of(event) };
    const decision = decide(event, place.state, met, now);
    if (!isStored(decision.result)) return decision;
    const n = rows.length;
    rows.push(rowOf(event, decision, place));
    kept.push({ event, decision });
    remember(known, moment, event, decision, place.state.stamp + 1 + n);
    follow(place, event, decision, n);
    if (!decision.logOnly) neighbours.add(event, decision.values);
    return decision;
  });
  if (rows.length === 0) return { decisions, stored: [] };
  const states = sorted.filter(({ last }) => last >= 0).map(newStateOf);
  const commit = await addEvents(tx, { rows, states, writer });
  const stored = rows.map((row, n) => takenEvent(kept[n] as Kept, row, commit, n));
  return { decisions, stored, commit: commit.xid };
}

/** Only events that are not newer than all others of their entity can meet one of their time. */
async function lookUp(
  tx: EntityManager,
  events: readonly PendingEvent[],
  places: ReadonlyMap<string, Place>,
): Promise<Map<string, KnownEvent[]>> {
  const known = new Map<string, KnownEvent[]>();
  const groups = new Map<string, Probe[]>();
  for (const event of events) {
    const { stream, entity, eventTime, eventId } = event;
    const newest = places.get(placeKey(stream.id, entity))?.state.newest;
    if (newest === undefined || eventTime > newest) continue;
    const byId = stream.definition.identity === 'event_id';
    const key = `${stream.retentionClass} ${byId}`;
    const group = groups.get(key) ?? [];
    groups.set(key, group);
    group.push({ stream: stream.id, retentionClass: stream.retentionClass, entity, eventTime, eventId });
  }
  for (const [key, probes] of groups) {
    const found = await probe(tx, probes, key.endsWith('true'));
    probes.forEach(({ stream, entity, eventTime }, i) => {
      const moment = `${placeKey(stream, entity)}\0${eventTime}`;
      const there = known.get(moment) ?? [];
      known.set(moment, there);
      for (const one of found[i] ?? []) if (!there.some(({ eventId }) => eventId === one.eventId)) there.push(one);
    });
  }
  return known;
}

function remember(
  known: Map<string, KnownEvent[]>,
  moment: string,
  { provisional }: PendingEvent,
  { eventId, json }: Decision,
  stamp: Micros,
): void {
  const one = { eventId, stamp, provisional, json };
  const there = known.get(moment);
  if (there) there.push(one);
  else known.set(moment, [one]);
}

/** What the entity is after the event. */
function follow(place: Place, { eventTime }: PendingEvent, { logOnly, values, json }: Decision, n: number): void {
  place.last = n;
  const { state } = place;
  if (logOnly || (state.newest !== undefined && eventTime < state.newest)) return;
  place.json = json;
  place.state = { ...state, newest: eventTime, values };
}

function newStateOf({ stream, entity, state, json, last }: Place): NewState {
  // Where nothing newer came, what is there stays.
  const kept = state.values === undefined ? undefined : JSON.stringify(state.values);
  return { stream, entity, newest: state.newest, json: json ?? kept, offset: last, floor: state.stamp + 1 };
}

function rowOf(
  { stream, entity, eventTime, provisional }: PendingEvent,
  { eventId, logOnly, json }: Decision,
  { state, last }: Place,
): NewRow {
  return {
    stream: stream.id,
    retentionClass: stream.retentionClass,
    entity,
    eventTime,
    eventId,
    logOnly,
    provisional,
    json,
    floor: state.stamp + 1,
    before: last < 0 ? undefined : last,
  };
}

function takenEvent({ event, decision }: Kept, row: NewRow, commit: Commit, offset: number): TakenEvent {
  const { stream, entity, eventTime } = event;
  const { eventId, logOnly } = decision;
  const values: readonly FeatureValue[] = decision.values;
  const { stamp: ingestedAt, previous } = stampsOf(commit, row, offset);
  return { stream: stream.definition.name, entity, eventTime, eventId, ingestedAt, previous, logOnly, values };
}

function placeKey(stream: number, entity: string): string {
  return `${stream}\0${entity}`;
}

function momentKey({ stream, entity, eventTime }: PendingEvent): string {
  return `${placeKey(stream.id, entity)}\0${eventTime}`;
}
