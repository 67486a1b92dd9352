import { AUDIT_DURABILITIES, AuditOptions } from '@sibyl/audit';
import { AuthOptions } from '@sibyl/auth';
import { DatabaseOptions } from '@sibyl/database';
import { CLOCK_SKEW_MS_MAX, ReadOptions, TrainingOptions } from '@sibyl/features';
import { choice, optionalText, whole } from './setting';
import { lostByACrash, weakDatabasePassword } from './unsafe';

const MEBIBYTE = 1024 * 1024;
const GIBIBYTE = 1024 * MEBIBYTE;

// Defaults are those of the options that the settings become, so that they are written once.
const AUDIT = new AuditOptions();
const AUTH = new AuthOptions();
const DATABASE = new DatabaseOptions();
const FEATURES = new ReadOptions();
const TRAINING = new TrainingOptions();

/** Where data lies. */
export const DATA = {
  databaseUrl: optionalText({
    name: 'DATABASE_URL',
    type: 'postgres://…',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    fallback: undefined,
    unsafe: weakDatabasePassword,
    meaning: 'PostgreSQL. Unset: an embedded server starts and stops with this one.',
  }),
  databaseOwnerUrl: optionalText({
    name: 'SIBYL_DATABASE_OWNER_URL',
    type: 'postgres://…',
    pattern: /^postgres(ql)?:\/\/\S+$/,
    fallback: undefined,
    unsafe: weakDatabasePassword,
    meaning: 'The owner of the schemas, for migrations, where `DATABASE_URL` may not create anything.',
  }),
  databasePool: whole({
    name: 'SIBYL_DATABASE_POOL',
    min: 2,
    max: 200,
    fallback: DATABASE.poolSize,
    meaning: 'Connections to PostgreSQL that a worker holds at most.',
  }),
  databaseConnectMs: whole({
    name: 'SIBYL_DATABASE_CONNECT_MS',
    min: 50,
    max: 60_000,
    fallback: DATABASE.connectTimeoutMs,
    meaning: 'How long a connection to PostgreSQL may take before the call is answered 503.',
  }),
  databaseStatementMs: whole({
    name: 'SIBYL_DATABASE_STATEMENT_MS',
    min: 50,
    max: 60_000,
    fallback: DATABASE.statementTimeoutMs,
    meaning: 'How long one statement may take.',
  }),
  redisUrl: optionalText({
    name: 'REDIS_URL',
    type: 'redis://…',
    pattern: /^rediss?:\/\/\S+$/,
    fallback: undefined,
    meaning:
      'A Redis through which workers and servers tell each other of events of features at once. Unset, or lost: they find them in PostgreSQL within two seconds.',
  }),
  featureClockSkewMs: whole({
    name: 'SIBYL_FEATURE_CLOCK_SKEW_MS',
    min: 0,
    max: CLOCK_SKEW_MS_MAX,
    fallback: FEATURES.clockSkewMs,
    meaning:
      'How far the clocks of others may run ahead: times of events of features, of reads and of predictions that lie further in the future are refused.',
  }),
  featureMemoryBytes: whole({
    name: 'SIBYL_FEATURE_MEMORY_BYTES',
    min: MEBIBYTE,
    max: 64 * GIBIBYTE,
    fallback: FEATURES.stateBytes,
    meaning:
      'What a worker keeps of the events of features in memory; entities that were not asked for longest make room and come back from PostgreSQL.',
  }),
  trainingBytes: whole({
    name: 'SIBYL_TRAINING_BYTES',
    min: 16 * MEBIBYTE,
    max: 64 * 1024 * GIBIBYTE,
    fallback: TRAINING.totalBytes,
    meaning:
      'What the files of training sets may take on the disk, with the rows that were sent for them; of one key half of it. The oldest finished ones of the same key make room for a new one; where that is not enough it is refused (`storage_full`).',
  }),
} as const;

/** Keys and the audit log. */
export const SECURITY = {
  adminKey: optionalText({
    name: 'SIBYL_ADMIN_KEY',
    type: 'sk_…, as `npm run key` prints it',
    pattern: /^sk_[A-Za-z0-9]+_[A-Za-z0-9]+$/,
    fallback: undefined,
    meaning:
      'The first admin key. Unset: made at the first start and written to `<data dir>/admin-key` (0600), never printed.',
  }),
  authFailures: whole({
    name: 'SIBYL_AUTH_FAILURES',
    min: 1,
    max: 1_000_000,
    fallback: AUTH.failedAuthentications,
    meaning: 'Failed authentications of one address before it is answered 429.',
  }),
  authFailureSeconds: whole({
    name: 'SIBYL_AUTH_FAILURE_SECONDS',
    min: 1,
    max: 86_400,
    fallback: AUTH.failedAuthenticationSeconds,
    meaning: 'The time in which those failures are counted.',
  }),
  keysMax: whole({
    name: 'SIBYL_KEYS_MAX',
    min: 1,
    max: 10_000_000,
    fallback: AUTH.keys,
    meaning: 'Keys that may exist; all of them are held in memory.',
  }),
  auditDurability: choice({
    name: 'SIBYL_AUDIT_DURABILITY',
    of: AUDIT_DURABILITIES,
    fallback: AUDIT.durability,
    unsafe: lostByACrash,
    meaning: `When predictions and reads of features are answered: \`durable\`, once the event is on the disk; \`relaxed\`, once the kernel has it, so that a crash of the server loses nothing, but one of the machine the events of up to ${AUDIT.lossWindowMs} ms of them. Everything else is always durable.`,
  }),
  auditSpoolBytes: whole({
    name: 'SIBYL_AUDIT_SPOOL_BYTES',
    min: 64 * MEBIBYTE,
    max: 1024 * GIBIBYTE,
    fallback: AUDIT.spoolBytes,
    meaning:
      'Events of one worker that may wait on disk for PostgreSQL; past it nothing is answered that needs recording.',
  }),
} as const;
