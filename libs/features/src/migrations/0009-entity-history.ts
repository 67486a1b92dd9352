import type { Migration } from '@sibyl/database';

/**
 * What the log has of one entity: the newest events, and what comes before them as far as a time. A function, so that each connection
 * plans it once and for all calls: of a statement PostgreSQL makes the first five plans for one call each, through all cuts of the
 * log, and each takes longer than the read.
 */
export const entityHistoryMigration: Migration = {
  id: '0009_entity_history',
  schema: 'features',
  sql: `
CREATE FUNCTION features.entity_history(
  of_class smallint, of_stream smallint, of_entity text, up_to bigint, known bigint, corrected boolean,
  -- Events are known by their time: of several of one time the last that came counts.
  by_time boolean, newest bigint, since bigint, most bigint)
RETURNS TABLE (part text, arrived bigint, times text, arrivals text, ids text, vals text, late text)
LANGUAGE plpgsql STABLE ROWS 2 SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  events bigint;
  oldest bigint;
BEGIN
  part := 'newest';
  -- Of who asks for all that is committed: the stamp which that goes up to.
  IF known IS NULL THEN
    arrived := (SELECT l.ingested_at FROM features.latest l WHERE l.stream = of_stream AND l.entity = of_entity COLLATE "C");
  END IF;
  -- One more than is wanted, where there is one.
  SELECT string_agg(x.event_time::text, ','), string_agg(x.ingested_at::text, ','), string_agg(x.event_id::text, ','),
      string_agg(x.vals::text, ','), string_agg(x.log_only::int::text, '') FILTER (WHERE corrected), count(*), min(x.event_time)
    INTO times, arrivals, ids, vals, late, events, oldest
    FROM (
      SELECT DISTINCT ON (v.event_time, CASE WHEN by_time THEN NULL ELSE v.ingested_at END, CASE WHEN by_time THEN NULL ELSE v.event_id END)
        v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals
      FROM features.event v
      WHERE v.retention_class = of_class AND v.stream = of_stream AND v.entity = of_entity COLLATE "C" AND v.event_time <= up_to
        AND (known IS NULL OR v.ingested_at <= known) AND (corrected OR NOT v.log_only)
      ORDER BY v.event_time DESC, CASE WHEN by_time THEN NULL ELSE v.ingested_at END DESC,
        CASE WHEN by_time THEN NULL ELSE v.event_id END DESC, v.ingested_at DESC, v.event_id DESC
      LIMIT newest + 1) x;
  RETURN NEXT;
  IF since IS NULL OR events <= newest OR oldest < since THEN RETURN; END IF;

  part := 'earlier';
  SELECT string_agg(x.event_time::text, ','), string_agg(x.ingested_at::text, ','), string_agg(x.event_id::text, ','),
      string_agg(x.vals::text, ','), string_agg(x.log_only::int::text, '') FILTER (WHERE corrected)
    INTO times, arrivals, ids, vals, late
    FROM (
      SELECT DISTINCT ON (v.event_time, CASE WHEN by_time THEN NULL ELSE v.ingested_at END, CASE WHEN by_time THEN NULL ELSE v.event_id END)
        v.event_time, v.ingested_at, v.event_id, v.log_only, v.vals
      FROM features.event v
      WHERE v.retention_class = of_class AND v.stream = of_stream AND v.entity = of_entity COLLATE "C" AND v.event_time <= up_to
        AND v.event_time >= since AND (known IS NULL OR v.ingested_at <= known) AND (corrected OR NOT v.log_only)
      ORDER BY v.event_time DESC, CASE WHEN by_time THEN NULL ELSE v.ingested_at END DESC,
        CASE WHEN by_time THEN NULL ELSE v.event_id END DESC, v.ingested_at DESC, v.event_id DESC
      OFFSET newest LIMIT most - newest) x;
  RETURN NEXT;
END $$;

REVOKE EXECUTE ON FUNCTION features.entity_history(smallint, smallint, text, bigint, bigint, boolean, boolean, bigint, bigint, bigint)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION features.entity_history(smallint, smallint, text, bigint, bigint, boolean, boolean, bigint, bigint, bigint)
  TO sibyl_app;
`,
};
