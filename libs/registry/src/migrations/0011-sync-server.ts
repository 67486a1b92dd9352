import type { Migration } from '@sibyl/database';

/** Version numbers say nothing without the registry that counts them. */
export const syncServerMigration: Migration = {
  id: '0011_sync_server',
  schema: 'registry',
  sql: `
-- The MLflow server whose registry_version is meant.
ALTER TABLE registry.model_sync ADD COLUMN registry_uri text;
`,
};
