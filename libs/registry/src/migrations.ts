import type { Migration } from '@sibyl/database';
import { derivedMigration } from './migrations/0002-derived';
import { policiesMigration } from './migrations/0003-policies';
import { aliasFacts } from './migrations/0004-alias-facts';
import { signaturesMigration } from './migrations/0005-signatures';
import { sourcesMigration } from './migrations/0006-sources';
import { storeMigration } from './migrations/0007-store';
import { policyProposalsMigration } from './migrations/0008-policy-proposals';
import { rollbackTargetMigration } from './migrations/0009-rollback-target';
import { fileDigestsMigration } from './migrations/0010-file-digests';
import { syncProblemMigration } from './migrations/0012-sync-problem';
import { featureSetMigration } from './migrations/0013-feature-set';
import { syncServerMigration } from './migrations/0011-sync-server';

/**
 * Schema `registry`. Documents are `json`, not `jsonb`: it keeps their text as it came and takes every string that JSON has.
 * What a version is made of cannot change once it was validated, and history only grows: triggers and missing rights
 * see to it, not the code.
 */
export const registryMigrations: Migration[] = [
  {
    id: '0001_models',
    schema: 'registry',
    sql: `
CREATE TABLE registry.model (
  name text COLLATE "C" PRIMARY KEY,
  created_at timestamptz NOT NULL
);

CREATE SEQUENCE registry.arrival;

CREATE TABLE registry.model_version (
  model text COLLATE "C" NOT NULL REFERENCES registry.model (name),
  version text COLLATE "C" NOT NULL,
  arrival bigint NOT NULL UNIQUE DEFAULT nextval('registry.arrival'),
  status text NOT NULL CHECK (status IN ('registered', 'validated', 'rejected', 'approved', 'archived')),
  digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  manifest json NOT NULL,
  files json NOT NULL,
  onnx json NOT NULL,
  signature json NOT NULL,
  report json,
  registered_at timestamptz NOT NULL,
  registered_by json NOT NULL,
  validated_at timestamptz,
  changed_at timestamptz NOT NULL,
  changed_by json NOT NULL,
  revision integer NOT NULL DEFAULT 1,
  PRIMARY KEY (model, version)
);

CREATE FUNCTION registry.guard_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.model <> OLD.model OR NEW.version <> OLD.version THEN
    RAISE EXCEPTION 'a version keeps its name';
  END IF;
  IF OLD.validated_at IS NOT NULL AND (
    NEW.digest, NEW.arrival, NEW.validated_at, NEW.registered_at,
    NEW.manifest::text, NEW.files::text, NEW.onnx::text, NEW.signature::text, NEW.registered_by::text
  ) IS DISTINCT FROM (
    OLD.digest, OLD.arrival, OLD.validated_at, OLD.registered_at,
    OLD.manifest::text, OLD.files::text, OLD.onnx::text, OLD.signature::text, OLD.registered_by::text
  ) THEN
    RAISE EXCEPTION 'a version that was validated is immutable';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER guard_version BEFORE UPDATE ON registry.model_version
  FOR EACH ROW EXECUTE FUNCTION registry.guard_version();

CREATE TABLE registry.alias_event (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model text COLLATE "C" NOT NULL,
  alias text COLLATE "C" NOT NULL,
  revision integer NOT NULL CHECK (revision > 0),
  kind text NOT NULL CHECK (kind IN ('move', 'rollback')),
  from_version text,
  version text COLLATE "C" NOT NULL,
  digest text NOT NULL,
  -- The event whose state a rollback restores: what the alias pointed at before it came here.
  returns_to bigint REFERENCES registry.alias_event (id),
  at timestamptz NOT NULL,
  actor json NOT NULL,
  reason text NOT NULL,
  UNIQUE (model, alias, revision),
  FOREIGN KEY (model, version) REFERENCES registry.model_version (model, version)
);
CREATE INDEX alias_event_at ON registry.alias_event (model, alias, at);
CREATE INDEX alias_event_model ON registry.alias_event (model, id);

CREATE TABLE registry.model_alias (
  model text COLLATE "C" NOT NULL,
  alias text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  event bigint NOT NULL REFERENCES registry.alias_event (id),
  PRIMARY KEY (model, alias),
  FOREIGN KEY (model, version) REFERENCES registry.model_version (model, version)
);
CREATE INDEX model_alias_version ON registry.model_alias (model, version);

-- What lay at a start-up package's place when it was registered: while that has not changed, nothing is read again.
CREATE TABLE registry.start_source (
  uri text COLLATE "C" PRIMARY KEY,
  fingerprint text NOT NULL,
  model text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  digest text NOT NULL
);

-- Nothing is ever deleted, so that every version that an event or a prediction names can be looked up.
GRANT USAGE ON SEQUENCE registry.arrival TO sibyl_app;
GRANT SELECT, INSERT, UPDATE ON registry.model, registry.model_version, registry.model_alias, registry.start_source TO sibyl_app;
GRANT SELECT, INSERT ON registry.alias_event TO sibyl_app;
`,
  },
  derivedMigration,
  policiesMigration,
  aliasFacts,
  signaturesMigration,
  sourcesMigration,
  storeMigration,
  policyProposalsMigration,
  rollbackTargetMigration,
  fileDigestsMigration,
  syncServerMigration,
  syncProblemMigration,
  featureSetMigration,
];
