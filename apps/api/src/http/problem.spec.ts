import { DomainError, ERROR_CODES, type ErrorCode } from '@sibyl/kernel';
import { ExtendedProblem, problemOf, statusOf } from './problem';

const PLACE = { requestId: 'r-1', instance: '/v1/keys?cursor=secret' };

function bodyOf(thrown: unknown): Record<string, unknown> {
  return JSON.parse(problemOf(thrown, PLACE).body) as Record<string, unknown>;
}

describe('a problem', () => {
  it('has the members of the contract and the path without its query', () => {
    const { status, headers, body } = problemOf(
      new DomainError('scope_missing', 'The key lacks the scope `keys:read`.'),
      PLACE,
    );
    expect(status).toBe(403);
    expect(headers['Content-Type']).toBe('application/problem+json; charset=utf-8');
    expect(JSON.parse(body)).toEqual({
      type: '/docs/errors#scope_missing',
      title: ERROR_CODES.scope_missing.title,
      status: 403,
      code: 'scope_missing',
      detail: 'The key lacks the scope `keys:read`.',
      instance: '/v1/keys',
      request_id: 'r-1',
    });
  });

  it('carries faults where there are some', () => {
    const faults = [{ pointer: '/name', expected: 'text', received: 'nothing' }];
    expect(bodyOf(new DomainError('invalid_parameter', 'x', { faults }))['errors']).toEqual(faults);
    expect(bodyOf(new DomainError('invalid_parameter', 'x', { faults: [] }))).not.toHaveProperty('errors');
  });

  it.each((Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => [429, 503].includes(statusOf(code))))(
    '%s tells in header and body when to try again',
    (code) => {
      const { headers, body } = problemOf(new DomainError(code, 'x', { retryAfterSeconds: 2.2 }), PLACE);
      expect(headers['Retry-After']).toBe('3');
      expect(JSON.parse(body)).toMatchObject({ retry_after: 3 });
    },
  );

  it('asks for a key on 401 and names the methods on 405', () => {
    expect(problemOf(new DomainError('key_missing', 'x'), PLACE).headers['WWW-Authenticate']).toMatch(
      /^Bearer .*Basic /,
    );
    const refused = problemOf(new DomainError('method_not_allowed', 'x'), { ...PLACE, allow: 'GET, HEAD' });
    expect(refused.headers['Allow']).toBe('GET, HEAD');
  });

  it.each([
    new Error('SELECT * FROM secrets at /home/x.ts:3'),
    'text',
    undefined,
    new DomainError('internal_error', 'SELECT 1'),
  ])('says nothing of the inside for %p', (thrown) => {
    const { status, body } = problemOf(thrown, PLACE);
    expect(status).toBe(500);
    expect(body).not.toMatch(/SELECT|home|text/);
  });

  it('can carry members of its own', () => {
    expect(bodyOf(new ExtendedProblem('shutting_down', 'x', { ready: false, reasons: ['x'] }))).toMatchObject({
      ready: false,
      reasons: ['x'],
      retry_after: 1,
    });
  });

  it('has the status of the contract for every code', () => {
    const statuses = Object.fromEntries(
      (Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => [code, statusOf(code)]),
    );
    expect(statuses).toMatchObject({
      malformed_json: 400,
      key_expired: 401,
      model_forbidden: 403,
      prediction_not_found: 404,
      method_not_allowed: 405,
      not_acceptable: 406,
      request_timeout: 408,
      version_conflict: 409,
      etag_mismatch: 412,
      body_too_large: 413,
      unsupported_media_type: 415,
      model_rejected: 422,
      precondition_required: 428,
      quota_exhausted: 429,
      headers_too_large: 431,
      internal_error: 500,
      audit_unavailable: 503,
      deadline_exceeded: 504,
    });
  });
});
