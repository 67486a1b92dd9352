import type { Migration } from '@sibyl/database';

/**
 * What is dropped is on record: whoever drops a cut is told what was in it. The function has another name than before, so that nobody
 * who records nothing drops anything.
 */
export const recordedDropsMigration: Migration = {
  id: '0008_recorded_drops',
  schema: 'features',
  sql: `
DROP FUNCTION features.drop_stale_period();

-- Drops one cut that is older than every stream of its class keeps events, the oldest first; answers no row where there is none.
CREATE FUNCTION features.drop_stale_cut()
RETURNS TABLE (part text, retention_class smallint, from_time bigint, to_time bigint, streams text[], bytes bigint, events_about bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
#variable_conflict use_column
DECLARE
  stale features.period;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('features.period'));
  SELECT p.* INTO stale FROM features.period p
    WHERE p.to_time <= features.now_us() - (SELECT max(s.retention) FROM features.stream s
      WHERE s.retention_class = p.retention_class)
    ORDER BY p.to_time LIMIT 1;
  IF stale.part IS NULL THEN RETURN; END IF;
  -- The first row of each stream by the primary key: the events are not gone through.
  EXECUTE format('SELECT coalesce(array_agg(s.name ORDER BY s.name), ARRAY[]::text[]) FROM features.stream s CROSS JOIN LATERAL (
      SELECT FROM features.%I e WHERE e.stream = s.id ORDER BY e.entity LIMIT 1) found WHERE s.retention_class = $1', stale.part)
    INTO streams USING stale.retention_class;
  -- As the last ANALYZE has it.
  SELECT pg_total_relation_size(c.oid), nullif(c.reltuples, -1)::bigint INTO bytes, events_about
    FROM pg_class c WHERE c.oid = format('features.%I', stale.part)::regclass;
  EXECUTE format('DROP TABLE features.%I', stale.part);
  DELETE FROM features.period p WHERE p.retention_class = stale.retention_class AND p.from_time = stale.from_time;
  RETURN QUERY SELECT stale.part, stale.retention_class, stale.from_time, stale.to_time, streams, bytes, events_about;
END $$;

REVOKE EXECUTE ON FUNCTION features.drop_stale_cut() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION features.drop_stale_cut() TO sibyl_app;
`,
};
