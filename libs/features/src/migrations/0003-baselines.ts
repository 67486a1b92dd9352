import type { Migration } from '@sibyl/database';

/** What the features of a version of a view came to in a backfill; the newest row of a version is its baseline. */
export const baselinesMigration: Migration = {
  id: '0003_baselines',
  schema: 'features',
  sql: `
CREATE TABLE features.baseline (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  view text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL CHECK (hash ~ '^sha256:[0-9a-f]{64}$'),
  -- Profiles by the name of the feature.
  profile json NOT NULL,
  made_at timestamptz NOT NULL
);
CREATE INDEX baseline_version ON features.baseline (hash, id);

GRANT SELECT, INSERT ON features.baseline TO sibyl_app;
`,
};
