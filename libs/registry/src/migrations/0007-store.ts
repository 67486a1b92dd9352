import type { Migration } from '@sibyl/database';

/** What becomes of stored bytes, and where versions came from. */
export const storeMigration: Migration = {
  id: '0007_store',
  schema: 'registry',
  sql: `
-- Where a version came from another installation: what that one knew of it, as it came and for good.
CREATE TABLE registry.version_origin (
  model text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  digest text NOT NULL,
  record_sha256 text NOT NULL CHECK (record_sha256 ~ '^[0-9a-f]{64}$'),
  header json NOT NULL,
  at timestamptz NOT NULL,
  actor json NOT NULL,
  PRIMARY KEY (model, version, record_sha256),
  FOREIGN KEY (model, version) REFERENCES registry.model_version (model, version)
);
GRANT SELECT, INSERT ON registry.version_origin TO sibyl_app;

-- The bytes of a version were deleted; the row, its digest and its history stay. The same bytes may come again.
ALTER TABLE registry.model_version ADD COLUMN deletion json;

-- Packages that a version has given up. Their bytes go when no other version needs them, at the latest with the next start.
CREATE TABLE registry.released_artifact (
  digest text PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  at timestamptz NOT NULL
);
GRANT SELECT, INSERT, DELETE ON registry.released_artifact TO sibyl_app;

-- What the last look at the stored bytes of a package found.
CREATE TABLE registry.artifact_check (
  digest text PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  intact boolean NOT NULL,
  checked_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON registry.artifact_check TO sibyl_app;
`,
};
