import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import { plainArray, textArray } from './array-literal';
import type { FeatureEvent, HistoryQuery } from './feature-event';

/** One query as the statement takes it. */
export interface HistoryAsk {
  readonly query: HistoryQuery;
  readonly stream: number;
  readonly retentionClass: number;
  /** Events are known by their time: of several of one time the last that came counts. */
  readonly byTime: boolean;
  readonly fields: number;
  /** Newest events that are wanted whatever their time is. */
  readonly count: number;
  /** Undefined: they are all that is wanted. */
  readonly since: Micros | undefined;
}

/** Events of one query as they come: a text a column, the newest event first. Nulls: there are none. */
export interface FoundEvents {
  /** Of which query they are, the first being 1. */
  readonly n: string;
  /** `newest`: as many as are wanted and one more where there is one; `earlier`: what comes before those, as far as `since`. */
  readonly part: 'newest' | 'earlier';
  /** Of who asks for all that is committed: the stamp which that goes up to, at the same moment. */
  readonly arrived: string | null;
  readonly times: string | null;
  readonly arrivals: string | null;
  readonly ids: string | null;
  readonly vals: string | null;
  /** A digit an event, 1: it came too late; null: none did. */
  readonly late: string | null;
}

// Of streams whose events are known by their time these are the same for all events of that time.
const ARRIVAL = 'CASE WHEN q.by_time THEN NULL ELSE v.ingested_at END';
const ID = 'CASE WHEN q.by_time THEN NULL ELSE v.event_id END';

/*
 * By the primary key of one cut of the log after the other, and no further than what is wanted. A text a column: what JSON is
 * built for row by row takes PostgreSQL longer than all the rest.
 */
const part = (name: FoundEvents['part'], { arrived = 'NULL', since = '', limit = '', where = '' }): string => `
SELECT q.n, '${name}' AS part, ${arrived}::bigint AS arrived, e.* FROM q CROSS JOIN LATERAL (
  SELECT string_agg(x.event_time::text, ',') AS times, string_agg(x.ingested_at::text, ',') AS arrivals,
    string_agg(x.event_id::text, ',') AS ids, string_agg(x.vals::text, ',') AS vals,
    string_agg(x.log_only::int::text, '') FILTER (WHERE q.corrected) AS late
  FROM (
    SELECT DISTINCT ON (v.event_time, ${ARRIVAL}, ${ID}) v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals
    FROM features.event v
    WHERE v.retention_class = q.class AND v.stream = q.stream AND v.entity = q.entity AND v.event_time <= q.at ${since}
      AND (q.known IS NULL OR v.ingested_at <= q.known) AND (q.corrected OR NOT v.log_only)
    ORDER BY v.event_time DESC, ${ARRIVAL} DESC, ${ID} DESC, v.ingested_at DESC, v.event_id DESC ${limit}) x) e
${where}`;

const ASKED = `unnest($1::smallint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::boolean[], $7::boolean[],
  $8::bigint[], $9::bigint[]) WITH ORDINALITY AS q (class, stream, entity, at, known, corrected, by_time, count, since, n)`;

/*
 * The limit of q is how many there are. To the planner an unknown limit is one row, and by that the plan that serves all calls
 * costs no more than one that is made for each call: it is kept. Making one takes longer than running it, with each cut of the log more.
 */
const QUERIES = `
WITH q AS MATERIALIZED (SELECT * FROM ${ASKED} LIMIT $10)`;

const ARRIVED = `(CASE WHEN q.known IS NULL THEN
  (SELECT l.ingested_at FROM features.latest l WHERE l.stream = q.stream AND l.entity = q.entity) END)`;

const NEWEST = part('newest', { arrived: ARRIVED, limit: 'LIMIT q.count + 1' });

export interface HistoryStatement {
  readonly sql: string;
  readonly prepared: string;
}

/** The newest events of each query; $10 is how many queries there are. */
export const NEWEST_STATEMENT: HistoryStatement = { sql: `${QUERIES}${NEWEST}`, prepared: 'features_newest' };

/** And those before them that came since, `most` of both together and one more where there are more. */
export function historyStatement(most: number): HistoryStatement {
  const earlier = part('earlier', {
    since: 'AND v.event_time >= q.since',
    limit: `OFFSET q.count LIMIT ${most + 1} - q.count`,
    where: 'WHERE q.since <= q.at',
  });
  return { sql: `${QUERIES}${NEWEST}\nUNION ALL${earlier}`, prepared: 'features_history' };
}

/** The same of few queries, for whom making the first plans of the other two would take longer than the read; $10 is `most` and one. */
export const FEW_STATEMENT: HistoryStatement = {
  sql: `SELECT q.n, e.* FROM ${ASKED} CROSS JOIN LATERAL
  features.entity_history(q.class, q.stream, q.entity, q.at, q.known, q.corrected, q.by_time, q.count, q.since, $10) e`,
  prepared: 'features_few',
};

/** Without the last one, which is what the statement says. */
export function historyParameters(asks: readonly HistoryAsk[]): unknown[] {
  return [
    plainArray(asks.map(({ retentionClass }) => retentionClass)),
    plainArray(asks.map(({ stream }) => stream)),
    textArray(asks.map(({ query }) => query.entity)),
    plainArray(asks.map(({ query }) => query.at)),
    plainArray(asks.map(({ query }) => (Number.isFinite(query.knownAt) ? query.knownAt : undefined))),
    plainArray(asks.map(({ query }) => query.corrected)),
    plainArray(asks.map(({ byTime }) => byTime)),
    plainArray(asks.map(({ count }) => count)),
    plainArray(asks.map(({ query, since }) => since ?? query.at + 1)),
  ];
}

/** In the order in which they come. */
export function readFound(
  {
    query: { stream, entity },
    fields,
  }: Pick<HistoryAsk, 'fields'> & { readonly query: Pick<HistoryQuery, 'stream' | 'entity'> },
  found: Omit<FoundEvents, 'part'>,
): FeatureEvent[] {
  if (found.times === null) return [];
  const times = JSON.parse(`[${found.times}]`) as Micros[];
  const arrivals = JSON.parse(`[${found.arrivals}]`) as Micros[];
  const ids = (found.ids ?? '').split(',');
  const values = JSON.parse(`[${found.vals}]`) as FeatureValue[][];
  const events: FeatureEvent[] = [];
  for (let i = 0; i < times.length; i++) {
    // One literal: put together of parts, an event takes as long as reading its values.
    events.push({
      stream,
      entity,
      eventTime: times[i] as Micros,
      eventId: ids[i] as string,
      ingestedAt: arrivals[i] as Micros,
      logOnly: found.late?.[i] === '1',
      values: filled(values[i] as FeatureValue[], fields),
    });
  }
  return events;
}

/** Fields that the stream got after the event are null in it. */
function filled(values: FeatureValue[], fields: number): FeatureValue[] {
  while (values.length < fields) values.push(null);
  return values;
}
