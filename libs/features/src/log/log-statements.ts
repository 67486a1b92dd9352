import type { EntityManager } from 'typeorm';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import { plainArray, textArray } from './array-literal';
import type { EntityState, KnownEvent } from './decide';

/** One entity on one stream. */
export interface EntityPlace {
  readonly stream: number;
  readonly entity: string;
}

export interface LockedEntity extends EntityPlace {
  readonly state: EntityState;
}

/** An event as it is added; `offset` tells events of one commit apart, in their order. */
export interface NewRow extends EntityPlace {
  readonly retentionClass: number;
  readonly eventTime: Micros;
  readonly eventId: string;
  readonly logOnly: boolean;
  readonly provisional: boolean;
  readonly json: string;
  /** Stamps of the entity before it are used up; the one before it is that of its last event. */
  readonly floor: Micros;
  /** Offset of the event of the same entity that comes before it in this commit; undefined: there is none. */
  readonly before: number | undefined;
}

/** What the row of an entity says after a commit. `offset` is that of its last event. */
export interface NewState extends EntityPlace {
  readonly newest: Micros | undefined;
  readonly json: string | undefined;
  readonly offset: number;
  readonly floor: Micros;
}

/** A commit, and when the database stamped it. */
export interface Commit {
  readonly at: Micros;
  readonly xid: string;
}

// Ordered, so that two writers who want the same entities never wait for each other.
const LOCK = `
SELECT l.stream, l.entity, l.event_time, l.ingested_at, l.vals
FROM unnest($1::smallint[], $2::text[]) AS q (stream, entity) JOIN features.latest l USING (stream, entity)
ORDER BY l.stream, l.entity FOR UPDATE OF l`;

const MAKE = `
INSERT INTO features.latest (stream, entity, ingested_at)
SELECT stream, entity, 0 FROM unnest($1::smallint[], $2::text[]) AS q (stream, entity) ORDER BY stream, entity
ON CONFLICT DO NOTHING`;

interface LatestRow {
  readonly stream: number;
  readonly entity: string;
  readonly event_time: string | null;
  readonly ingested_at: string;
  readonly vals: FeatureValue[] | null;
}

/** Locks the rows of these entities until the transaction ends, and reads them; makes those that are missing. */
export async function lockEntities(tx: EntityManager, places: readonly EntityPlace[]): Promise<LockedEntity[]> {
  const rows = await tx.query<LatestRow[]>(LOCK, placeArrays(places));
  if (rows.length === places.length) return rows.map(lockedOf);
  const there = new Set(rows.map(({ stream, entity }) => `${stream}\0${entity}`));
  const missing = placeArrays(places.filter(({ stream, entity }) => !there.has(`${stream}\0${entity}`)));
  await tx.query(MAKE, missing);
  rows.push(...(await tx.query<LatestRow[]>(LOCK, missing)));
  return rows.map(lockedOf);
}

function placeArrays(places: readonly EntityPlace[]): string[] {
  return [plainArray(places.map(({ stream }) => stream)), textArray(places.map(({ entity }) => entity))];
}

function lockedOf({ stream, entity, event_time, ingested_at, vals }: LatestRow): LockedEntity {
  const newest = event_time === null ? undefined : Number(event_time);
  return { stream, entity, state: { newest, values: vals ?? undefined, stamp: Number(ingested_at) } };
}

/** An event for which others of its time are looked up: all of them, or the one of its id. */
export interface Probe extends EntityPlace {
  readonly retentionClass: number;
  readonly eventTime: Micros;
  readonly eventId: string;
}

interface ProbedRow {
  readonly n: string;
  readonly event_id: string;
  readonly ingested_at: string;
  readonly provisional: boolean;
  readonly vals: string;
}

/**
 * What the log has of the times of these events, by their place in the list; `byId`: of their ids only. All are of one
 * retention class; it and the times stand in the statement, so that it is planned for the cuts that it needs and no others.
 */
