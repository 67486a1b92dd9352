import type { Migration } from '@sibyl/database';

/** Why the registry that a model follows could not be asked the last time; the policy shows it. */
export const syncProblemMigration: Migration = {
  id: '0012_sync_problem',
  schema: 'registry',
  sql: `
ALTER TABLE registry.model_sync ADD COLUMN problem text;
`,
};
