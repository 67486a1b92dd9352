import type { EntityManager } from 'typeorm';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import type { Around, EntityState } from './decide';
import { beside, type Probe, type Stored } from './log-statements';
import type { PendingEvent } from './pending-event';

const NOTHING: Around = {};

interface Found {
  readonly before?: Stored | undefined;
  readonly after?: Stored | undefined;
}

/**
 * The events that stand beside those of a batch in the order of their times, for rules that compare: those of the log, and those of
 * the batch that have been taken already. Late events and corrections have others beside them than the newest.
 */
export class Neighbours {
  private constructor(private readonly found: ReadonlyMap<PendingEvent, Found>) {}

  /** What this batch has added, by entity, in the order of time. */
  private readonly added = new Map<string, Stored[]>();

  /** Looks up what lies beside the events whose streams compare; `stateOf`: what the log knows of an entity. */
  static async read(
    tx: EntityManager,
    events: readonly PendingEvent[],
    stateOf: (event: PendingEvent) => EntityState,
  ): Promise<Neighbours> {
    const found = new Map<PendingEvent, Found>();
    const groups = new Map<string, PendingEvent[]>();
    for (const event of events) {
      if (event.stream.rules?.comparing !== true) continue;
      const { newest, values } = stateOf(event);
      if (newest === undefined || values === undefined) continue;
      if (isBefore(newest, event)) {
        found.set(event, { before: { at: newest, values } });
        continue;
      }
      const key = `${event.stream.retentionClass} ${isById(event)}`;
      const group = groups.get(key);
      if (group) group.push(event);
      else groups.set(key, [event]);
    }
    for (const [key, group] of groups) {
      const sides = await beside(tx, group.map(probeOf), key.endsWith('true'));
      group.forEach((event, i) => found.set(event, sides[i] ?? {}));
    }
    return new Neighbours(found);
  }

  /** By what the batch has added so far. */
  of(event: PendingEvent): Around {
    if (event.stream.rules?.comparing !== true) return NOTHING;
    let { before, after } = this.found.get(event) ?? {};
    const added = this.added.get(placeOf(event)) ?? [];
    const place = placeIn(added, event);
    const [earlier, same] = [added[place - 1], added[place]];
    const later = same && same.at === event.eventTime ? added[place + 1] : same;
    // What the batch has of a time corrects what the log has of it; where nothing is corrected, it comes after that.
    if (earlier && (before === undefined || earlier.at >= before.at)) before = earlier;
    const isFirst = (a: Stored, b: Stored): boolean => (isById(event) ? a.at < b.at : a.at <= b.at);
    if (later && (after === undefined || isFirst(later, after))) after = later;
    return { before: before?.values, after: after?.values };
  }

  /** The event is served from now on, with these values. */
  add(event: PendingEvent, values: readonly FeatureValue[]): void {
    if (event.stream.rules?.comparing !== true) return;
    const added = this.added.get(placeOf(event)) ?? [];
    this.added.set(placeOf(event), added);
    const place = placeIn(added, event);
    const corrects = !isById(event) && added[place]?.at === event.eventTime;
    added.splice(place, corrects ? 1 : 0, { at: event.eventTime, values });
  }
}

/** How many events come before this one: where it corrects those of its time are none of them. */
function placeIn(added: readonly Stored[], event: PendingEvent): number {
  let [from, to] = [0, added.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (isBefore((added[middle] as Stored).at, event)) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Events of one time are in the order in which they came, or the last of them counts. */
function isBefore(at: Micros, event: PendingEvent): boolean {
  return isById(event) ? at <= event.eventTime : at < event.eventTime;
}

function isById({ stream }: PendingEvent): boolean {
  return stream.definition.identity === 'event_id';
}

function placeOf({ stream, entity }: PendingEvent): string {
  return `${stream.id}\0${entity}`;
}

function probeOf({ stream, entity, eventTime, eventId }: PendingEvent): Probe {
  return { stream: stream.id, retentionClass: stream.retentionClass, entity, eventTime, eventId };
}
