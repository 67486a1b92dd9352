import type { Migration } from '@sibyl/database';

/** How other processes, and memory, know that they missed nothing. */
export const chainMigration: Migration = {
  id: '0004_chain',
  schema: 'features',
  sql: `
-- The greatest stamp that the entity had before this event; 0: none, or nobody knows.
ALTER TABLE features.event ADD COLUMN previous bigint NOT NULL DEFAULT 0;

-- Which transaction it was: of a snapshot PostgreSQL says exactly which of them it shows, whatever the clock and however long one took.
ALTER TABLE features.intake ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX intake_xid ON features.intake (xid);
`,
};