export async function probe(tx: EntityManager, probes: readonly Probe[], byId: boolean): Promise<KnownEvent[][]> {
  const found: KnownEvent[][] = probes.map(() => []);
  const times = probes.map(({ eventTime }) => eventTime);
  const least = times.reduce((a, b) => Math.min(a, b));
  const most = times.reduce((a, b) => Math.max(a, b));
  const rows = await tx.query<ProbedRow[]>(
    `SELECT q.n, e.event_id, e.ingested_at, e.provisional, e.vals::text AS vals
     FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::uuid[]) WITH ORDINALITY AS q (stream, entity, at, id, n)
     JOIN features.event e ON e.stream = q.stream AND e.entity = q.entity AND e.event_time = q.at
       ${byId ? 'AND e.event_id = q.id' : ''}
       AND e.retention_class = ${probes[0]?.retentionClass ?? 0} AND e.event_time BETWEEN ${least} AND ${most}`,
    [...placeArrays(probes), plainArray(times), plainArray(probes.map(({ eventId }) => eventId))],
  );
  for (const { n, event_id: eventId, ingested_at, provisional, vals: json } of rows)
    found[Number(n) - 1]?.push({ eventId, stamp: Number(ingested_at), provisional, json });
  return found;
}

/** An event that is served. */
export interface Stored {
  readonly at: Micros;
  readonly values: readonly FeatureValue[];
}

interface BesideRow {
  readonly n: string;
  readonly before: [Micros, FeatureValue[]] | null;
  readonly after: [Micros, FeatureValue[]] | null;
}

/**
 * The events that are served right before and right after the times of these; `byId`: those of the very time come before, and else
 * are what these correct. All are of one retention class. Each side goes through the primary key of one cut after the other.
 */
export async function beside(
  tx: EntityManager,
  probes: readonly Probe[],
  byId: boolean,
): Promise<{ readonly before: Stored | undefined; readonly after: Stored | undefined }[]> {
  const side = (compares: string, order: string): string => `(
    SELECT json_build_array(e.event_time, e.vals) FROM features.event e
    WHERE e.retention_class = ${probes[0]?.retentionClass ?? 0} AND e.stream = q.stream AND e.entity = q.entity
      AND e.event_time ${compares} q.at AND NOT e.log_only
    ORDER BY ${order} LIMIT 1)`;
  const before = side(byId ? '<=' : '<', 'e.event_time DESC, e.ingested_at DESC, e.event_id DESC');
  const after = side('>', `e.event_time, e.ingested_at${byId ? ', e.event_id' : ' DESC, e.event_id DESC'}`);
  const rows = await tx.query<BesideRow[]>(
    `SELECT q.n, ${before} AS before, ${after} AS after
     FROM unnest($1::smallint[], $2::text[], $3::bigint[]) WITH ORDINALITY AS q (stream, entity, at, n)`,
    [...placeArrays(probes), plainArray(probes.map(({ eventTime }) => eventTime))],
  );
  const sides = probes.map(() => ({ before: undefined, after: undefined }) as ReturnType<typeof sidesOf>);
  for (const row of rows) sides[Number(row.n) - 1] = sidesOf(row);
  return sides;
}

function sidesOf({ before, after }: BesideRow): { before: Stored | undefined; after: Stored | undefined } {
  return { before: before ? storedOf(before) : undefined, after: after ? storedOf(after) : undefined };
}

function storedOf([at, values]: [Micros, FeatureValue[]]): Stored {
  return { at, values };
}

/*
 * The stamp is taken here, after the locks: whoever gets them next has a later one, whatever the clock does meanwhile. Each entity has
 * its own floor, so that one that was stamped while the clock was ahead does not take the others with it.
 */
