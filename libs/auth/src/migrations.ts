import type { Migration } from '@sibyl/database';
import { personsMigration } from './persons-migration';

/**
 * Schema `auth`. Secrets have a table of their own because a key may have two while it is being rotated; usage has
 * one because it changes all the time. `key_epoch` numbers the changes: whoever changes keys holds its one row until
 * commit, so numbers appear in the order of commits and a reader that has seen one has seen all before it.
 */
export const authMigrations: Migration[] = [
  {
    id: '0001_keys',
    schema: 'auth',
    sql: `
CREATE TABLE auth.key_epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch bigint NOT NULL
);
INSERT INTO auth.key_epoch (epoch) VALUES (0);

CREATE TABLE auth.keys (
  id uuid PRIMARY KEY,
  prefix text NOT NULL UNIQUE,
  name text NOT NULL,
  owner text,
  role text,
  scopes text[],
  models text[],
  cidrs text[],
  expires_at timestamptz,
  rate_requests integer,
  rate_seconds integer,
  quota_requests bigint,
  quota_period text CHECK (quota_period IN ('day', 'month')),
  origin text NOT NULL CHECK (origin IN ('issued', 'bootstrap', 'preset')),
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  revoked_at timestamptz,
  version bigint NOT NULL,
  CHECK ((role IS NULL) <> (scopes IS NULL)),
  CHECK ((rate_requests IS NULL) = (rate_seconds IS NULL)),
  CHECK ((quota_requests IS NULL) = (quota_period IS NULL))
);
CREATE UNIQUE INDEX keys_version ON auth.keys (version);

CREATE TABLE auth.key_secrets (
  prefix text PRIMARY KEY,
  key_id uuid NOT NULL REFERENCES auth.keys (id),
  digest bytea NOT NULL CHECK (octet_length(digest) = 32),
  pepper_id text NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz
);
CREATE INDEX key_secrets_key ON auth.key_secrets (key_id);

CREATE TABLE auth.key_usage (
  key_id uuid PRIMARY KEY,
  last_used_at timestamptz NOT NULL
);
CREATE TABLE auth.key_quota_usage (
  key_id uuid NOT NULL,
  period text NOT NULL,
  period_start timestamptz NOT NULL,
  used bigint NOT NULL,
  PRIMARY KEY (key_id, period)
);

CREATE TABLE auth.idempotency (
  key_id uuid NOT NULL,
  idempotency_key text NOT NULL,
  fingerprint text NOT NULL,
  lease uuid NOT NULL,
  leased_until timestamptz,
  answer bytea,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (key_id, idempotency_key)
);
CREATE INDEX idempotency_expires ON auth.idempotency (expires_at);

-- Keys are revoked, never deleted: what a key once was stays on record.
GRANT SELECT, UPDATE ON auth.key_epoch TO sibyl_app;
GRANT SELECT, INSERT, UPDATE ON auth.keys TO sibyl_app;
GRANT SELECT, INSERT, UPDATE (expires_at) ON auth.key_secrets TO sibyl_app;
GRANT SELECT, INSERT, UPDATE ON auth.key_usage, auth.key_quota_usage TO sibyl_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.idempotency TO sibyl_app;
`,
  },
  personsMigration,
];
