import type { Migration } from '@sibyl/database';

/** What a move was allowed in spite of, and by whom it was approved: written once with the event, like the rest of it. */
export const aliasFacts: Migration = {
  id: '0004_alias_facts',
  schema: 'registry',
  sql: `
ALTER TABLE registry.alias_event ADD COLUMN breaking json, ADD COLUMN approvals json;
`,
};
