import { newKeyText } from '@sibyl/auth/testing';
import { sendRaw } from '../support/raw-http';
import { RecordedClient, type Request, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const KEY = /^sk_[0-9A-Za-z]+_[0-9A-Za-z]+$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;
const NOWHERE = '01a1fe4f-7ecc-7000-ad22-6c15c302932f';
const PREDICT = { features: { price: 45000, volume: 1000000, rsi: 65.5 } };
const TEAM = ['predict', 'models:read', 'features:read'];

interface Issued {
  readonly id: string;
  readonly key: string;
  readonly prefix: string;
}

/** The ways in which a key may travel. */
const TRANSPORTS: readonly (readonly [string, (key: string) => Record<string, string>])[] = [
  ['X-API-Key', (key) => ({ 'X-API-Key': key })],
  ['Bearer', (key) => ({ Authorization: `Bearer ${key}` })],
  ['bearer in small letters', (key) => ({ authorization: `bearer ${key}` })],
  ['Basic', (key) => ({ Authorization: `Basic ${Buffer.from(`somebody:${key}`).toString('base64')}` })],
];

describe('keys', () => {
  let server: TestServer;
  let calls: RecordedClient;

  beforeAll(async () => {
    server = await startServer();
    calls = new RecordedClient(server, 'keys');
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  async function issue(parts: Record<string, unknown>, options: Request = {}): Promise<Issued> {
    const answer = await calls.post('/v1/keys', { name: 'a key', ...parts }, options);
    expect([answer.status, answer.text]).toEqual([201, answer.text]);
    return answer.body as Issued;
  }

  const whoami = (key: string | null, headers: Record<string, string> = {}): Promise<Reply> =>
    calls.get('/v1/whoami', { key, headers });

  const is = (answer: Reply, status: number, code: string): void => {
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  };

  describe('the life of a key', () => {
    it('is issued, shown without its secret, listed, changed and revoked', async () => {
      const restrictions = {
        owner: 'risk team',
        models: ['fraud_*'],
        expires_at: '2090-01-01T00:00:00Z',
        rate_limit: { requests: 100, seconds: 60 },
        quota: { requests: 1000, period: 'day' },
        cidrs: ['127.0.0.0/8', '::1'],
      };
      const answer = await calls.post('/v1/keys', { name: 'dashboard', role: 'team', ...restrictions });
      expect(answer.status).toBe(201);
      expect(answer.headers.get('cache-control')).toContain('no-store');
      const { key, ...shown } = answer.body as Issued;
      expect(key).toMatch(KEY);
      expect(key.startsWith(`sk_${shown.prefix}_`)).toBe(true);
      const facts = {
        id: expect.stringMatching(UUID7),
        prefix: expect.any(String),
        name: 'dashboard',
        role: 'team',
        scopes: TEAM,
        ...restrictions,
        expires_at: expect.stringMatching(/^2090-01-01T00:00:00(\.000)?Z$/),
      };
      expect(answer.body).toEqual({
        ...facts,
        key,
        created_at: expect.stringMatching(INSTANT),
        created_by: expect.any(String),
      });

      const found = await calls.get(`/v1/keys/${shown.id}`);
      expect(found.body).toEqual(shown);
      const listed = await calls.get('/v1/keys?limit=1000');
      expect(listed.body.items).toContainEqual(shown);
      expect(listed.text + found.text).not.toContain(key.slice(20));
      expect((await whoami(key)).body).toEqual(facts);

      const etag = found.headers.get('etag') ?? '';
      const changed = await calls.call('PATCH', `/v1/keys/${shown.id}`, {
        body: { name: 'renamed', quota: null, models: null },
        headers: { 'If-Match': etag },
      });
      expect(changed).toMatchObject({ status: 200, body: { name: 'renamed', quota: null, owner: 'risk team' } });
      expect(changed.body.models ?? null).toBeNull();
      is(
        await calls.call('PATCH', `/v1/keys/${shown.id}`, { body: { name: 'again' }, headers: { 'If-Match': etag } }),
        412,
        'etag_mismatch',
      );

      const revoked = await calls.call('DELETE', `/v1/keys/${shown.id}`);
      expect(revoked).toMatchObject({
        status: 200,
        body: { id: shown.id, revoked_at: expect.stringMatching(INSTANT) },
      });
      expect(Object.keys(revoked.body as object)).toEqual(['id', 'revoked_at']);
      is(await whoami(key), 401, 'key_revoked');
    });

    it('is revoked in under a second, for predictions too', async () => {
      const { id, key } = await issue({ role: 'team' });
      expect((await calls.post('/predict', PREDICT, { key })).status).toBe(200);
      await calls.call('DELETE', `/v1/keys/${id}`);
      const deadline = Date.now() + 1000;
      let answer = await calls.post('/predict', PREDICT, { key });
      while (answer.status === 200 && Date.now() < deadline) answer = await calls.post('/predict', PREDICT, { key });
      is(answer, 401, 'key_revoked');
    });

    it('ends when it expires', async () => {
      const expiresAt = new Date(Date.now() + 1500).toISOString();
      const { key } = await issue({ role: 'team', expires_at: expiresAt });
      expect((await whoami(key)).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, Date.parse(expiresAt) - Date.now() + 20));
      is(await whoami(key), 401, 'key_expired');
      is(await calls.post('/predict', PREDICT, { key }), 401, 'key_expired');
    });

    it('lists page by page, newest first, without gaps or doubles', async () => {
      for (let i = 0; i < 5; i++) await issue({ role: 'team', name: `page ${i}` });
      const all = (await calls.get('/v1/keys?limit=1000')).body.items as Issued[];
      const paged: Issued[] = [];
      let cursor = '';
      do {
        const { body } = await calls.get(`/v1/keys?limit=2${cursor}`);
        paged.push(...(body.items as Issued[]));
        cursor = body.next === undefined ? '' : `&cursor=${encodeURIComponent(body.next as string)}`;
      } while (cursor !== '');
      expect(paged.map(({ id }) => id)).toEqual(all.map(({ id }) => id));
    });

    it.each(['GET', 'PATCH', 'DELETE'])('%s of a key that is not there is 404', async (method) => {
      for (const id of [NOWHERE, 'x', '%00'])
        is(
          await calls.call(method, `/v1/keys/${id}`, method === 'PATCH' ? { body: { name: 'x' } } : {}),
          404,
          'key_not_found',
        );
    });
  });

  describe.each(TRANSPORTS)('as %s', (_, headersOf) => {
    it('a good key is taken', async () => {
      const { key, id } = await issue({ scopes: ['predict'] });
      expect((await whoami(null, headersOf(key))).body.id).toBe(id);
      expect((await calls.post('/predict', PREDICT, { key: null, headers: headersOf(key) })).status).toBe(200);
    });

    it('each fault of a key has its code, on ordinary routes and on predict routes', async () => {
      const { key } = await issue({ role: 'team' });
      const revoked = await issue({ role: 'team' });
      await calls.call('DELETE', `/v1/keys/${revoked.id}`);
      const elsewhere = await issue({ role: 'team', cidrs: ['10.0.0.0/8'] });
      const other = newKeyText();
      const changed = key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a');
      const faults: [string, number, string][] = [
        ['sk_wrong', 401, 'key_malformed'],
        [changed, 401, 'key_malformed'],
        [key.slice(0, -1), 401, 'key_malformed'],
        [other, 401, 'key_unknown'],
        [revoked.key, 401, 'key_revoked'],
        [elsewhere.key, 403, 'address_forbidden'],
      ];
      for (const [credential, status, code] of faults) {
        for (const answer of [
          await whoami(null, headersOf(credential)),
          await calls.post('/predict', PREDICT, { key: null, headers: headersOf(credential) }),
        ]) {
          is(answer, status, code);
          expect(answer.text).not.toContain(credential);
          if (status === 401) expect(answer.headers.get('www-authenticate')).toMatch(/Bearer.*Basic/);
        }
      }
    });
  });

  it('an unknown key and a wrong secret are told in one wording', async () => {
    const { prefix } = await issue({ role: 'team' });
    // The right id before another secret: a key whose own id is replaced needs its checksum anew, so that one is searched.
    const wrong = keyWithPrefix(prefix);
    const [unknown, wrongSecret] = [await whoami(newKeyText()), await whoami(wrong)];
    is(unknown, 401, 'key_unknown');
    is(wrongSecret, 401, 'key_unknown');
    expect({ ...(wrongSecret.body as object), request_id: '' }).toEqual({
      ...(unknown.body as object),
      request_id: '',
    });
  });

  it.each([
    ['no key', {}],
    ['an empty key', { 'X-API-Key': '' }],
    ['another scheme', { Authorization: 'Digest x' }],
  ])('%s is key_missing', async (_, headers) => {
    is(await whoami(null, headers), 401, 'key_missing');
    is(await calls.post('/predict', PREDICT, { key: null, headers }), 401, 'key_missing');
  });

  it.each(['Bearer', 'Bearer ', 'Basic', 'Basic %%%', 'Basic eA==', `Basic ${Buffer.from('x:').toString('base64')}`])(
    'Authorization: %s is refused',
    async (value) => {
      expect((await whoami(null, { Authorization: value })).status).toBe(401);
    },
  );

  describe('what a key may do', () => {
    it('models narrow predictions and what is shown of models', async () => {
      const { key } = await issue({ role: 'team', models: ['fraud_*'] });
      is(await calls.post('/predict', PREDICT, { key }), 403, 'model_forbidden');
      is(await calls.post('/models/momentum/predict', PREDICT, { key }), 403, 'model_forbidden');
      is(await calls.get('/models/momentum/info', { key }), 403, 'model_forbidden');
      expect(
        (
          await calls.post(
            '/v1/infer',
            { model_id: 'fraud_detection', inputs: [{ feature1: 1, feature2: 2 }] },
            { key },
          )
        ).status,
      ).toBe(200);
      const { body } = await calls.get('/models', { key });
      expect(body.models.map(({ name }: { name: string }) => name)).toEqual(['fraud_detection']);
      const batch = await calls.post(
        '/predict/batch',
        {
          model: 'fraud_detection',
          requests: [{ features: { feature1: 1, feature2: 2 } }, { model: 'momentum', ...PREDICT }],
        },
        { key },
      );
      expect(batch.body.predictions).toMatchObject([
        { prediction: { label: 'legitimate' } },
        { error: { code: 'model_forbidden' } },
      ]);
    });

    it('predict:<glob> is predict for those models alone', async () => {
      const { key } = await issue({ scopes: ['predict:mom*'] });
      expect((await calls.post('/predict', PREDICT, { key })).status).toBe(200);
      expect([403]).toContain(
        (await calls.post('/models/fraud_detection/predict', { features: { feature1: 1, feature2: 2 } }, { key }))
          .status,
      );
      expect((await calls.get('/models', { key })).status).toBe(403);
    });

    it('a missing scope is named', async () => {
      const { key } = await issue({ scopes: ['models:read'] });
      const answer = await calls.post('/predict', PREDICT, { key });
      is(answer, 403, 'scope_missing');
      expect(answer.body.detail).toContain('predict');
    });

    it('nobody issues more than they have, unless they may grant', async () => {
      const { key } = await issue({ scopes: ['keys:write', 'predict'] });
      await issue({ scopes: ['predict'] }, { key });
      for (const more of [
        { scopes: ['models:write'] },
        { role: 'admin' },
        { role: 'team' },
        { scopes: ['audit:export'] },
        { scopes: ['keys:grant'] },
      ])
        is(await calls.post('/v1/keys', { name: 'more', ...more }, { key }), 403, 'scope_missing');
      const { id } = await issue({ scopes: ['models:write'] });
      expect(
        (await calls.call('PATCH', `/v1/keys/${id}`, { key, body: { scopes: ['models:write', 'predict'] } })).status,
      ).toBe(403);
      const self = (await whoami(key)).body.id as string;
      expect((await calls.call('PATCH', `/v1/keys/${self}`, { key, body: { role: 'admin' } })).status).toBe(403);
      const narrow = await issue({ scopes: ['keys:write', 'predict'], models: ['fraud_*'] });
      expect((await calls.post('/v1/keys', { name: 'wider', scopes: ['predict'] }, { key: narrow.key })).status).toBe(
        403,
      );
    });

    it('a grant is an event of its own kind', async () => {
      const answer = await calls.post('/v1/keys', { name: 'exporter', role: 'compliance' });
      expect(answer.status).toBe(201); // audit:export is more than the administrator has
      expect(await calls.events(`request_id=${answer.requestId}`)).toMatchObject([
        { action: 'key.grant', outcome: 'succeeded', status: 201 },
      ]);
      const ordinary = await calls.post('/v1/keys', { name: 'ordinary', role: 'team' });
      expect(await calls.events(`request_id=${ordinary.requestId}`)).toMatchObject([
        { action: 'key.issue', resource: { type: 'key', id: ordinary.body.id } },
      ]);
    });

    it.each([
      ['role and scopes', { role: 'team', scopes: ['predict'] }],
      ['neither role nor scopes', {}],
      ['an unknown role', { role: 'king' }],
      ['an unknown scope', { scopes: ['everything'] }],
      ['no scopes', { scopes: [] }],
      ['a past expiry', { role: 'team', expires_at: '2020-01-01T00:00:00Z' }],
      ['an expiry that is no time', { role: 'team', expires_at: 'tomorrow' }],
      ['a wrong network', { role: 'team', cidrs: ['300.0.0.0/8'] }],
      ['a limit of nothing', { role: 'team', rate_limit: { requests: 0, seconds: 60 } }],
      ['half a limit', { role: 'team', rate_limit: { requests: 5 } }],
      ['a wrong period', { role: 'team', quota: { requests: 5, period: 'week' } }],
      ['an empty name', { name: '', role: 'team' }],
      ['a long name', { name: 'x'.repeat(201), role: 'team' }],
    ])('%s is refused', async (_, parts) => {
      is(await calls.post('/v1/keys', { name: 'a key', ...parts }), 400, 'invalid_parameter');
    });
  });

  describe('limits', () => {
    it('a key without a limit gets no limit headers', async () => {
      const { headers } = await calls.post('/predict', PREDICT);
      expect([headers.get('ratelimit'), headers.get('ratelimit-policy')]).toEqual([null, null]);
    });

    it('predictions and ordinary routes share one limit, and say what is left of it', async () => {
      const { key } = await issue({ role: 'team', rate_limit: { requests: 4, seconds: 3600 } });
      const left: (string | null)[] = [];
      for (const answer of [
        await calls.post('/predict', PREDICT, { key }),
        await whoami(key),
        await calls.post('/v1/infer', { model_id: 'nothing', inputs: [{}] }, { key }),
        await calls.get('/models', { key }),
      ]) {
        expect(answer.headers.get('ratelimit-policy')).toBe('"key";q=4;w=3600');
        left.push(/^"key";r=(\d+);t=\d+$/.exec(answer.headers.get('ratelimit') ?? '')?.[1] ?? null);
      }
      expect(left).toEqual(['3', '2', '1', '0']);
      for (const answer of [await calls.post('/predict', PREDICT, { key }), await whoami(key)]) {
        is(answer, 429, 'rate_limited');
        const seconds = Number(answer.headers.get('retry-after'));
        expect(seconds).toBeGreaterThan(0);
        expect(seconds).toBeLessThanOrEqual(900);
        expect(answer.body.retry_after).toBe(seconds);
        expect(answer.headers.get('ratelimit')).toMatch(/^"key";r=0;t=\d+$/);
        expect(answer.headers.get('ratelimit-policy')).toBe('"key";q=4;w=3600');
      }
    });

    it('the limit holds for paths that do not exist and for wrong methods too', async () => {
      const { key } = await issue({ role: 'team', rate_limit: { requests: 1, seconds: 3600 } });
      expect((await whoami(key)).status).toBe(200);
      is(await calls.get('/nothing', { key }), 429, 'rate_limited');
      is(await calls.call('DELETE', '/predict', { key }), 429, 'rate_limited');
    });

    it('a limit that is raised or taken away counts at once', async () => {
      const { id, key } = await issue({ role: 'team', rate_limit: { requests: 1, seconds: 3600 } });
      expect((await whoami(key)).status).toBe(200);
      is(await whoami(key), 429, 'rate_limited');
      await calls.call('PATCH', `/v1/keys/${id}`, { body: { rate_limit: null } });
      expect((await whoami(key)).status).toBe(200);
    });

    it('a quota ends with its period', async () => {
      const { key } = await issue({ role: 'team', quota: { requests: 2, period: 'day' } });
      expect((await calls.post('/predict', PREDICT, { key })).status).toBe(200);
      expect((await whoami(key)).status).toBe(200);
      for (const answer of [await calls.post('/predict', PREDICT, { key }), await whoami(key)]) {
        is(answer, 429, 'quota_exhausted');
        expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(86_400);
        expect(answer.headers.get('ratelimit-policy')).toMatch(/^"[a-z]+";q=2;w=86400$/);
      }
    });
  });

  describe('Idempotency-Key', () => {
    const body = { name: 'once', role: 'team' };
    const once = (text: string, key: string, options: Request = {}): Promise<Reply> =>
      calls.post('/v1/keys', text, { ...options, headers: { 'Idempotency-Key': key, ...options.headers } });

    it('the same request gets the same answer, the key itself too', async () => {
      const first = await once(JSON.stringify(body), 'a');
      const second = await once(JSON.stringify(body), 'a');
      expect([second.status, second.body]).toEqual([201, first.body]);
      expect(second.headers.get('location')).toBe(first.headers.get('location'));
      expect(second.headers.get('x-request-id')).toBe(second.requestId);
      expect(
        (await calls.get('/v1/keys?limit=1000')).body.items.filter(({ id }: Issued) => id === first.body.id),
      ).toHaveLength(1);
    });

    it('another body is a conflict, another key another request', async () => {
      const first = await once(JSON.stringify(body), 'b');
      is(await once(JSON.stringify({ ...body, name: 'twice' }), 'b'), 422, 'idempotency_conflict');
      const { key } = await issue({ role: 'admin' });
      const other = await once(JSON.stringify(body), 'b', { key });
      expect(other.status).toBe(201);
      expect(other.body.id).not.toBe(first.body.id);
    });

    it('refusals are stored as well', async () => {
      const first = await once('{"name":"x","role":"king"}', 'c');
      const second = await once('{"name":"x","role":"king"}', 'c');
      expect([first.status, second.status, second.body.code]).toEqual([400, 400, first.body.code]);
    });

    it('requests at one time have one effect', async () => {
      const answers = await Promise.all(Array.from({ length: 6 }, () => once(JSON.stringify(body), 'd')));
      const made = answers.filter(({ status }) => status === 201);
      expect(new Set(made.map((answer) => answer.body.id as string)).size).toBe(1);
      for (const { status, body: problem } of answers)
        if (status !== 201) expect([status, problem.code]).toEqual([409, 'idempotency_running']);
    });

    it('has at most 255 characters', async () => {
      expect((await once(JSON.stringify(body), 'x'.repeat(255))).status).toBe(201);
      is(await once(JSON.stringify(body), 'x'.repeat(256)), 400, 'invalid_parameter');
    });
  });

  it('each of these requests left exactly one event, which never tells a key', async () => {
    expect(await calls.unrecorded()).toEqual([]);
    expect(JSON.stringify(await calls.events())).not.toMatch(/sk_[0-9A-Za-z]{12}_/);
    expect(server.log).not.toMatch(/sk_[0-9A-Za-z]{12}_/);
  });

  it('an address that fails 100 times in 10 s has to wait, and good keys from it are still served', async () => {
    const localAddress = '127.0.0.77';
    const ask = async (key: string): Promise<{ status: number; text: string; headers: ReadonlyMap<string, string> }> =>
      sendRaw(server.url, [`GET /v1/whoami HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nConnection: close\r\n\r\n`], {
        localAddress,
      });
    const answers = [];
    for (let i = 0; i < 15; i++)
      answers.push(...(await Promise.all(Array.from({ length: 10 }, () => ask('sk_wrong')))));
    expect(new Set(answers.slice(0, 100).map(({ status }) => status))).toEqual(new Set([401]));
    // One failure is forgiven every 100 ms, so that not all of the rest are refused.
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(20);
    expect(refused[0]?.text).toContain('"code":"rate_limited"');
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused[0]?.headers.get('ratelimit-policy')).toBe('"address";q=100;w=10');
    const { key } = await issue({ role: 'team' });
    expect((await ask(key)).status).toBe(200);
    expect((await whoami('sk_wrong')).status).toBe(401);
  });
});

/** A well-formed key with this id and some other secret. */
function keyWithPrefix(prefix: string): string {
  const wanted = Buffer.from(prefix);
  // The bytes of `newKeyText` become characters one to one below 62 in its alphabet: the id comes first, then the secret.
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let calls = 0;
  return newKeyText((bytes) =>
    calls++ === 0
      ? Uint8Array.from({ length: bytes }, (_, i) =>
          alphabet.indexOf(String.fromCharCode(wanted[i % wanted.length] ?? 48)),
        )
      : new Uint8Array(bytes).fill(7),
  );
}
