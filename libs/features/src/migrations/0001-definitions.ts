import type { Migration } from '@sibyl/database';

/**
 * What was published, for ever: a definition is known by its hash and never changes; what a name means now is the last row of
 * its history. The application may add rows and nothing else.
 */
export const definitionsMigration: Migration = {
  id: '0001_definitions',
  schema: 'features',
  sql: `
CREATE TABLE features.definition (
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('view', 'set')),
  name text COLLATE "C" NOT NULL,
  hash text COLLATE "C" NOT NULL CHECK (hash ~ '^sha256:[0-9a-f]{64}$'),
  document json NOT NULL,
  -- As it was read: with every default, the fields of its streams in their order, and the versions of the views of a set.
  resolved json NOT NULL,
  published_at timestamptz NOT NULL,
  published_by json NOT NULL,
  PRIMARY KEY (kind, name, hash)
);

-- What a name meant from when on; without a hash: nothing, it was deleted.
CREATE TABLE features.publication (
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  revision integer NOT NULL CHECK (revision > 0),
  hash text COLLATE "C",
  at timestamptz NOT NULL,
  actor json NOT NULL,
  PRIMARY KEY (kind, name, revision),
  FOREIGN KEY (kind, name, hash) REFERENCES features.definition (kind, name, hash)
);

-- Streams by the number under which their events lie. The class decides how the log is cut, and stays: events lie by it.
CREATE TABLE features.stream (
  id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  view text COLLATE "C" NOT NULL,
  retention_class smallint NOT NULL CHECK (retention_class BETWEEN 0 AND 3),
  -- Microseconds.
  retention bigint NOT NULL CHECK (retention > 0),
  -- As the last version of its view says; its fields are in the order of the values of its events.
  definition json NOT NULL,
  made_at timestamptz NOT NULL
);

GRANT SELECT, INSERT ON features.definition, features.publication TO sibyl_app;
GRANT SELECT, INSERT, UPDATE (retention, definition) ON features.stream TO sibyl_app;
`,
};
