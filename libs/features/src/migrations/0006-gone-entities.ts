import type { Migration } from '@sibyl/database';

/**
 * Rows of `latest` of entities of which the log has nothing any more. Nothing is lost with one: what comes later has a later
 * stamp by the clock, and is newer than all that is gone.
 */
export const goneEntitiesMigration: Migration = {
  id: '0006_gone_entities',
  schema: 'features',
  sql: `
-- Goes through so many rows after this one, in their order; answers how many are gone and where the next part begins, null at the end.
CREATE FUNCTION features.forget_gone_entities(INOUT after_stream smallint, INOUT after_entity text, most integer, OUT gone integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  streams smallint[];
  entities text[];
  last_stream smallint;
  last_entity text;
BEGIN
  SELECT (array_agg(p.stream ORDER BY p.stream DESC, p.entity DESC))[1], (array_agg(p.entity ORDER BY p.stream DESC, p.entity DESC))[1]
    INTO last_stream, last_entity
    FROM (SELECT l.stream, l.entity FROM features.latest l WHERE (l.stream, l.entity) > (after_stream, after_entity COLLATE "C")
      ORDER BY l.stream, l.entity LIMIT most) p;
  gone := 0;
  IF last_stream IS NOT NULL THEN
    -- Who holds a row is adding events to it. The others wait until this is decided, and then make the row anew.
    SELECT array_agg(c.stream), array_agg(c.entity) INTO streams, entities FROM (
      SELECT l.stream, l.entity FROM features.latest l JOIN features.stream s ON s.id = l.stream
      WHERE (l.stream, l.entity) > (after_stream, after_entity COLLATE "C") AND (l.stream, l.entity) <= (last_stream, last_entity COLLATE "C")
        AND coalesce(l.event_time, 0) < features.now_us() - s.retention
      ORDER BY l.stream, l.entity FOR UPDATE OF l SKIP LOCKED) c;
    -- A statement of its own: it sees what was committed before the locks were had.
    DELETE FROM features.latest l USING unnest(streams, entities) AS c (stream, entity), features.stream s
      WHERE l.stream = c.stream AND l.entity = c.entity COLLATE "C" AND s.id = l.stream
        AND NOT EXISTS (SELECT FROM features.event e
          WHERE e.retention_class = s.retention_class AND e.stream = l.stream AND e.entity = l.entity);
    GET DIAGNOSTICS gone = ROW_COUNT;
  END IF;
  after_stream := last_stream;
  after_entity := last_entity;
END $$;

REVOKE EXECUTE ON FUNCTION features.forget_gone_entities(smallint, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION features.forget_gone_entities(smallint, text, integer) TO sibyl_app;
`,
};