const ADD = `
WITH stamp AS MATERIALIZED (SELECT features.now_us() AS at),
logged AS (
  INSERT INTO features.event
    (retention_class, stream, entity, event_time, event_id, log_only, provisional, vals, ingested_at, previous)
  SELECT r.class, r.stream, r.entity, r.at, r.id, r.log_only, r.provisional, r.vals::json, greatest(stamp.at, r.floor) + r.n - 1,
    coalesce(greatest(stamp.at, r.floor) + r.before, r.floor - 1)
  FROM stamp, unnest($1::smallint[], $2::smallint[], $3::text[], $4::bigint[], $5::uuid[], $6::boolean[], $7::boolean[], $8::text[],
      $9::bigint[], $10::integer[])
    WITH ORDINALITY AS r (class, stream, entity, at, id, log_only, provisional, vals, floor, before, n)
),
latest AS (
  UPDATE features.latest l
  SET event_time = s.newest, ingested_at = greatest(stamp.at, s.floor) + s.n, vals = s.vals::json
  FROM stamp, unnest($11::smallint[], $12::text[], $13::bigint[], $14::text[], $15::bigint[], $16::bigint[])
    AS s (stream, entity, newest, vals, n, floor)
  WHERE l.stream = s.stream AND l.entity = s.entity
),
told AS (
  INSERT INTO features.intake (writer, retention_class, events, first_time, last_time, first_stamp, last_stamp)
  SELECT $17::uuid, t.class, t.events, t.first, t.last, stamp.at, greatest(stamp.at, t.floor) + $18::bigint
  FROM stamp, unnest($19::smallint[], $20::integer[], $21::bigint[], $22::bigint[], $23::bigint[])
    AS t (class, events, first, last, floor)
)
SELECT at, pg_current_xact_id() AS xid FROM stamp`;

/** Adds events, and says so to other processes. */
export async function addEvents(
  tx: EntityManager,
  {
    rows,
    states,
    writer,
  }: { readonly rows: readonly NewRow[]; readonly states: readonly NewState[]; readonly writer: string },
): Promise<Commit> {
  const spans = spansOf(rows);
  const [added] = await tx.query<{ at: string; xid: string }[]>(ADD, [
    plainArray(rows.map(({ retentionClass }) => retentionClass)),
    ...placeArrays(rows),
    plainArray(rows.map(({ eventTime }) => eventTime)),
    plainArray(rows.map(({ eventId }) => eventId)),
    plainArray(rows.map(({ logOnly }) => logOnly)),
    plainArray(rows.map(({ provisional }) => provisional)),
    textArray(rows.map(({ json }) => json)),
    plainArray(rows.map(({ floor }) => floor)),
    plainArray(rows.map(({ before }) => before)),
    ...placeArrays(states),
    plainArray(states.map(({ newest }) => newest)),
    textArray(states.map(({ json }) => json)),
    plainArray(states.map(({ offset }) => offset)),
    plainArray(states.map(({ floor }) => floor)),
    writer,
    rows.length - 1,
    plainArray(spans.map(({ retentionClass }) => retentionClass)),
    plainArray(spans.map(({ events }) => events)),
    plainArray(spans.map(({ first }) => first)),
    plainArray(spans.map(({ last }) => last)),
    plainArray(spans.map(({ floor }) => floor)),
  ]);
  return { at: Number(added?.at), xid: added?.xid ?? '' };
}

/** What ADD stamps an event with, and what it says was before it. */
export function stampsOf(
  { at }: Commit,
  { floor, before }: NewRow,
  offset: number,
): { stamp: Micros; previous: Micros } {
  const first = Math.max(at, floor);
  return { stamp: first + offset, previous: before === undefined ? floor - 1 : first + before };
}

/** Where in the log the events of a commit lie, one span a class. */
function spansOf(rows: readonly NewRow[]) {
  const spans = new Map<
    number,
    { retentionClass: number; events: number; first: Micros; last: Micros; floor: Micros }
  >();
  for (const { retentionClass, eventTime, floor } of rows) {
    const span = spans.get(retentionClass) ?? { retentionClass, events: 0, first: eventTime, last: eventTime, floor };
    spans.set(retentionClass, span);
    span.events++;
    span.first = Math.min(span.first, eventTime);
    span.last = Math.max(span.last, eventTime);
    span.floor = Math.max(span.floor, floor);
  }
  return [...spans.values()];
}
