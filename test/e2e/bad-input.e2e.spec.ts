import { gzipSync } from 'node:zlib';
import { generator, mutilated } from '../support/mutilated';
import { sendAndHangUp, sendRaw, type RawAnswer } from '../support/raw-http';
import { checkProblem } from '../support/problem';
import { RecordedClient, type AuditEvent, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const FEATURES = { price: 45000, volume: 1000000, rsi: 65.5 };
const ROW = { feature1: 1, feature2: 2 };
const MEBIBYTE = 1024 * 1024;
const PREDICT_ROUTES = ['/predict', '/predict/batch', '/models/momentum/predict', '/v1/infer'];
const JSON_ROUTES = [...PREDICT_ROUTES, '/v1/keys', '/v1/models/load'];

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

describe('bad input', () => {
  let server: TestServer;
  let calls: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_HEADERS_SECONDS: '1', SIBYL_BODY_SECONDS: '2' } });
    calls = new RecordedClient(server, 'bad');
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  /** The head of a request as text, under an id of its own. */
  function head(route: string, lines: readonly string[], method = 'POST'): { id: string; text: string } {
    const id = calls.nextId();
    const all = [
      `${method} ${route} HTTP/1.1`,
      'Host: x',
      `X-API-Key: ${server.adminKey}`,
      `X-Request-Id: ${id}`,
      ...lines,
    ];
    return { id, text: `${all.join('\r\n')}\r\n\r\n` };
  }

  function checkRaw(answer: RawAnswer, status: number, code: string): void {
    checkProblem('a raw request', {
      status: answer.status,
      text: answer.body,
      contentType: answer.headers.get('content-type') ?? null,
    });
    expect([answer.status, (JSON.parse(answer.body) as { code: string }).code]).toEqual([status, code]);
  }

  const refused = (answer: Reply, status: number, code: string, pointer?: string): void => {
    const { errors } = answer.body as { errors?: readonly { pointer: string }[] };
    expect([answer.status, answer.body.code, ...(pointer === undefined ? [] : [errors?.[0]?.pointer])]).toEqual([
      status,
      code,
      ...(pointer === undefined ? [] : [pointer]),
    ]);
  };

  describe.each(JSON_ROUTES)('POST %s', (route) => {
    it.each([
      ['a truncated body', '{"features":{"price":4'],
      ['a trailing comma', '{"a":1,}'],
      ['NaN', '{"a":NaN}'],
      ['single quotes', "{'a':1}"],
      ['two documents', '{}{}'],
      ['a lone surrogate byte', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d])],
      ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
      ['UTF-16', Buffer.from('\uFEFF{"a":1}', 'utf16le')],
      ['zero bytes', Buffer.alloc(100)],
      ['compressed bytes that do not say so', gzipSync('{}')],
    ])('%s is malformed_json', async (_, body) => {
      refused(await calls.post(route, body), 400, 'malformed_json');
    });

    it('an empty body is refused', async () => {
      expect(await calls.post(route, '')).toMatchObject({
        status: 400,
        body: { code: expect.stringMatching(/^(malformed_json|invalid_parameter)$/) },
      });
    });

    it('nesting is counted before it is parsed', async () => {
      refused(await calls.post(route, nested(33)), 400, 'json_too_deep');
      refused(await calls.post(route, nested(100_000)), 400, 'json_too_deep');
      refused(await calls.post(route, `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`), 400, 'json_too_deep');
      refused(await calls.post(route, '['.repeat(100_000)), 400, 'json_too_deep');
      expect((await calls.post(route, nested(32))).body.code).not.toBe('json_too_deep');
      expect((await calls.post(route, `{"name":"${'['.repeat(40)}"}`)).body.code).not.toBe('json_too_deep');
    });

    it.each([
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'application/json; charset=latin1',
      'text/json',
    ])('the content type %s is refused', async (type) => {
      refused(await calls.post(route, '{}', { headers: { 'Content-Type': type } }), 415, 'unsupported_media_type');
    });

    it('a missing content type is refused, parameters and capitals are not', async () => {
      const { text } = head(route, ['Content-Length: 2', 'Connection: close']);
      checkRaw(await sendRaw(server.url, [text, '{}']), 415, 'unsupported_media_type');
      const answer = await calls.post(route, '{}', { headers: { 'Content-Type': 'Application/JSON; charset=UTF-8' } });
      expect(answer.status).not.toBe(415);
    });

    it.each(['gzip', 'br', 'deflate', 'identity, gzip'])(
      'Content-Encoding %s is refused, whatever it would grow to',
      async (encoding) => {
        const bomb = gzipSync(Buffer.alloc(20 * MEBIBYTE, 0x20));
        refused(
          await calls.post(route, bomb, { headers: { 'Content-Encoding': encoding } }),
          415,
          'unsupported_media_type',
        );
      },
    );

    it.each(['null', '5', '"text"', '[]', 'true'])('%s is no request', async (body) => {
      expect((await calls.post(route, body)).status).toBe(400);
    });
  });

  it.each([
    ['/predict', '"features":{"price":1,"volume":1,"rsi":1}'],
    ['/predict/batch', '"requests":[{"features":{"price":1,"volume":1,"rsi":1}}]'],
    ['/models/momentum/predict', '"features":{"price":1,"volume":1,"rsi":1}'],
    ['/v1/infer', '"model_id":"fraud_detection","inputs":[{"feature1":1,"feature2":2}]'],
    ['/v1/keys', '"name":"a key","role":"team"'],
    ['/v1/models/load', '"model_id":"momentum","version":"1.3.0"'],
  ])('POST %s knows no members that every object has', async (route, members) => {
    expect((await calls.post(route, `{${members}}`)).status).toBeLessThan(300);
    const codes = [];
    for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'toString']) {
      const { body } = await calls.post(route, `{${members},"${name}":{"x":1}}`);
      codes.push([name, body.code]);
    }
    expect(codes).toEqual(codes.map(([name]) => [name, 'unknown_field']));
  });

  describe('size', () => {
    it.each([
      ['/predict', 10],
      ['/predict/batch', 10],
      ['/v1/keys', 10],
      ['/models/momentum/predict', 64],
      ['/v1/infer', 64],
    ])('%s refuses more than %d MiB by the announced length, before the body', async (route, limit) => {
      const { id, text } = head(route, ['Content-Type: application/json', `Content-Length: ${limit * MEBIBYTE + 1}`]);
      const answer = await sendRaw(server.url, [text], { until: (got) => got.includes('request_id') });
      checkRaw(answer, 413, 'body_too_large');
      expect(answer.body).toContain(String(limit * MEBIBYTE));
      calls.sent.set(id, { what: `oversized ${route}`, events: 1, status: 413 });
    });

    it('a body that says nothing of its length is cut off at the limit', async () => {
      const { id, text } = head('/predict', ['Content-Type: application/json', 'Transfer-Encoding: chunked']);
      const chunk = `${MEBIBYTE.toString(16)}\r\n${' '.repeat(MEBIBYTE)}\r\n`;
      const answer = await sendRaw(server.url, [text, ...Array.from({ length: 11 }, () => chunk)], {
        until: (got) => got.includes('request_id'),
      });
      checkRaw(answer, 413, 'body_too_large');
      calls.sent.set(id, { what: 'chunked and oversized', events: 1, status: 413 });
    });

    it('10 MiB are read', async () => {
      const body = JSON.stringify({ features: FEATURES });
      expect((await calls.post('/predict', body + ' '.repeat(10 * MEBIBYTE - body.length))).status).toBe(200);
    });

    it('batches are neither empty nor larger than 1,000', async () => {
      refused(await calls.post('/predict/batch', { requests: [] }), 422, 'input_missing', '/requests');
      refused(await calls.post('/predict/batch', {}), 422, 'input_missing', '/requests');
      const requests = Array.from({ length: 1001 }, () => ({ features: FEATURES }));
      refused(await calls.post('/predict/batch', { requests }), 422, 'batch_too_large', '/requests');
    });

    it('a call has 1 to 10,000 rows', async () => {
      refused(
        await calls.post('/v1/infer', { model_id: 'fraud_detection', inputs: [] }),
        422,
        'input_missing',
        '/inputs',
      );
      refused(await calls.post('/v1/infer', { model_id: 'fraud_detection' }), 422, 'input_missing', '/inputs');
      const rows = Array.from({ length: 10_001 }, () => ROW);
      refused(
        await calls.post('/v1/infer', { model_id: 'fraud_detection', inputs: rows }),
        422,
        'batch_too_large',
        '/inputs',
      );
      expect(
        (await calls.post('/v1/infer', { model_id: 'fraud_detection', inputs: rows.slice(1) })).body.outputs,
      ).toHaveLength(10_000);
      const features = rows.map(() => [1, 2]);
      refused(
        await calls.post('/models/fraud_detection/predict', { inputs: { features } }),
        422,
        'batch_too_large',
        '/inputs/features',
      );
    });
  });

  describe('features', () => {
    it.each([
      ['unknown', { ...FEATURES, pricee: 1 }, 400, 'unknown_field', '/features/pricee'],
      ['unknown with a slash', { ...FEATURES, 'a/b~c': 1 }, 400, 'unknown_field', '/features/a~1b~0c'],
      ['missing', { price: 1 }, 422, 'incomplete_features', '/features/volume'],
      ['too small', { ...FEATURES, price: -1 }, 422, 'input_out_of_range', '/features/price'],
      ['too large', { ...FEATURES, rsi: 100.5 }, 422, 'input_out_of_range', '/features/rsi'],
      ['text', { ...FEATURES, rsi: '65' }, 422, 'input_type_mismatch', '/features/rsi'],
      ['a boolean', { ...FEATURES, rsi: true }, 422, 'input_type_mismatch', '/features/rsi'],
      ['a list', { ...FEATURES, rsi: [65] }, 422, 'input_type_mismatch', '/features/rsi'],
      ['an object', { ...FEATURES, rsi: {} }, 422, 'input_type_mismatch', '/features/rsi'],
      ['null', { ...FEATURES, rsi: null }, 422, 'input_missing', '/features/rsi'],
      ['beyond its datatype', { ...FEATURES, macd: 1e300 }, 422, 'input_out_of_range', '/features/macd'],
    ])('%s', async (_, features, status, code, pointer) => {
      refused(await calls.post('/predict', { features }), status, code, pointer);
      refused(await calls.post('/models/momentum/predict', { features }), status, code, pointer);
      const infer = await calls.post('/v1/infer', { model_id: 'momentum', inputs: [FEATURES, features] });
      refused(infer, status, code, pointer.replace('/features', '/inputs/1'));
    });

    it.each(['1e999', '-1e999'])('%s is not finite', async (number) => {
      refused(
        await calls.post('/predict', `{"features":{"price":1,"volume":1,"rsi":1,"macd":${number}}}`),
        422,
        'non_finite_input',
        '/features/macd',
      );
    });

    it('__proto__ and constructor are features that do not exist', async () => {
      for (const name of ['__proto__', 'constructor', 'toString'])
        refused(
          await calls.post('/predict', `{"features":{"price":1,"volume":1,"rsi":1,"${name}":{"price":2}}}`),
          400,
          'unknown_field',
          `/features/${name}`,
        );
      refused(
        await calls.post('/predict', '{"features":{"__proto__":{"price":1,"volume":1,"rsi":1}}}'),
        400,
        'unknown_field',
        '/features/__proto__',
      );
    });

    it('all that is wrong is told at once', async () => {
      const { body } = await calls.post('/predict', { features: { price: -1, volume: -1, rsi: 101 } });
      expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
        '/features/price',
        '/features/volume',
        '/features/rsi',
      ]);
      const missing = await calls.post('/predict', { features: {} });
      expect(missing.body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
        '/features/price',
        '/features/volume',
        '/features/rsi',
      ]);
    });

    it('the nearest known name is told', async () => {
      expect((await calls.post('/predict', { feature: FEATURES })).body).toMatchObject({
        code: 'unknown_field',
        errors: [{ pointer: '/feature', hint: expect.stringContaining('features') }],
      });
      expect((await calls.post('/predict', { features: { ...FEATURES, volum: 1 } })).body.errors[0].hint).toContain(
        'volume',
      );
    });

    it('of duplicate members the last one counts', async () => {
      expect((await calls.post('/predict', '{"features":{"price":-1,"price":1,"volume":1,"rsi":1}}')).status).toBe(200);
      refused(
        await calls.post('/predict', '{"features":{"price":1,"price":-1,"volume":1,"rsi":1}}'),
        422,
        'input_out_of_range',
        '/features/price',
      );
      expect(
        (
          await calls.post(
            '/predict',
            '{"model":"nothing","model":"momentum","features":{"price":1,"volume":1,"rsi":1}}',
          )
        ).status,
      ).toBe(200);
    });

    it.each([
      ['/symbol', { symbol: 5 }],
      ['/symbol', { symbol: '' }],
      ['/symbol', { symbol: 'x'.repeat(257) }],
      ['/timestamp', { timestamp: 'yesterday' }],
      ['/timestamp', { timestamp: '2024-02-30T10:00:00Z' }],
      ['/timestamp', { timestamp: 1705314600 }],
      ['/entity', { entity: 7 }],
      ['/model', { model: 5 }],
      ['/model_version', { model_version: 1.3 }],
      ['/features', { features: [1, 2, 3] }],
      ['/features', { features: null }],
    ])('%s of a wrong kind is refused: %j', async (pointer, change) => {
      refused(await calls.post('/predict', { features: FEATURES, ...change }), 400, 'invalid_parameter', pointer);
    });
  });

  describe('models and versions', () => {
    it.each([
      ['momentun', 'momentum'],
      ['fraud-detection', 'fraud_detection'],
      ['Momentum', 'momentum'],
    ])('an unknown model %s names the near %s', async (model, near) => {
      const answer = await calls.post('/predict', { model, features: FEATURES });
      refused(answer, 404, 'model_not_found');
      expect(answer.body.detail).toContain(near);
      refused(await calls.post(`/models/${model}/predict`, { features: FEATURES }), 404, 'model_not_found');
      refused(await calls.post('/v1/infer', { model_id: model, inputs: [ROW] }), 404, 'model_not_found');
      refused(
        await calls.post('/predict/batch', { model, requests: [{ features: FEATURES }] }),
        404,
        'model_not_found',
      );
      refused(await calls.get(`/models/${model}/info`), 404, 'model_not_found');
    });

    it.each(['9.9.9', 'v', 'champion', '__proto__', 'vv1.3.0', '1.3', '../1.3.0', 'x'.repeat(256)])(
      'an unknown version or alias %s is not found',
      async (version) => {
        const answer = await calls.post('/predict', { features: FEATURES, model_version: version });
        expect([answer.status, answer.body.code]).toEqual([404, expect.stringMatching(/^(version|alias)_not_found$/)]);
      },
    );

    it.each([
      '__proto__',
      'constructor',
      '..%2f..%2fetc%2fpasswd',
      '%00',
      '%F0%9F%98%80',
      'a b',
      "'%3B--",
      'x'.repeat(1000),
    ])('a path with the model %s is answered', async (model) => {
      refused(await calls.post(`/models/${model}/predict`, { features: FEATURES }), 404, 'model_not_found');
      expect((await calls.get(`/models/${model}/info`)).status).toBe(404);
      expect((await calls.get(`/v1/models/momentum/aliases/${model}`)).status).toBe(404);
      expect((await calls.get(`/v1/models/momentum/versions/${model}`)).status).toBe(404);
    });

    it('a path that cannot be decoded is refused', async () => {
      for (const route of ['/models/%E0%A4%A/info', '/v1/keys/%ff', '/%'])
        expect([400, 404]).toContain((await calls.get(route)).status);
      expect([400, 404]).toContain((await calls.post('/models/%E0%A4%A/predict', { features: FEATURES })).status);
    });

    it('without a model /v1/infer says so', async () => {
      refused(await calls.post('/v1/infer', { inputs: [ROW] }), 422, 'input_missing', '/model_id');
    });
  });

  describe('headers', () => {
    it.each(['0', '-1', '60001', '1.5', 'soon', '', '1e3', '99999999999'])(
      'X-Request-Timeout-Ms: %s is refused',
      async (value) => {
        refused(
          await calls.post('/predict', { features: FEATURES }, { headers: { 'X-Request-Timeout-Ms': value } }),
          400,
          'invalid_parameter',
        );
      },
    );

    it.each(['', 'Bulk', '1', 'urgent', 'bulk, bulk'])('X-Request-Priority: %s is refused', async (value) => {
      refused(
        await calls.post('/predict', { features: FEATURES }, { headers: { 'X-Request-Priority': value } }),
        400,
        'invalid_parameter',
      );
    });

    it.each(['bulk', 'interactive'])('X-Request-Priority: %s is answered', async (value) => {
      const headers = { 'X-Request-Priority': value };
      expect((await calls.post('/predict', { features: FEATURES }, { headers })).status).toBe(200);
    });

    it('a deadline that cannot be met is 504, one that can be is kept', async () => {
      const rows = Array.from({ length: 10_000 }, () => ROW);
      const body = { model_id: 'fraud_detection', inputs: rows };
      refused(
        await calls.post('/v1/infer', body, { headers: { 'X-Request-Timeout-Ms': '1' } }),
        504,
        'deadline_exceeded',
      );
      expect((await calls.post('/v1/infer', body, { headers: { 'X-Request-Timeout-Ms': '60000' } })).status).toBe(200);
    });

    it('headers of more than 16 KiB are 431', async () => {
      for (const line of [
        `X-Large: ${'x'.repeat(17_000)}`,
        Array.from({ length: 900 }, (_, i) => `X-${i}: ${'y'.repeat(20)}`).join('\r\n'),
      ]) {
        const { text } = head('/predict', [line, 'Content-Length: 0']);
        checkRaw(await sendRaw(server.url, [text]), 431, 'headers_too_large');
      }
    });

    it('headers that do not arrive in time are 408, as is a body', async () => {
      const slow = await sendRaw(server.url, ['POST /predict HTTP/1.1\r\nHost: x\r\nX-Slow: '], { timeoutMs: 20_000 });
      checkRaw(slow, 408, 'request_timeout');
      expect(slow.closed).toBe(true);
      for (const route of ['/predict', '/v1/keys']) {
        const { id, text } = head(route, ['Content-Type: application/json', 'Content-Length: 100']);
        checkRaw(
          await sendRaw(server.url, [text, '{"a":'], { until: (got) => got.includes('request_id') }),
          408,
          'request_timeout',
        );
        calls.sent.set(id, { what: `slow body ${route}`, events: 1, status: 408 });
      }
    }, 40_000);

    it.each([
      ['garbage', 'garbage\r\n\r\n'],
      ['a TLS hello', Buffer.from('16030100f1010000ed0303', 'hex')],
      ['a bad version', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n'],
      ['a header without a colon', 'GET /ready HTTP/1.1\r\nHost x\r\n\r\n'],
      ['two lengths', 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}'],
      [
        'length and chunks',
        'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
      ['a negative length', 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
    ])('%s is 400 and the end of the connection', async (_, bytes) => {
      const answer = await sendRaw(server.url, [bytes]);
      expect([answer.status, answer.closed]).toEqual([400, true]);
      expect(answer.text).not.toMatch(/node_modules|at \S+ \(|\.js\b/);
    });
  });

  describe('request targets', () => {
    const ask = async (target: string, lines: readonly string[] = []): Promise<RawAnswer> => {
      const body = JSON.stringify({ features: FEATURES });
      const { id, text } = head(target, [
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Connection: close',
        ...lines,
      ]);
      const answer = await sendRaw(server.url, [text, body]);
      const status = Number(/HTTP\/1\.1 ([2-5]\d\d) /.exec(answer.text)?.[1]);
      calls.sent.set(id, { what: `${target} ${lines.join()}`, events: 1, status });
      return answer;
    };

    it.each([
      'http://other.example/predict',
      'http://x:1/v1/predict?a=/',
      '/predict#fragment',
      '/models/%6Domentum/predict',
      '/predict/?/predict',
    ])('%s is the route that it looks like', async (target) => {
      expect((await ask(target)).status).toBe(200);
    });

    it.each(['/Predict', '//predict', '/predict//', '/%70redict', '/predict;x', '/./predict', '/models//predict'])(
      '%s is none',
      async (target) => {
        expect([400, 404, 405]).toContain((await ask(target)).status);
      },
    );

    it('an expectation that nobody knows is no reason for an answer without a record', async () => {
      expect([200, 417]).toContain((await ask('/predict', ['Expect: miracles'])).status);
      expect((await ask('/predict', ['Expect: 100-continue'])).text).toContain('HTTP/1.1 200');
    });

    it('the key is found behind two hundred other headers', async () => {
      const lines = Array.from({ length: 200 }, (_, i) => `X-${i}: y`).join('\r\n');
      const id = calls.nextId();
      const answer = await sendRaw(server.url, [
        `GET /v1/whoami HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n${lines}\r\nX-API-Key: ${server.adminKey}\r\nConnection: close\r\n\r\n`,
      ]);
      expect(answer.status).toBe(200);
    });
  });

  it('a thousand mutilated bodies are answered without a fault of the server', async () => {
    const random = generator(42);
    const seeds: [string, string][] = [
      [
        '/predict',
        JSON.stringify({ symbol: 'A', timestamp: '2024-01-15T10:30:00Z', features: FEATURES, model_version: 'latest' }),
      ],
      [
        '/predict/batch',
        JSON.stringify({ requests: [{ features: FEATURES }, { model: 'fraud_detection', features: ROW }] }),
      ],
      [
        '/models/fraud_detection/predict',
        JSON.stringify({
          inputs: {
            features: [
              [1, 2],
              [3, 4],
            ],
          },
        }),
      ],
      ['/v1/infer', JSON.stringify({ model_id: 'fraud_detection', inputs: [ROW, ROW] })],
      ['/v1/models/load', JSON.stringify({ model_id: 'momentum', version: '1.3.0' })],
    ];
    const statuses = new Set<number>();
    for (let round = 0; round < 50; round++) {
      const batch = Array.from({ length: 20 }, () => seeds[Math.floor(random() * seeds.length)] ?? ['/predict', '{}']);
      const answers = await Promise.all(
        batch.map(([route = '', body = '']) => calls.post(route, mutilated(body, random))),
      );
      for (const { status } of answers) statuses.add(status);
    }
    expect([...statuses].filter((status) => status >= 500)).toEqual([]);
    expect(statuses).toContain(422);
  }, 60_000);

  describe('callers who do not wait', () => {
    it.each(['/predict', '/v1/keys', '/v1/models/momentum/versions'])(
      'half a request to %s leaves one event with 499',
      async (route) => {
        const type = route.endsWith('versions') ? 'multipart/form-data; boundary=x' : 'application/json';
        const { id, text } = head(route, [`Content-Type: ${type}`, 'Content-Length: 1000']);
        await sendAndHangUp(
          server.url,
          `${text}{"features":`,
          () => new Promise((resolve) => setTimeout(resolve, 100)),
        );
        await eventually(async () => (await calls.events(`request_id=${id}`)).length > 0);
        expect(await calls.events(`request_id=${id}`)).toMatchObject([{ status: 499, outcome: 'failed' }]);
      },
    );

    it('a caller that hangs up after the whole request leaves one event, answered or not', async () => {
      const inputs = Array.from({ length: 2_000 }, () => ROW);
      const ids: string[] = [];
      for (const body of [
        { model_id: 'fraud_detection', inputs },
        { model_id: 'nothing', inputs },
      ]) {
        for (let i = 0; i < 5; i++) {
          const bytes = JSON.stringify(body);
          const { id, text } = head('/v1/infer', ['Content-Type: application/json', `Content-Length: ${bytes.length}`]);
          ids.push(id);
          await sendAndHangUp(server.url, text + bytes, () => new Promise((resolve) => setTimeout(resolve, i)));
        }
      }
      const recorded = async (): Promise<AuditEvent[]> =>
        (await calls.events()).filter(({ request_id: id }) => ids.includes(id));
      await eventually(async () => (await recorded()).length >= ids.length);
      const events = await recorded();
      expect(events.map(({ request_id: id }) => id).sort()).toEqual(ids.toSorted());
      for (const { status } of events) expect([200, 404, 499]).toContain(status);
    });

    it('pipelined requests are each answered, in their order, with one event each', async () => {
      const body = JSON.stringify({ features: FEATURES });
      const ids: string[] = [];
      const pieces = ['/predict', '/v1/whoami', '/predict', '/nothing', '/predict'].map((route, i) => {
        const isPredict = route === '/predict';
        const lines = isPredict ? ['Content-Type: application/json', `Content-Length: ${body.length}`] : [];
        const { id, text } = head(route, i === 4 ? [...lines, 'Connection: close'] : lines, isPredict ? 'POST' : 'GET');
        ids.push(id);
        calls.sent.set(id, { what: `pipelined ${route}`, events: 1, status: route === '/nothing' ? 404 : 200 });
        return text + (isPredict ? body : '');
      });
      const { text } = await sendRaw(server.url, [pieces.join('')]);
      expect([...text.matchAll(/X-Request-Id: (\S+)/gi)].map(([, id]) => id)).toEqual(ids);
      expect([...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status)).toEqual([
        '200',
        '200',
        '200',
        '404',
        '200',
      ]);
    });
  });

  it('after all this the server answers, and every request left exactly one event', async () => {
    expect((await calls.post('/predict', { features: FEATURES })).status).toBe(200);
    expect(await server.call('GET', '/ready')).toMatchObject({ status: 200, body: { ready: true } });
    expect(await calls.unrecorded()).toEqual([]);
    expect(server.log).not.toMatch(/failed unexpectedly|unhandled/i);
  });
});

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await condition()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
}
