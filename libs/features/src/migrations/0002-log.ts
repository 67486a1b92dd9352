import type { Migration } from '@sibyl/database';

/**
 * The log of events. Times are microseconds since 1970 UTC.
 *
 * It is cut by retention class and time: days, weeks, months or years, so that a class never has more than some forty cuts,
 * whatever days its events are of, and what is dropped is at most one such cut older than it had to be. A cut is made by the
 * owner's function when its first event comes; there is none for what fits nowhere, so that nothing can lie where no
 * retention finds it. The application adds events and reads them; it can neither change nor delete one.
 */
export const logMigration: Migration = {
  id: '0002_log',
  schema: 'features',
  sql: `
CREATE TABLE features.event (
  event_time bigint NOT NULL,
  ingested_at bigint NOT NULL,
  event_id uuid NOT NULL,
  stream smallint NOT NULL,
  retention_class smallint NOT NULL,
  -- Came later than its stream allows: never served.
  log_only boolean NOT NULL,
  -- A bar that is not finished: an event of the same time that is takes its place for good.
  provisional boolean NOT NULL,
  entity text COLLATE "C" NOT NULL,
  -- A JSON array in the order of the fields of the stream.
  vals json NOT NULL,
  PRIMARY KEY (stream, entity, event_time, event_id, retention_class)
) PARTITION BY RANGE (retention_class, event_time);
-- Events lie in the order in which they came, so that a few bytes a page range find those of any moment.
CREATE INDEX event_arrival ON features.event USING brin (ingested_at) WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE features.period (
  retention_class smallint NOT NULL,
  from_time bigint NOT NULL,
  to_time bigint NOT NULL CHECK (to_time > from_time),
  part text NOT NULL,
  PRIMARY KEY (retention_class, from_time)
);

-- One row an entity and stream. Who adds events of an entity locks its row first, so that what comes later has the later stamp.
CREATE TABLE features.latest (
  stream smallint NOT NULL,
  -- Of the newest event that is served; null while there is none.
  event_time bigint,
  -- The greatest stamp that any event of the entity has.
  ingested_at bigint NOT NULL,
  entity text COLLATE "C" NOT NULL,
  vals json,
  PRIMARY KEY (stream, entity)
) WITH (fillfactor = 70);

CREATE FUNCTION features.only_newer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the latest event of an entity only ever gets newer' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER forward BEFORE UPDATE ON features.latest FOR EACH ROW
  WHEN (NEW.ingested_at <= OLD.ingested_at OR NEW.event_time < OLD.event_time
    OR (NEW.event_time IS NULL AND OLD.event_time IS NOT NULL))
  EXECUTE FUNCTION features.only_newer();

-- One row a commit: where other processes find what it added. Old ones are removed.
CREATE TABLE features.intake (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  writer uuid NOT NULL,
  retention_class smallint NOT NULL,
  events integer NOT NULL,
  first_time bigint NOT NULL,
  last_time bigint NOT NULL,
  first_stamp bigint NOT NULL,
  last_stamp bigint NOT NULL
);
CREATE INDEX intake_stamp ON features.intake (last_stamp);

-- Tells installations apart that share something outside the database.
CREATE TABLE features.installation (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
INSERT INTO features.installation DEFAULT VALUES;

CREATE FUNCTION features.now_us() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- The cut that an event of this time belongs to: made where it is missing, refused where nobody could need it.
CREATE FUNCTION features.ensure_period(class smallint, at bigint) RETURNS TABLE (from_time bigint, to_time bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  unit text := (ARRAY['day', 'week', 'month', 'year'])[class + 1];
  since timestamp;
  lower_us bigint;
  upper_us bigint;
  part text;
BEGIN
  SELECT p.from_time, p.to_time INTO lower_us, upper_us FROM features.period p
    WHERE p.retention_class = class AND p.from_time <= at ORDER BY p.from_time DESC LIMIT 1;
  IF lower_us IS NOT NULL AND at < upper_us THEN
    RETURN QUERY SELECT lower_us, upper_us;
    RETURN;
  END IF;
  IF unit IS NULL OR NOT EXISTS (SELECT FROM features.stream s WHERE s.retention_class = class)
     OR at < 0 OR at > features.now_us() + 86400000000::bigint
     -- An hour for clocks that differ.
     OR at < features.now_us() - 3600000000::bigint
       - (SELECT max(s.retention) FROM features.stream s WHERE s.retention_class = class) THEN
    RAISE EXCEPTION 'no stream keeps events of this time' USING ERRCODE = 'check_violation';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('features.period'));
  since := date_trunc(unit, timestamp '1970-01-01' + make_interval(secs => floor(at / 1000000)));
  lower_us := extract(epoch FROM since)::bigint * 1000000;
  upper_us := extract(epoch FROM since + ('1 ' || unit)::interval)::bigint * 1000000;
  part := format('event_%s_%s', unit, to_char(since, 'YYYYMMDD'));
  IF NOT EXISTS (SELECT FROM features.period p WHERE p.retention_class = class AND p.from_time = lower_us) THEN
    -- Made beside the log and then attached: who reads and writes meanwhile is not held up.
    EXECUTE format('CREATE TABLE features.%I (LIKE features.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
    EXECUTE format('ALTER TABLE features.event ATTACH PARTITION features.%I FOR VALUES FROM (%s, %s) TO (%s, %s)',
      part, class, lower_us, class, upper_us);
    INSERT INTO features.period VALUES (class, lower_us, upper_us, part);
  END IF;
  RETURN QUERY SELECT lower_us, upper_us;
END $$;

-- Drops one cut that is older than every stream of its class keeps events, the oldest first; answers its name, or null.
CREATE FUNCTION features.drop_stale_period() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  stale features.period;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('features.period'));
  SELECT p.* INTO stale FROM features.period p
    WHERE p.to_time <= features.now_us() - (SELECT max(s.retention) FROM features.stream s
      WHERE s.retention_class = p.retention_class)
    ORDER BY p.to_time LIMIT 1;
  IF stale.part IS NULL THEN RETURN NULL; END IF;
  EXECUTE format('DROP TABLE features.%I', stale.part);
  DELETE FROM features.period p WHERE p.retention_class = stale.retention_class AND p.from_time = stale.from_time;
  RETURN stale.part;
END $$;

REVOKE EXECUTE ON FUNCTION features.ensure_period(smallint, bigint), features.drop_stale_period() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION features.ensure_period(smallint, bigint), features.drop_stale_period() TO sibyl_app;
GRANT SELECT, INSERT ON features.event TO sibyl_app;
GRANT SELECT ON features.period, features.installation TO sibyl_app;
GRANT SELECT, INSERT, UPDATE (event_time, ingested_at, vals) ON features.latest TO sibyl_app;
GRANT SELECT, INSERT, DELETE ON features.intake TO sibyl_app;
`,
};
