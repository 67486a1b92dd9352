import type { Migration } from '@sibyl/database';
import { definitionsMigration } from './migrations/0001-definitions';
import { logMigration } from './migrations/0002-log';

/** Schema `features`, in order. */
export const featureMigrations: readonly Migration[] = [definitionsMigration, logMigration];
