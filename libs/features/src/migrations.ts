import type { Migration } from '@sibyl/database';
import { definitionsMigration } from './migrations/0001-definitions';
import { logMigration } from './migrations/0002-log';
import { baselinesMigration } from './migrations/0003-baselines';
import { chainMigration } from './migrations/0004-chain';
import { freeStreamsMigration } from './migrations/0005-free-streams';
import { goneEntitiesMigration } from './migrations/0006-gone-entities';
import { streamNumbersMigration } from './migrations/0007-stream-numbers';
import { recordedDropsMigration } from './migrations/0008-recorded-drops';
import { entityHistoryMigration } from './migrations/0009-entity-history';

/** Schema `features`, in order. */
export const featureMigrations: readonly Migration[] = [
  definitionsMigration,
  logMigration,
  baselinesMigration,
  chainMigration,
  freeStreamsMigration,
  goneEntitiesMigration,
  streamNumbersMigration,
  recordedDropsMigration,
  entityHistoryMigration,
];
