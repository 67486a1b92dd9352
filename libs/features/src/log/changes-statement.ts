import { plainArray, textArray } from './array-literal';
import type { ChangesQuery } from './feature-event';

/** One query as the statement takes it. */
export interface ChangesAsk {
  readonly query: ChangesQuery;
  readonly stream: number;
  readonly retentionClass: number;
  readonly fields: number;
}

/*
 * What a walk through time comes across: every version of an event, so that each moment finds the one that it knew. In the order
 * of time, so that a long way is read in parts. Columns as text and a limit that is not known: as of histories.
 */
export const CHANGES_STATEMENT = {
  prepared: 'features_changes',
  sql: `
WITH q AS MATERIALIZED (SELECT * FROM unnest($1::smallint[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[],
  $6::bigint[], $7::boolean[], $8::bigint[], $9::bigint[], $10::bigint[]) WITH ORDINALITY
  AS q (class, stream, entity, at, known, since, corrected, most, seen_at, seen_known, n) LIMIT $11)
SELECT q.n, e.* FROM q CROSS JOIN LATERAL (
  SELECT string_agg(x.event_time::text, ',') AS times, string_agg(x.ingested_at::text, ',') AS arrivals,
    string_agg(x.event_id::text, ',') AS ids, string_agg(x.vals::text, ',') AS vals,
    string_agg(x.log_only::int::text, '') FILTER (WHERE q.corrected) AS late
  FROM (
    SELECT v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals FROM features.event v
    WHERE v.retention_class = q.class AND v.stream = q.stream AND v.entity = q.entity AND v.event_time <= q.at
      AND v.event_time >= q.since AND v.ingested_at <= q.known AND (q.corrected OR NOT v.log_only)
      AND (v.event_time > q.seen_at OR v.ingested_at > q.seen_known)
    ORDER BY v.event_time LIMIT q.most) x) e`,
};

export function changesParameters(asks: readonly ChangesAsk[]): unknown[] {
  return [
    plainArray(asks.map(({ retentionClass }) => retentionClass)),
    plainArray(asks.map(({ stream }) => stream)),
    textArray(asks.map(({ query }) => query.entity)),
    plainArray(asks.map(({ query }) => query.at)),
    plainArray(asks.map(({ query }) => query.knownAt)),
    plainArray(asks.map(({ query }) => query.since)),
    plainArray(asks.map(({ query }) => query.corrected)),
    plainArray(asks.map(({ query }) => query.most)),
    plainArray(asks.map(({ query }) => query.seen.at)),
    plainArray(asks.map(({ query }) => query.seen.knownAt)),
    asks.length,
  ];
}
