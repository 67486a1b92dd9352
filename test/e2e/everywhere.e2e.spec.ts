import { sendRaw } from '../support/raw-http';
import { RecordedClient, type AuditEvent } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;
const ORIGIN = 'https://console.example.com';
const PREDICT = { features: { price: 45000, volume: 1000000, rsi: 65.5 } };
/** Of the contract, as far as it is built: these and nothing else. */
const PUBLIC = [
  '/',
  '/health',
  '/health/live',
  '/health/ready',
  '/ready',
  '/health/model',
  '/docs',
  '/docs/errors',
  '/redoc',
  '/openapi.json',
];
const PRIVATE = [
  '/predict',
  '/models',
  '/info',
  '/metrics',
  '/health/detailed',
  '/health/system',
  '/health/gpu',
  '/v1/keys',
  '/v1/whoami',
  '/v1/audit/events',
];
/** Private paths without a `/v1` twin, and paths that look like public ones. */
const NOTHING = [
  '/v1',
  '/v1/',
  '/v1/health',
  '/v1/ready',
  '/v1/metrics',
  '/v1/info',
  '/v1/docs',
  '/healthz',
  '/Health',
  '/READY',
  '//health',
  '/v1//models',
  '/readyx',
  '/health/x',
  '/whoami',
  '/keys',
  '/infer',
];

