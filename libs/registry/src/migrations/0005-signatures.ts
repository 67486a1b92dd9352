import type { Migration } from '@sibyl/database';

/** What was found of the signature of a version's package, by which policy and when; the last check counts. */
export const signaturesMigration: Migration = {
  id: '0005_signatures',
  schema: 'registry',
  sql: 'ALTER TABLE registry.model_version ADD COLUMN package_signature json;',
};
