import type { Migration } from '@sibyl/database';

/** What each model asks of its versions, and who stood up for which bytes. Both only grow. */
export const policiesMigration: Migration = {
  id: '0003_policies',
  schema: 'registry',
  sql: `
-- The policy of a model is the row with its highest revision; a model without one has the defaults.
CREATE TABLE registry.model_policy (
  model text COLLATE "C" NOT NULL REFERENCES registry.model (name),
  revision integer NOT NULL CHECK (revision > 0),
  policy json NOT NULL,
  at timestamptz NOT NULL,
  actor json NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (model, revision)
);

-- An approval counts while its digest is the version's and no later row of its version voids what came before it.
CREATE TABLE registry.model_approval (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('approve', 'void')),
  digest text NOT NULL,
  policy_revision integer NOT NULL,
  at timestamptz NOT NULL,
  actor json NOT NULL,
  reason text NOT NULL,
  FOREIGN KEY (model, version) REFERENCES registry.model_version (model, version)
);
CREATE INDEX model_approval_version ON registry.model_approval (model, version, id);

GRANT SELECT, INSERT ON registry.model_policy, registry.model_approval TO sibyl_app;
`,
};
