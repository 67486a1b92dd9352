import type { Migration } from '@sibyl/database';

/**
 * The version of the feature set that a version takes its features from: `name@sha256:...`. Its manifest may name the set alone,
 * and what that name means changes; what a version predicts from does not.
 */
export const featureSetMigration: Migration = {
  id: '0013_feature_set',
  schema: 'registry',
  sql: `
ALTER TABLE registry.model_version ADD COLUMN feature_set text;
`,
};
