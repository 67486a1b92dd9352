import { DomainError } from '@sibyl/kernel';
import { HttpSurface } from '../../../../test/support/http-surface';

describe('the HTTP surface', () => {
  const surface = new HttpSurface();
  beforeAll(() => surface.start());
  afterAll(() => surface.stop());
  beforeEach(() => {
    surface.failure = undefined;
    surface.gate.limited = false;
    surface.captured.lines.length = 0;
    surface.events.length = 0;
  });

  describe('lets in', () => {
    it('everybody on a public route', async () =>
      expect((await surface.call('GET', '/open', { key: null })).body).toEqual({ open: true }));
    it('a key with the scope, telling its limit', async () => {
      const { status, headers, body } = await surface.call('GET', '/things/a?limit=3');
      expect([status, body]).toEqual([200, { name: 'a', limit: 3, caller: 'tester' }]);
      expect(headers.get('ratelimit')).toBe('"key";r=9;t=6');
      expect(headers.get('ratelimit-policy')).toBe('"key";q=10;w=60');
    });
    it.each(['/v1/things/a', '/things/a/', '/v1/things/a/'])('%s just as well', async (route) =>
      expect((await surface.call('GET', route)).status).toBe(200),
    );
    it('HEAD as GET without a body', async () => {
      const answer = await surface.call('HEAD', '/things/a');
      expect([answer.status, answer.body]).toEqual([200, { text: '' }]);
    });
  });

  describe('refuses', () => {
    it.each([
      ['401 without a key', 'GET', '/things/a', null, 401, 'key_missing'],
      ['401 with a wrong key, saying why', 'GET', '/things/a', 'bad', 401, 'key_unknown'],
      ['401 on a path that does not exist, without a key', 'GET', '/nothing', null, 401, 'key_missing'],
      ['404 on a path that does not exist, with a key', 'GET', '/nothing', 'good', 404, 'route_not_found'],
      ['404 on /v2/things, which is no other name of the route', 'GET', '/v2/things/a', 'good', 404, 'route_not_found'],
      ['405 on a public path, without a key', 'DELETE', '/open', null, 405, 'method_not_allowed'],
      ['401 for a wrong method on a private path, without a key', 'DELETE', '/things/a', null, 401, 'key_missing'],
      [
        '405 for a wrong method on a private path, with a key',
        'DELETE',
        '/things/a',
        'good',
        405,
        'method_not_allowed',
      ],
      ['403 for a model that the key may not use', 'GET', '/things/secret', 'good', 403, 'model_forbidden'],
      ['401 on a path that cannot be decoded, with a wrong key', 'GET', '/things/%zz', 'bad', 401, 'key_unknown'],
      ['400 on a path that cannot be decoded, with a key', 'GET', '/things/%zz', 'good', 400, 'invalid_parameter'],
      ['500 on a route that nobody gave a scope', 'GET', '/forgotten', 'good', 500, 'internal_error'],
    ])('%s', async (...[, method, route, key, status, code]) => {
      const answer = await surface.call(method, route, { key });
      expect(answer.status).toBe(status);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.body).toMatchObject({
        status,
        code,
        type: `/docs/errors#${code}`,
        instance: route,
        request_id: 'r-1',
      });
      if (status === 401) expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    });

    it('with the methods that would do', async () => {
      expect((await surface.call('DELETE', '/things/a')).headers.get('allow')).toBe('GET, HEAD');
      expect((await surface.call('GET', '/things')).headers.get('allow')).toBe('POST');
    });

    it('429 with the limit that is used up and when to come again', async () => {
      surface.gate.limited = true;
      const { status, headers, body } = await surface.call('GET', '/things/a');
      expect([status, body['retry_after']]).toEqual([429, 7]);
      expect(headers.get('retry-after')).toBe('7');
      expect(headers.get('ratelimit')).toBe('"key";r=0;t=60');
    });

    it('406 where JSON is excluded, but not on routes that answer something else', async () => {
      expect((await surface.call('GET', '/things/a', { headers: { Accept: 'text/html' } })).status).toBe(406);
      expect((await surface.call('GET', '/text', { headers: { Accept: 'text/html' } })).status).toBe(200);
    });

    it('unknown and wrong parameters of a query', async () => {
      expect((await surface.call('GET', '/things/a?limt=3')).body).toMatchObject({
        code: 'unknown_field',
        errors: [{ hint: "did you mean 'limit'?" }],
      });
      expect((await surface.call('GET', '/things/a?limit=3&limit=4')).body).toMatchObject({
        code: 'invalid_parameter',
      });
    });

    it.each([
      ['GET', '/text?x=1&x=2', 'x'],
      ['POST', '/things?na~me=a', 'na~0me'],
    ])('%s %s: any query on a route that takes none', async (method, route, name) => {
      expect(await surface.call(method, route)).toMatchObject({
        status: 400,
        body: { code: 'unknown_field', detail: `Unknown field '${name}'.`, errors: [{ pointer: `/${name}` }] },
      });
    });

    it('no query on a public route, nor before it is known who asks', async () => {
      expect((await surface.call('GET', '/open?x=1', { key: null })).status).toBe(200);
      expect((await surface.call('GET', '/text?x=1', { key: null })).status).toBe(401);
    });
  });

  describe('of errors', () => {
    it('nobody foresaw says nothing of the inside, and logs the cause once', async () => {
      surface.failure = new Error('SELECT secret FROM /etc/passwd');
      const { status, body } = await surface.call('GET', '/things/a');
      expect(status).toBe(500);
      expect(JSON.stringify(body)).not.toMatch(/SELECT|passwd|at /);
      expect(surface.captured.lines).toEqual([
        expect.objectContaining({ level: 'error', request_id: 'r-1', code: 'internal_error' }),
      ]);
    });

    it('of things that are away logs the cause as a warning', async () => {
      surface.failure = new DomainError('database_unavailable', 'x', { cause: new Error('ECONNREFUSED') });
      expect((await surface.call('GET', '/things/a')).headers.get('retry-after')).toBe('1');
      expect(surface.captured.lines).toEqual([expect.objectContaining({ level: 'warn' })]);
    });
  });

  it('counts requests by the pattern of their route', async () => {
    await surface.call('GET', '/v1/things/a');
    await surface.call('GET', '/nothing');
    await surface.call('GET', '/nothing', { key: null });
    const text = await surface.metrics.registry.metrics();
    expect(text).toMatch(/sibyl_http_requests_total\{route="\/v1\/things\/\{name\}",method="GET",status="200"\}/);
    expect(text).toMatch(/sibyl_http_requests_total\{route="unmatched",method="GET",status="404"\}/);
    expect(text).toMatch(/sibyl_auth_refusals_total\{code="key_missing"\} [1-9]/);
    expect(text).toMatch(/sibyl_rate_limited_total 1/);
    expect(text).not.toContain('route="/nothing"');
  });
});
