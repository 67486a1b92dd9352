import type { Migration } from '@sibyl/database';

/*
 * Events are only ever added. What holds that up: the application's role has no other right; triggers on the parent
 * and on every partition refuse the owner too (a TRUNCATE of a partition never reaches a trigger of its parent); the
 * chain shows what a superuser does all the same.
 */
const events: Migration = {
  id: '0001_events',
  schema: 'audit',
  sql: `
CREATE TABLE audit.chain (
  chain_id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('spool', 'database')),
  instance text NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  last_seq bigint NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
  head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(head) = 32)
);

CREATE TABLE audit.event (
  id uuid NOT NULL,
  chain_id uuid NOT NULL,
  seq bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  occurred_at timestamptz NOT NULL,
  action text NOT NULL,
  outcome text NOT NULL,
  status integer,
  actor_type text NOT NULL,
  actor_id text NOT NULL,
  actor_name text NOT NULL,
  key_id text,
  ip text NOT NULL,
  request_id text NOT NULL,
  resource_type text NOT NULL,
  resource_id text NOT NULL,
  model_name text,
  model_version text,
  prediction_id text,
  body bytea NOT NULL,
  leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
  chain_hash bytea NOT NULL CHECK (octet_length(chain_hash) = 32)
) PARTITION BY RANGE (recorded_at);

CREATE UNIQUE INDEX event_chain ON audit.event (chain_id, seq, recorded_at);
CREATE UNIQUE INDEX event_time ON audit.event (recorded_at, id);
CREATE INDEX event_id ON audit.event (id);
CREATE INDEX event_request ON audit.event (request_id);
CREATE INDEX event_prediction ON audit.event (prediction_id) WHERE prediction_id IS NOT NULL;
CREATE INDEX event_actor ON audit.event (actor_id, recorded_at);
CREATE INDEX event_actor_name ON audit.event (actor_name, recorded_at);
CREATE INDEX event_key ON audit.event (key_id, recorded_at) WHERE key_id IS NOT NULL;
CREATE INDEX event_ip ON audit.event (ip, recorded_at);
CREATE INDEX event_model ON audit.event (model_name, model_version, recorded_at) WHERE model_name IS NOT NULL;
-- Most events are predictions that succeeded: a search for them walks the times, and an index of them would only cost.
CREATE INDEX event_action ON audit.event (action, recorded_at) WHERE action <> 'prediction.create';
CREATE INDEX event_outcome ON audit.event (outcome, recorded_at) WHERE outcome <> 'succeeded';
CREATE INDEX event_status ON audit.event (status, recorded_at) WHERE status >= 400;

CREATE TABLE audit.payload (
  chain_id uuid NOT NULL,
  first_seq bigint NOT NULL,
  last_seq bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  key_id bytea NOT NULL,
  iv bytea NOT NULL,
  tag bytea NOT NULL,
  ciphertext bytea NOT NULL
) PARTITION BY RANGE (recorded_at);
ALTER TABLE audit.payload ALTER COLUMN ciphertext SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX payload_place ON audit.payload (chain_id, first_seq, recorded_at);

CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit rows are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit.only_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.chain_id <> OLD.chain_id OR NEW.kind <> OLD.kind OR NEW.opened_at <> OLD.opened_at
     OR NEW.last_seq < OLD.last_seq OR (NEW.last_seq = OLD.last_seq AND NEW.head <> OLD.head) THEN
    RAISE EXCEPTION 'a chain only grows' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER forward BEFORE UPDATE ON audit.chain FOR EACH ROW EXECUTE FUNCTION audit.only_forward();
CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON audit.chain FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- A statement trigger guards the table that the statement names: parent and partitions each have their own.
CREATE FUNCTION audit.guard(target regclass) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER guard_table BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', target);
END $$;
SELECT audit.guard('audit.event');
SELECT audit.guard('audit.payload');

CREATE TABLE audit.event_default PARTITION OF audit.event DEFAULT;
CREATE TABLE audit.payload_default PARTITION OF audit.payload DEFAULT;
SELECT audit.guard('audit.event_default');
SELECT audit.guard('audit.payload_default');

-- Makes the partitions of a month unless they are there. Answers false where rows of that month lie in the default
-- partition already (a clock was wrong): they stay there, found as before.
CREATE FUNCTION audit.ensure_month(at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  month timestamp := date_trunc('month', at AT TIME ZONE 'UTC');
  parent text;
  part text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('audit.ensure_month'));
  FOREACH parent IN ARRAY ARRAY['event', 'payload'] LOOP
    part := format('audit.%s_%s', parent, to_char(month, 'YYYY_MM'));
    CONTINUE WHEN to_regclass(part) IS NOT NULL;
    EXECUTE format('CREATE TABLE %s PARTITION OF audit.%I FOR VALUES FROM (%L) TO (%L)', part, parent,
      month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
    PERFORM audit.guard(part::regclass);
  END LOOP;
  RETURN true;
EXCEPTION WHEN check_violation THEN
  RETURN false;
END $$;
REVOKE EXECUTE ON FUNCTION audit.ensure_month(timestamptz), audit.guard(regclass) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION audit.ensure_month(timestamptz) TO sibyl_app;
GRANT SELECT, INSERT, UPDATE (last_seq, head, closed_at) ON audit.chain TO sibyl_app;
GRANT SELECT, INSERT ON audit.event, audit.payload TO sibyl_app;
GRANT SELECT ON audit.chain, audit.event, audit.payload TO sibyl_audit;
`,
};

/** The schema of the audit log, in order. */
export const auditMigrations: readonly Migration[] = [events];