describe('everywhere', () => {
  let server: TestServer;
  let calls: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_CORS_ORIGINS: `${ORIGIN},http://127.0.0.1:3000` } });
    calls = new RecordedClient(server, 'everywhere');
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  describe('who gets in', () => {
    it.each(PUBLIC)('%s is open, and without an event', async (path) => {
      for (const route of [path, path === '/' ? '/' : `${path}/`]) {
        const answer = await calls.get(route, { key: null, events: 0 });
        expect([route, answer.status]).toEqual([route, 200]);
      }
    });

    it('what the pages of /docs need is open, and nothing outside comes through them', async () => {
      const page = await calls.get('/docs', { key: null, events: 0 });
      const files = [...page.text.matchAll(/(?:src|href)="(\.?\/?[^":]*\.(?:js|css|png))"/g)].map(
        ([, file]) => new URL(file ?? '', `${server.url}/docs/`).pathname,
      );
      expect(files.length).toBeGreaterThan(0);
      for (const file of files) expect((await calls.get(file, { key: null, events: 0 })).status).toBe(200);
      const near = [
        '/docs/nothing.js',
        '/docs/..%2f..%2fpackage.json',
        '/docs/%2e%2e/package.json',
        '/docs/../package.json',
        '/docs/a/b',
      ];
      for (const path of near) {
        const answer = await sendRaw(server.url, [`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`]);
        expect([path, answer.status]).toEqual([path, 404]);
        expect(answer.text).not.toContain('devDependencies');
      }
    });

    it.each(PRIVATE)('%s is closed without a key', async (path) => {
      const method = path === '/predict' ? 'POST' : 'GET';
      expect(await calls.call(method, path, { key: null })).toMatchObject({
        status: 401,
        body: { code: 'key_missing' },
      });
    });

    it.each(NOTHING)('%s is nothing: 401 without a key, 404 with one', async (path) => {
      // URLs are normalized by clients; these have to arrive as they are.
      for (const [key, status] of [
        ['', 401],
        [`X-API-Key: ${server.adminKey}\r\n`, 404],
      ] as const) {
        const id = calls.nextId();
        const answer = await sendRaw(server.url, [
          `GET ${path} HTTP/1.1\r\nHost: x\r\n${key}X-Request-Id: ${id}\r\nConnection: close\r\n\r\n`,
        ]);
        calls.sent.set(id, { what: `GET ${path}`, events: 1, status });
        expect([path, answer.status]).toEqual([path, status]);
      }
    });

    it('health says what a load balancer and an operator look for', async () => {
      expect((await calls.get('/health', { key: null, events: 0 })).body).toMatchObject({ live: true });
      expect((await calls.get('/health/live', { key: null, events: 0 })).body).toMatchObject({ live: true });
      expect((await calls.get('/ready', { key: null, events: 0 })).body).toMatchObject({ ready: true });
      expect((await calls.get('/health/ready', { key: null, events: 0 })).body).toMatchObject({ ready: true });
      const { text } = await calls.get('/health/model', { key: null, events: 0 });
      expect(text).toContain('momentum');
      expect(text).not.toMatch(/sha256|digest|\/tmp/);
    });

    it('a wrong method is 405 with the right ones; on private paths only with a key', async () => {
      const allow = async (method: string, path: string, key?: null): Promise<[number, string | null]> => {
        const { status, headers } = await calls.call(method, path, {
          ...(key === null ? { key } : {}),
          events: PUBLIC.includes(path) ? 0 : 1,
        });
        return [status, headers.get('allow')];
      };
      expect(await allow('GET', '/predict')).toEqual([405, 'POST']);
      expect(await allow('PUT', '/v1/predict/batch')).toEqual([405, 'POST']);
      expect(await allow('POST', '/models')).toEqual([405, 'GET, HEAD']);
      expect((await allow('PUT', '/v1/keys'))[1]?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST']);
      expect(await allow('DELETE', '/health', null)).toEqual([405, 'GET, HEAD']);
      expect(await allow('POST', '/', null)).toEqual([405, 'GET, HEAD']);
      expect((await allow('GET', '/predict', null))[0]).toBe(401);
      expect((await allow('DELETE', '/v1/keys', null))[0]).toBe(401);
    });
  });

  describe('X-Request-Id', () => {
    it.each(['a', 'A-z_0.9', 'x'.repeat(128)])('%s is taken over', async (id) => {
      for (const [method, path] of [
        ['POST', '/predict'],
        ['GET', '/v1/whoami'],
      ] as const) {
        const own = id.length === 1 ? `${id}${path.length}` : `${id.slice(0, 120)}${path.length}`;
        const answer = await calls.call(method, path, {
          headers: { 'X-Request-Id': own },
          ...(method === 'POST' ? { body: PREDICT } : {}),
        });
        expect(answer.headers.get('x-request-id')).toBe(own);
      }
    });

    it.each(['', 'a b', 'ä', 'a/b', 'x'.repeat(129), 'a,b'])('"%s" is replaced by a new one', async (id) => {
      for (const [method, path, body] of [
        ['POST', '/predict', PREDICT],
        ['GET', '/v1/whoami', undefined],
        ['GET', '/nothing', undefined],
      ] as const) {
        const answer = await calls.call(method, path, {
          headers: { 'X-Request-Id': id },
          ...(body === undefined ? {} : { body }),
        });
        expect(answer.headers.get('x-request-id')).toMatch(UUID7);
        if (answer.status >= 400) expect(answer.body.request_id).toBe(answer.headers.get('x-request-id'));
      }
    });

    it('is made where there is none, also for public answers and for refusals', async () => {
      for (const [path, init] of [
        ['/health', {}],
        ['/v1/whoami', {}],
        ['/predict', { method: 'POST' }],
      ] as const) {
        const answer = await fetch(server.url + path, init);
        await answer.arrayBuffer();
        expect(answer.headers.get('x-request-id')).toMatch(UUID7);
      }
    });
  });

  describe('methods and media', () => {
    it.each(['/health', '/ready', '/models', '/v1/whoami', '/v1/keys', '/openapi.json', '/metrics', '/nothing'])(
      'HEAD %s is GET without a body',
      async (path) => {
        const options = { events: PUBLIC.includes(path) ? 0 : 1 } as const;
        const get = await calls.get(path, options);
        const head = await calls.call('HEAD', path, options);
        expect([head.status, head.text, head.headers.get('content-type')]).toEqual([
          get.status,
          '',
          get.headers.get('content-type'),
        ]);
      },
    );

    it('HEAD where only POST is known is 405', async () => {
      expect(await calls.call('HEAD', '/predict')).toMatchObject({ status: 405, text: '' });
    });

    it.each(['text/html', 'application/xml', 'application/json;q=0', 'image/*'])(
      'Accept: %s is 406 where JSON is answered',
      async (accept) => {
        for (const [method, path] of [
          ['GET', '/models'],
          ['GET', '/v1/whoami'],
          ['POST', '/predict'],
          ['POST', '/v1/keys'],
        ] as const) {
          const answer = await calls.call(method, path, {
            headers: { Accept: accept },
            ...(method === 'POST' ? { body: PREDICT } : {}),
          });
          expect([path, answer.status, answer.body.code]).toEqual([path, 406, 'not_acceptable']);
        }
        expect((await calls.get('/health', { key: null, headers: { Accept: accept }, events: 0 })).status).toBe(406);
      },
    );

    it.each(['*/*', 'application/*', 'text/html, application/json;q=0.1', 'application/problem+json, */*;q=0.1', ''])(
      'Accept: %s is served',
      async (accept) => {
        expect((await calls.get('/v1/whoami', { headers: { Accept: accept } })).status).toBe(200);
        expect((await calls.post('/predict', PREDICT, { headers: { Accept: accept } })).status).toBe(200);
      },
    );

    it('pages and metrics do not ask for JSON', async () => {
      expect(
        (await calls.get('/docs', { key: null, headers: { Accept: 'text/html' }, events: 0 })).headers.get(
          'content-type',
        ),
      ).toContain('text/html');
      expect((await calls.get('/metrics', { headers: { Accept: 'text/plain' } })).status).toBe(200);
    });
  });

  describe('CORS', () => {
    const preflight = (path: string, origin: string): ReturnType<RecordedClient['call']> =>
      calls.call('OPTIONS', path, {
        key: null,
        events: 0,
        headers: {
          Origin: origin,
          'Access-Control-Request-Method': 'POST',
          'Access-Control-Request-Headers': 'x-api-key,content-type',
        },
      });

    it.each(['/predict', '/v1/keys', '/models', '/nothing', '/health'])(
      'OPTIONS %s answers pages of allowed origins, without key or event',
      async (path) => {
        const answer = await preflight(path, ORIGIN);
        expect([200, 204]).toContain(answer.status);
        expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
        expect(answer.headers.get('access-control-allow-methods')).toContain('POST');
        expect(answer.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('x-api-key');
        expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
      },
    );

    it.each(['https://evil.example.com', `${ORIGIN}.evil.com`, 'null', 'http://console.example.com', `${ORIGIN}:8443`])(
      'pages of %s get nothing',
      async (origin) => {
        expect((await preflight('/predict', origin)).headers.get('access-control-allow-origin')).toBeNull();
        const answer = await calls.post('/predict', PREDICT, { headers: { Origin: origin } });
        expect(answer.headers.get('access-control-allow-origin')).toBeNull();
        expect(answer.headers.get('vary')).toContain('Origin');
      },
    );

    it('answers themselves are marked, refusals too', async () => {
      for (const answer of [
        await calls.post('/predict', PREDICT, { headers: { Origin: ORIGIN } }),
        await calls.get('/v1/whoami', { headers: { Origin: ORIGIN } }),
        await calls.get('/v1/whoami', { key: null, headers: { Origin: ORIGIN } }),
        await calls.post('/predict', '{', { headers: { Origin: ORIGIN } }),
      ]) {
        expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
        expect(answer.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
      }
    });
  });

  it('every answer carries the headers that protect browsers and caches', async () => {
    for (const answer of [
      await calls.post('/predict', PREDICT),
      await calls.post('/predict', '{'),
      await calls.get('/v1/whoami'),
      await calls.get('/nothing', { key: null }),
      await calls.get('/health', { key: null, events: 0 }),
    ]) {
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('content-security-policy')).toContain('default-src');
      expect(answer.headers.get('cache-control')).toContain('no-store');
      expect(answer.headers.get('x-powered-by')).toBeNull();
    }
  });

  describe('the audit log', () => {
    it('has events of the shape of the contract', async () => {
      const made = await calls.post('/predict', PREDICT);
      const [event] = await calls.events(`request_id=${made.requestId}`);
      const { body: me } = await calls.get('/v1/whoami');
      expect(event).toEqual({
        id: expect.stringMatching(UUID7),
        recorded_at: expect.stringMatching(INSTANT),
        occurred_at: expect.stringMatching(INSTANT),
        action: 'prediction.create',
        outcome: 'succeeded',
        status: 200,
        actor: { type: 'key', id: me.id, key_id: me.id, name: 'admin' },
        ip: '127.0.0.1',
        request_id: made.requestId,
        resource: { type: expect.any(String), id: expect.any(String) },
        model: {
          name: 'momentum',
          version: '1.2.3',
          digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
          alias: 'production',
        },
        prediction_id: made.body.id,
        duration_ms: expect.any(Number),
        inputs_digest: expect.any(String),
        outputs_digest: expect.any(String),
        chain: expect.any(String),
        seq: expect.any(Number),
      });
      expect((await calls.get(`/v1/audit/events/${event?.id}`)).body).toEqual(event);
      for (const id of ['01a1fe4f-7ecc-7000-ad22-6c15c302932f', 'x', '%00'])
        expect(await calls.get(`/v1/audit/events/${id}`)).toMatchObject({
          status: 404,
          body: { code: 'event_not_found' },
        });
    });

    it('keeps the trace of a caller', async () => {
      const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
      const { requestId } = await calls.post('/predict', PREDICT, {
        headers: { Traceparent: `00-${trace}-00f067aa0ba902b7-01` },
      });
      expect(await calls.events(`request_id=${requestId}`)).toMatchObject([{ trace_id: trace }]);
    });

    it('has what an alias pointed at, however far away the time', async () => {
      for (const [at, status] of [
        ['0000-01-01T00:00:00Z', 404],
        ['9999-12-31T23:59:59-12:00', 200],
      ] as const)
        expect([at, (await calls.get(`/v1/models/momentum/aliases/production?at=${at}`)).status]).toEqual([at, status]);
    });

    it('names who was refused, and why', async () => {
      const { requestId } = await calls.get('/v1/whoami', { key: 'sk_wrong' });
      const [refusal] = await calls.events(`request_id=${requestId}`);
      expect(refusal).toMatchObject({
        action: 'request.refuse',
        outcome: 'denied',
        status: 401,
        reason: 'key_malformed',
      });
      const { body: key } = await calls.post('/v1/keys', { name: 'narrow', scopes: ['predict'] });
      const forbidden = await calls.get('/v1/keys', { key: key.key as string });
      expect(await calls.events(`request_id=${forbidden.requestId}`)).toMatchObject([
        { outcome: 'denied', status: 403, actor: { key_id: key.id, name: 'narrow' } },
      ]);
    });

    it('has changes with what was changed', async () => {
      const { body: key } = await calls.post('/v1/keys', { name: 'before', role: 'team' });
      const { requestId } = await calls.call('PATCH', `/v1/keys/${key.id}`, { body: { name: 'after' } });
      const [event] = await calls.events(`request_id=${requestId}`);
      expect(event).toMatchObject({ resource: { type: 'key', id: key.id }, outcome: 'succeeded' });
      expect(JSON.stringify(event?.['changes'])).toContain('after');
    });

    it('finds events by each of its filters', async () => {
      const { body: key } = await calls.post('/v1/keys', { name: 'filtered', role: 'team' });
      const made = await calls.post('/predict', PREDICT, { key: key.key as string });
      await calls.post(
        '/v1/infer',
        { model_id: 'fraud_detection', inputs: [{ feature1: 'x', feature2: 2 }] },
        { key: key.key as string },
      );
      const [event] = await calls.events(`request_id=${made.requestId}`);
      const all = await calls.events();
      const filters: [string, (candidate: AuditEvent) => boolean][] = [
        [`key_id=${key.id}`, ({ actor }) => actor.key_id === key.id],
        ['actor=filtered', ({ actor }) => actor.name === 'filtered'],
        [`actor=${key.id}`, ({ actor }) => actor.id === key.id],
        ['action=prediction.create', ({ action }) => action === 'prediction.create'],
        ['outcome=denied', ({ outcome }) => outcome === 'denied'],
        ['model=fraud_detection', ({ model }) => (model as { name?: string } | undefined)?.name === 'fraud_detection'],
        [
          'model=momentum&version=1.2.3',
          ({ model }) =>
            (model as { name?: string; version?: string } | undefined)?.name === 'momentum' &&
            (model as { version?: string }).version === '1.2.3',
        ],
        ['status=422', ({ status }) => status === 422],
        [`prediction_id=${made.body.id}`, (candidate) => candidate['prediction_id'] === made.body.id],
        [`key_id=${key.id}&status=200`, ({ actor, status }) => actor.key_id === key.id && status === 200],
        [`from=${event?.recorded_at}`, (candidate) => candidate.recorded_at >= (event?.recorded_at ?? '')],
        [`to=${event?.recorded_at}`, (candidate) => candidate.recorded_at < (event?.recorded_at ?? '')],
      ];
      const last = all.at(-1)?.recorded_at ?? '';
      for (const [filter, fits] of filters) {
        const found = (await calls.events(`${filter}`)).filter(({ recorded_at: at }) => at <= last);
        const expected = all.filter(fits);
        expect(expected.length).toBeGreaterThan(0);
        const ids = new Set(all.map(({ id }) => id));
        expect([filter, found.filter(({ id }) => ids.has(id)).map(({ id }) => id)]).toEqual([
          filter,
          expected.map(({ id }) => id),
        ]);
      }
      expect((await calls.events('ip=192.0.2.1')).length).toBe(0);
    });

    it.each(['asc', 'desc'])('pages %s without gaps or doubles while new events arrive', async (order) => {
      const pageOf = async (cursor: string): Promise<{ items: AuditEvent[]; next?: string }> =>
        (await calls.get(`/v1/audit/events?order=${order}&limit=7&action=prediction.create${cursor}`)).body as {
          items: AuditEvent[];
          next?: string;
        };
      const before = (await calls.events('action=prediction.create')).map(({ id }) => id);
      expect(before.length).toBeGreaterThan(14);
      const seen: AuditEvent[] = [];
      let cursor = '';
      do {
        const { items, next } = await pageOf(cursor);
        expect(items.length).toBeLessThanOrEqual(7);
        seen.push(...items);
        cursor = next === undefined ? '' : `&cursor=${encodeURIComponent(next)}`;
        if (seen.length < 30) await calls.post('/predict', PREDICT);
      } while (cursor !== '');
      const ids = seen.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.filter((id) => before.includes(id))).toEqual(order === 'asc' ? before : before.toReversed());
      const times = seen.map(({ recorded_at: at }) => at);
      expect(times).toEqual(order === 'asc' ? times.toSorted() : times.toSorted().reverse());
    });

    it.each([
      'limit=0',
      'limit=1001',
      'limit=x',
      'order=up',
      'from=yesterday',
      'outcome=good',
      'status=abc',
      'cursor=x',
      'cursor=W10',
    ])('?%s is refused', async (query) => {
      expect(await calls.get(`/v1/audit/events?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'invalid_parameter' },
      });
    });

    it('?key=x is an unknown field', async () => {
      expect(await calls.get('/v1/audit/events?actors=x')).toMatchObject({
        status: 400,
        body: { code: 'unknown_field' },
      });
    });

    it('chains every event once, without gaps', async () => {
      const chains = new Map<string, number[]>();
      for (const { chain, seq } of await calls.events()) chains.set(chain, [...(chains.get(chain) ?? []), seq]);
      for (const seqs of chains.values()) {
        const sorted = seqs.toSorted((a, b) => a - b);
        expect(sorted).toEqual(sorted.map((_, i) => (sorted[0] ?? 0) + i));
      }
    });

    it('has one event for each of a flood, or a shared one with their number', async () => {
      const localAddress = '127.0.0.88';
      for (let i = 0; i < 15; i++)
        await Promise.all(
          Array.from({ length: 10 }, () =>
            sendRaw(server.url, ['GET /v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'], { localAddress }),
          ),
        );
      let events: AuditEvent[] = [];
      const counted = (): number => events.reduce((sum, { count = 1 }) => sum + count, 0);
      const deadline = Date.now() + 20_000;
      while (counted() < 150 && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        events = await calls.events(`ip=${localAddress}`);
      }
      expect(counted()).toBe(150);
      expect(events.length).toBeLessThan(150);
      expect(events.every(({ reason, outcome }) => reason === 'key_missing' && outcome === 'denied')).toBe(true);
    });
  });

  it('each of these requests left exactly one event, those to public routes none', async () => {
    expect(await calls.unrecorded()).toEqual([]);
  });

  it('without origins there is no CORS at all', async () => {
    const plain = await startServer({ env: { SIBYL_MODELS: '' } });
    try {
      for (const [method, path] of [
        ['OPTIONS', '/predict'],
        ['OPTIONS', '/v1/keys'],
        ['GET', '/health'],
      ] as const) {
        const { headers, status } = await plain.call(method, path, {
          key: null,
          headers: { Origin: ORIGIN, 'Access-Control-Request-Method': 'POST' },
        });
        expect(status).toBeLessThan(300);
        expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
      }
    } finally {
      await plain.stop();
    }
  }, 60_000);
});
