export { Database, type CallLimits, type DatabaseStart, type DatabaseStatus } from './database';
export { EmbeddedPostgres } from './embedded-postgres';
export { DatabaseOptions } from './database-options';
export type { DatabaseLog } from './database-log';
/** @public Callers map their own constraints. */
export { isUniqueViolation, sqlState } from './database-errors';
export type { Migration } from './migrations';
export type { RoleSeparation } from './roles';
