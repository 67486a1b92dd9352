import { QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { DomainError } from '@sibyl/kernel';
import {
  CallRefusedError,
  isUniqueViolation,
  isUnreachable,
  ServerSilentError,
  sqlState,
  translated,
} from './database-errors';

const withCode = (code: string, message = 'anything'): Error => Object.assign(new Error(message), { code });
const wrapped = (driverError: Error): Error => Object.assign(new Error('query failed'), { driverError });

describe('an outage', () => {
  it.each([
    ['a refused connection', withCode('ECONNREFUSED')],
    ['a missing socket', withCode('ENOENT')],
    ['a broken pipe, whose code looks like a SQLSTATE', withCode('EPIPE')],
    ['a connection failure', withCode('08006')],
    ['a shutdown', withCode('57P01')],
    ['a server that is starting', withCode('57P03')],
    ['too many connections', withCode('53300')],
    ['a full disk', withCode('53100')],
    ['a standby that became read-only', withCode('25006')],
    ['a connection that ended', new Error('Connection terminated unexpectedly')],
    ['a pool without a free connection in time', new Error('timeout exceeded when trying to connect')],
    ['a client that was cut off', new Error('Client has encountered a connection error and is not queryable')],
    ['a transaction whose connection broke off', new QueryRunnerAlreadyReleasedError()],
    ['the same, asked by its manager', new QueryRunnerProviderAlreadyReleasedError()],
    ['a silent server', new ServerSilentError('no answer')],
    ['a refused call', new CallRefusedError('down')],
  ])('%s becomes database_unavailable, plain or wrapped by TypeORM', (_name, error) => {
    for (const thrown of [error, wrapped(error)]) {
      expect(isUnreachable(thrown)).toBe(true);
      expect(translated(thrown)).toMatchObject({ code: 'database_unavailable', retryAfterSeconds: 1, cause: thrown });
    }
  });

  it('tells the caller nothing of the server', () => {
    const told = translated(withCode('ENOENT', 'connect ENOENT /home/somebody/.s.PGSQL.5432')) as DomainError;
    expect(told.detail).toBe('The database cannot be reached at the moment.');
  });
});

it.each(['57014', '55P03', '25P03'])('a timeout of ours (%s) is unavailable for the caller, but no outage', (code) => {
  expect(isUnreachable(withCode(code))).toBe(false);
  expect(translated(withCode(code))).toMatchObject({ code: 'database_unavailable' });
});

it.each([withCode('23505'), withCode('42601'), withCode('22P02'), new TypeError('a bug'), 'text', null, undefined])(
  'leaves what is no outage as it is: %p',
  (error) => {
    expect(translated(error)).toBe(error);
  },
);

it('leaves a DomainError of the caller as it is', () => {
  const error = new DomainError('in_use', 'No.', { cause: withCode('57P01') });
  expect(translated(error)).toBe(error);
});

it('knows a unique violation, and of which constraint', () => {
  const error = Object.assign(withCode('23505'), { constraint: 'key_pkey' });
  expect(isUniqueViolation(error)).toBe(true);
  expect(isUniqueViolation(wrapped(error), 'key_pkey')).toBe(true);
  expect(isUniqueViolation(error, 'other')).toBe(false);
  expect(isUniqueViolation(withCode('23503'))).toBe(false);
  expect(isUniqueViolation(undefined)).toBe(false);
});

it('reads the SQLSTATE and nothing else', () => {
  expect(sqlState(wrapped(withCode('40001')))).toBe('40001');
  expect(sqlState(withCode('EPIPE'))).toBeUndefined();
  expect(sqlState(new Error('none'))).toBeUndefined();
});
