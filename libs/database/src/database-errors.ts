import { DomainError } from '@sibyl/kernel';

/** What Node reports when a server cannot be reached. */
const NETWORK_CODES = new Set([
  'EACCES',
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** SQLSTATE classes and codes that say that the server cannot work now: connection, resources, shutdown, I/O, login. */
const UNAVAILABLE_STATES = /^(08...|53...|57P..|58...|28...|25006|3D000)$/;

/** The server answered, but ran into a timeout of ours: statement, lock or idle transaction. */
const TOO_SLOW_STATES = /^(57014|55P03|25P03)$/;

const LOST_CONNECTION =
  /^(Connection terminated|timeout (exceeded|expired)|Client (was closed|has encountered)|Cannot use a pool|Query read timeout)/;

/** What TypeORM says to the next statement of a transaction whose connection has broken off. */
const RELEASED = new Set(['QueryRunnerAlreadyReleasedError', 'QueryRunnerProviderAlreadyReleasedError']);

/** The server gave no answer at all for longer than it may take. */
export class ServerSilentError extends Error {
  override name = 'ServerSilentError';
}

/** A call was refused before it reached the server, which is known to be down or has too many callers. */
export class CallRefusedError extends Error {
  override name = 'CallRefusedError';
}

/** True for a violated unique or primary key, of a given constraint where one is named. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (sqlState(error) !== '23505') return false;
  return constraint === undefined || driverError(error)['constraint'] === constraint;
}

/** The five-character code that PostgreSQL gives each of its errors. */
export function sqlState(error: unknown): string | undefined {
  const { code } = driverError(error);
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !NETWORK_CODES.has(code) ? code : undefined;
}

/** Whether the error says that the server could not be reached or broke off, rather than what a statement did wrong. */
export function isUnreachable(error: unknown): boolean {
  const inner = driverError(error);
  if (inner instanceof ServerSilentError || inner instanceof CallRefusedError) return true;
  const state = sqlState(error);
  if (state !== undefined) return UNAVAILABLE_STATES.test(state);
  const { code, message, name } = inner;
  if (typeof code === 'string' && NETWORK_CODES.has(code)) return true;
  return RELEASED.has(String(name)) || (typeof message === 'string' && LOST_CONNECTION.test(message));
}

/** Turns an outage into `database_unavailable` and leaves every other error as it is, for the caller to map. */
export function translated(error: unknown): unknown {
  if (error instanceof DomainError) return error;
  if (TOO_SLOW_STATES.test(sqlState(error) ?? '')) {
    return new DomainError('database_unavailable', 'The database took too long to answer.', { cause: error });
  }
  if (!isUnreachable(error)) return error;
  return new DomainError('database_unavailable', 'The database cannot be reached at the moment.', { cause: error });
}

/** TypeORM wraps the error of pg. */
function driverError(error: unknown): Record<string, unknown> {
  if (typeof error !== 'object' || error === null) return {};
  const { driverError: inner } = error as { driverError?: unknown };
  return (typeof inner === 'object' && inner !== null ? inner : error) as Record<string, unknown>;
}
