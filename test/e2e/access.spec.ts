import { ROUTES } from './routes';
import { startServer, type TestServer } from '../support/server.mjs';

const PARAMETERS: Readonly<Record<string, string>> = {
  name: 'momentum',
  version: '1.3.0',
  alias: 'production',
  id: '01a1fe4f-7ecc-7000-ad22-6c15c302932f',
  file: 'swagger-ui.css',
};
const SCOPES = [
  ...['predict', 'models:read', 'models:write', 'models:promote', 'features:read', 'features:write', 'keys:read', 'keys:write'],
  ...['keys:grant', 'audit:read', 'ops:read', 'ops:write'],
];

const pathOf = (pattern: string): string => pattern.replace(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? name);

describe('who may call what', () => {
  let server: TestServer;
  let requests = 0;
  const ids = new Map<string, string>();

  /** A call under a request id of its own, remembered by what it was, so that its event can be looked for. */
  async function call(what: string, method: string, path: string, key: string | null): ReturnType<TestServer['call']> {
    const id = `access-${++requests}`;
    ids.set(id, what);
    const headers = { 'X-Request-Id': id, 'Content-Type': 'application/json' };
    return server.call(method, path, { key, headers, ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }) });
  }

  async function keyWith(scopes: readonly string[]): Promise<string> {
    const { body } = await server.call<{ key: string }>('POST', '/v1/keys', { body: { name: scopes.join(' ').slice(0, 100), scopes } });
    return body.key;
  }

  beforeAll(async () => {
    server = await startServer();
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  it.each(ROUTES.filter(([, , access]) => access === 'public'))('%s %s is open to everybody', async (method, pattern) => {
    const answer = await call('public', method, pathOf(pattern), null);
    expect(answer.status).toBe(200);
  });

  it.each(ROUTES.filter(([, , access]) => access !== 'public'))('%s %s is closed without a key and to a wrong one', async (method, pattern) => {
    for (const key of [null, 'sk_wrong']) {
      const answer = await call('private', method, pathOf(pattern), key);
      expect(answer).toMatchObject({ status: 401, body: { code: key === null ? 'key_missing' : 'key_malformed' } });
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });

  describe.each(SCOPES.filter((scope) => ROUTES.some(([, , access]) => access === scope)))('without %s', (scope) => {
    let key: string;
    // Recorded predictions are open to auditors as well, so that neither scope may be there.
    beforeAll(async () => {
      key = await keyWith(SCOPES.filter((other) => other !== scope && !(scope === 'predict' && other === 'audit:read')));
    });

    it.each(ROUTES.filter(([, , access]) => access === scope))('%s %s is forbidden', async (method, pattern) => {
      const answer = await call('private', method, pathOf(pattern), key);
      expect(answer).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
      expect((answer.body as { detail: string }).detail).toContain(scope);
    });
  });

  it('any key at all opens what asks for any key, and nothing else', async () => {
    const key = await keyWith(['features:write']);
    for (const [method, pattern, access] of ROUTES.filter(([, , other]) => other !== 'public')) {
      const { status } = await call('private', method, pathOf(pattern), key);
      expect([pattern, status === 403]).toEqual([pattern, access !== 'any key']);
    }
  });

  it('a wrong method is 405 with the right ones, on private paths only with a key', async () => {
    for (const [, pattern, access] of ROUTES) {
      const answer = await call(access === 'public' ? 'public' : 'private', 'PUT', pathOf(pattern), server.adminKey);
      if (pattern === '/v1/models/{name}/aliases/{alias}') continue;
      expect([pattern, answer.status, answer.headers.get('allow')]).toEqual([pattern, 405, expect.stringMatching(/GET|POST|DELETE/)]);
      if (access !== 'public') expect((await call('private', 'PUT', pathOf(pattern), null)).status).toBe(401);
    }
  });

  it.each(['/v2x', '/v1', '/v1/health', '/v1/metrics', '/api/models', '/Models', '//models', '/console/x'])(
    '%s is nothing: 401 without a key, 404 with one',
    async (path) => {
      expect((await call('private', 'GET', path, null)).status).toBe(401);
      expect(await call('private', 'GET', path, server.adminKey)).toMatchObject({ status: 404, body: { code: 'route_not_found' } });
    },
  );

  it('each of these requests left exactly one event, those to public routes none', async () => {
    const found = new Map<string, number>();
    let cursor: string | undefined;
    do {
      const query: string = cursor === undefined ? '' : `&cursor=${cursor}`;
      const { body } = await server.call<{ items: { request_id: string; count?: number }[]; next?: string }>(
        'GET',
        `/v1/audit/events?limit=1000${query}`,
      );
      for (const { request_id: id } of body.items) found.set(id, (found.get(id) ?? 0) + 1);
      cursor = body.next;
    } while (cursor !== undefined);
    const wrong = [...ids].filter(([id, what]) => (found.get(id) ?? 0) !== (what === 'public' ? 0 : 1));
    // Of refusals with one code from one address, those past the first 100 in 10 s may share an event.
    expect(wrong.filter(([, what]) => what === 'public')).toEqual([]);
    expect([...found.values()].every((count) => count === 1)).toBe(true);
  });
});
