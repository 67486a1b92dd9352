import type { Migration } from '@sibyl/database';

/**
 * Numbers of streams have two bytes in each event. A sequence would give them to dry runs and failed publications too, and never take
 * one back; nor may the number of a stream that is gone ever mean another one.
 */
export const streamNumbersMigration: Migration = {
  id: '0007_stream_numbers',
  schema: 'features',
  sql: `
CREATE TABLE features.stream_number (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  last integer NOT NULL
);
INSERT INTO features.stream_number (last)
SELECT greatest((SELECT coalesce(max(id), 0) FROM features.stream), (SELECT last_value FROM features.stream_id_seq));
GRANT SELECT, UPDATE ON features.stream_number TO sibyl_app;
`,
};
