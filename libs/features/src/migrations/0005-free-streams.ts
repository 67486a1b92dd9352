import type { Migration } from '@sibyl/database';

/**
 * A stream of which no event is stored can be given up, and its name with it: what was published of it by mistake is not for ever.
 * No event can come under a stream that is gone: who brings the first one of an entity holds its stream.
 */
export const freeStreamsMigration: Migration = {
  id: '0005_free_streams',
  schema: 'features',
  sql: `
ALTER TABLE features.latest ADD FOREIGN KEY (stream) REFERENCES features.stream (id);

-- Whether it is gone; it stays where an event of it is stored, or comes at this moment.
CREATE FUNCTION features.free_stream(freed smallint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '5s' AS $$
BEGIN
  IF EXISTS (SELECT FROM features.event e WHERE e.stream = freed) THEN RETURN false; END IF;
  -- Of entities of which every event was refused.
  DELETE FROM features.latest l WHERE l.stream = freed AND l.ingested_at = 0;
  DELETE FROM features.stream s WHERE s.id = freed;
  RETURN true;
EXCEPTION WHEN foreign_key_violation THEN
  RETURN false;
END $$;

REVOKE EXECUTE ON FUNCTION features.free_stream(smallint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION features.free_stream(smallint) TO sibyl_app;
`,
};
