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
  ...[
    'predict',
    'models:read',
    'models:write',
    'models:promote',
    'features:read',
    'features:write',
    'keys:read',
    'keys:write',
  ],
  ...['keys:grant', 'audit:read', 'ops:read', 'ops:write'],
];

const pathOf = (pattern: string): string =>
  pattern.replace(/\{(\w+)\}/g, (_, name: string) => PARAMETERS[name] ?? name);

describe('who may call what', () => {
  let server: TestServer;
  let requests = 0;
  const calls = new Map<string, RecordedCall>();

  /** A call under a request id of its own, remembered by how it ended, so that its event can be looked for. */
  async function call(what: string, method: string, path: string, key: string | null): ReturnType<TestServer['call']> {
    const id = `access-${++requests}`;
    const headers = { 'X-Request-Id': id, 'Content-Type': 'application/json' };
    const answer = await server.call<{ code?: string }>(method, path, {
      key,
      headers,
      ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }),
    });
    calls.set(id, { isPublic: what === 'public', status: answer.status, code: answer.body.code ?? '' });
    return answer;
  }

  async function keyWith(scopes: readonly string[]): Promise<string> {
    const { body } = await server.call<{ key: string }>('POST', '/v1/keys', {
      body: { name: scopes.join(' ').slice(0, 100), scopes },
    });
    return body.key;
  }

  beforeAll(async () => {
    server = await startServer();
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  it.each(ROUTES.filter(([, , access]) => access === 'public'))(
    '%s %s is open to everybody',
    async (method, pattern) => {
      const answer = await call('public', method, pathOf(pattern), null);
      expect(answer.status).toBe(200);
    },
  );

  it.each(ROUTES.filter(([, , access]) => access !== 'public'))(
    '%s %s is closed without a key and to a wrong one',
    async (method, pattern) => {
      for (const key of [null, 'sk_wrong']) {
        const answer = await call('private', method, pathOf(pattern), key);
        expect(answer).toMatchObject({ status: 401, body: { code: key === null ? 'key_missing' : 'key_malformed' } });
        expect(answer.headers.get('www-authenticate')).toContain('Bearer');
      }
    },
  );

  describe.each(SCOPES.filter((scope) => ROUTES.some(([, , access]) => access === scope)))('without %s', (scope) => {
    let key: string;
    // Recorded predictions are open to auditors as well, so that neither scope may be there.
    beforeAll(async () => {
      key = await keyWith(
        SCOPES.filter((other) => other !== scope && !(scope === 'predict' && other === 'audit:read')),
      );
    });

    it.each(ROUTES.filter(([, , access]) => access === scope))('%s %s is forbidden', async (method, pattern) => {
      const answer = await call('private', method, pathOf(pattern), key);
      expect(answer).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
      expect((answer.body as { detail: string }).detail).toContain(scope);
    });
  });

  it('any key at all opens what asks for any key, and nothing else', async () => {
    const key = await keyWith(['keys:grant']);
    for (const [method, pattern, access] of ROUTES.filter(([, , other]) => other !== 'public')) {
      const { status } = await call('private', method, pathOf(pattern), key);
      expect([pattern, status === 403]).toEqual([pattern, access !== 'any key']);
    }
  });

  it('a wrong method is 405 with the right ones, on private paths only with a key', async () => {
    for (const [, pattern, access] of ROUTES) {
      if (ROUTES.some(([method, path]) => method === 'PUT' && path === pattern)) continue;
      const answer = await call(access === 'public' ? 'public' : 'private', 'PUT', pathOf(pattern), server.adminKey);
      expect([pattern, answer.status, answer.headers.get('allow')]).toEqual([
        pattern,
        405,
        expect.stringMatching(/GET|POST|DELETE/),
      ]);
      if (access !== 'public') expect((await call('private', 'PUT', pathOf(pattern), null)).status).toBe(401);
    }
  });

  it.each(['/v2x', '/v1', '/v1/health', '/v1/metrics', '/api/models', '/Models', '//models', '/console/x'])(
    '%s is nothing: 401 without a key, 404 with one',
    async (path) => {
      expect((await call('private', 'GET', path, null)).status).toBe(401);
      expect(await call('private', 'GET', path, server.adminKey)).toMatchObject({
        status: 404,
        body: { code: 'route_not_found' },
      });
    },
  );

  /** The events of the calls of this test, however many pages they take. */
  async function recorded(): Promise<ListedEvent[]> {
    const events: ListedEvent[] = [];
    let cursor: string | undefined;
    do {
      const query: string = cursor === undefined ? '' : `&cursor=${cursor}`;
      const { body } = await server.call<{ items: ListedEvent[]; next?: string }>(
        'GET',
        `/v1/audit/events?limit=1000${query}`,
      );
      events.push(...body.items.filter(({ request_id: id }) => calls.has(id)));
      cursor = body.next;
    } while (cursor !== undefined);
    return events;
  }

  it('each of these requests left exactly one event, those to public routes none', async () => {
    const denied = [...calls.values()].filter((made) => !made.isPublic && isDenied(made));
    const ofDenied = (events: readonly ListedEvent[]): ListedEvent[] =>
      events.filter(({ outcome }) => outcome === 'denied');
    let events = await recorded();
    // Of refusals with one code from one address, those past the first 100 in 10 s share an event, which comes when these are over.
    const deadline = Date.now() + 20_000;
    while (sumOf(ofDenied(events)) < denied.length && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      events = await recorded();
    }
    expect(countsByCode(ofDenied(events).map(({ reason = '', count = 1 }) => [reason, count]))).toEqual(
      countsByCode(denied.map(({ code }) => [code, 1])),
    );
    const found = new Map<string, ListedEvent[]>();
    for (const event of events) found.set(event.request_id, [...(found.get(event.request_id) ?? []), event]);
    const wrong = [...calls].filter(([id, made]) => {
      const own = found.get(id) ?? [];
      if (own.some(({ status }) => status !== made.status)) return true;
      if (made.isPublic) return own.length > 0;
      return isDenied(made) ? own.length > 1 : own.length !== 1 || own[0]?.count !== undefined;
    });
    expect(wrong).toEqual([]);
  }, 60_000);
});

interface RecordedCall {
  readonly isPublic: boolean;
  readonly status: number;
  readonly code: string;
}

interface ListedEvent {
  readonly request_id: string;
  readonly outcome: string;
  readonly status: number;
  readonly reason?: string;
  /** How many refusals share the event. */
  readonly count?: number;
}

function isDenied({ status }: RecordedCall): boolean {
  return [401, 403, 429].includes(status);
}

function sumOf(events: readonly ListedEvent[]): number {
  return events.reduce((sum, { count = 1 }) => sum + count, 0);
}

function countsByCode(counts: readonly (readonly [code: string, count: number])[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [code, count] of counts) sums[code] = (sums[code] ?? 0) + count;
  return sums;
}
