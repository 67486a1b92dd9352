import type { Migration } from '@sibyl/database';

/** Where versions come from, and how far the models that follow another registry have come. */
export const sourcesMigration: Migration = {
  id: '0006_sources',
  schema: 'registry',
  sql: `
ALTER TABLE registry.model_version ADD COLUMN source json;

-- One row a model that follows an MLflow registry. Whoever sets lease_until has the model until then, so that of several
-- processes and servers one asks; a process that dies keeps it no longer than that.
CREATE TABLE registry.model_sync (
  model text COLLATE "C" PRIMARY KEY,
  -- Of the policy by which it was looked at last: another one is due at once.
  policy_revision integer NOT NULL,
  due_at timestamptz NOT NULL,
  lease_until timestamptz NOT NULL DEFAULT 'epoch',
  failures integer NOT NULL DEFAULT 0,
  checked_at timestamptz,
  -- What the registry named last, what that became here, and why it failed if it did.
  registry_version text,
  version text COLLATE "C",
  detail text
);
GRANT SELECT, INSERT, UPDATE, DELETE ON registry.model_sync TO sibyl_app;
`,
};
