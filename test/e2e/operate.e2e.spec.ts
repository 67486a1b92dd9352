import fs from 'node:fs';
import path from 'node:path';
import { ERROR_CODES } from '@sibyl/kernel';
import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { departures, type OpenApiDocument, type Operation } from '../support/openapi-document';
import { RecordedClient, type Reply, type Request } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const FEATURES = { price: 45000, volume: 1e6, rsi: 65.5 };

describe('operating a server', () => {
  let server: TestServer;
  let client: RecordedClient;
  let operator: string;

  beforeAll(async () => {
    server = await startServer();
    client = new RecordedClient(server, 'operate');
    operator = (await client.post('/v1/keys', { name: 'operator', role: 'operator' })).body.key;
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const open = (route: string, headers: Record<string, string> = {}): Promise<Reply> =>
    client.get(route, { key: null, headers });

  describe('health', () => {
    it.each(['/health', '/health/live', '/health/'])('%s says that the process lives', async (route) => {
      expect(await open(route)).toMatchObject({ status: 200, body: { live: true } });
    });

    it.each(['/ready', '/health/ready', '/ready/'])('%s says that it is ready', async (route) => {
      expect(await open(route)).toMatchObject({ status: 200, body: { ready: true } });
    });

    it('/health/model tells strangers names and ready, nothing else', async () => {
      const { status, body } = await open('/health/model');
      expect([status, body]).toEqual([
        200,
        { models: ['breast_cancer', 'fraud_detection', 'momentum'].map((name) => ({ name, ready: true })) },
      ]);
    });

    it('HEAD is GET without a body', async () => {
      for (const route of ['/health', '/ready', '/openapi.json', '/docs']) {
        const { status, body } = await client.call('HEAD', route, { key: null });
        expect([route, status, body]).toEqual([route, 200, '']);
      }
    });

    it('/health/detailed has every check and part, and no secret', async () => {
      const { status, body } = await client.get('/health/detailed', { key: operator });
      expect([status, body.live, body.ready]).toEqual([200, true, true]);
      expect(body).toMatchObject({
        database: { up: true, embedded: true },
        audit: { writable: true },
        runtime: { ready: true, providers: ['cpu'] },
      });
      expect(body.models).toContainEqual(
        expect.objectContaining({ model: 'momentum', version: '1.2.3', ready: true, provider: 'cpu' }),
      );
      expect(JSON.stringify(body)).not.toContain(server.adminKey);
      expect(JSON.stringify(body)).not.toContain(server.dataDir);
    });

    it('/health/system and /health/gpu tell of process, machine and devices', async () => {
      const system = await client.get('/health/system', { key: operator });
      expect(system).toMatchObject({
        status: 200,
        body: { process: { pid: server.pid, rss_bytes: expect.any(Number) }, machine: { cpus: expect.any(Number) } },
      });
      expect(await client.get('/health/gpu', { key: operator })).toMatchObject({
        status: 200,
        body: { available: expect.any(Boolean) },
      });
    });
  });

  describe('meta', () => {
    it('/ says what this is and where to read on; each of its links leads somewhere', async () => {
      const { status, body } = await open('/');
      expect([status, body.name]).toEqual([200, 'sibyl']);
      for (const link of Object.values<string>(body).filter((text) => text.startsWith('/'))) {
        expect([link, (await open(link)).status]).toEqual([link, 200]);
      }
    });

    it('/info tells any key version and protocols', async () => {
      const { version } = JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8')) as {
        version: string;
      };
      expect(await client.get('/info', { key: operator })).toMatchObject({
        status: 200,
        body: { name: 'sibyl', version, protocols: expect.arrayContaining(['rest']) },
      });
    });

    it.each(['/docs', '/redoc', '/docs/errors'])('%s is a page whose every file is served from here', async (route) => {
      const page = await open(route);
      expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
      expect(page.headers.get('content-security-policy')).toContain('default-src');
      const files = [...String(page.body).matchAll(/(?:src|href)="([^"#]+)"/g)].map((match) => match[1] as string);
      expect(files.filter((file) => /^(https?:)?\/\//.test(file))).toEqual([]);
      for (const file of files.filter((name) => !name.startsWith('data:'))) {
        expect([file, (await open(new URL(file, `http://x${route}`).pathname)).status]).toEqual([file, 200]);
      }
    });

    it('/docs/errors explains every code where `type` points', async () => {
      const page = String((await open('/docs/errors')).body);
      for (const code of Object.keys(ERROR_CODES)) expect([code, page.includes(`id="${code}"`)]).toEqual([code, true]);
      const { body } = await client.get('/info', { key: null });
      expect(body.type).toBe('/docs/errors#key_missing');
    });

    it.each([
      '/docs/nothing.css',
      '/docs/..%2f..%2fpackage.json',
      '/docs/%2e%2e%2fmain.js',
      '/docs/package.json',
      '/docs/x%00.css',
    ])('%s is no file of the pages', async (route) => {
      expect((await client.get(route)).status).toBe(404);
    });
  });

  describe('metrics', () => {
    const metrics = async (): Promise<string> => {
      const reply = await client.get('/metrics', { key: null, headers: { authorization: `Bearer ${operator}` } });
      expect([reply.status, reply.headers.get('content-type')]).toEqual([
        200,
        expect.stringMatching(/^text\/plain; version=0\.0\.4/),
      ]);
      return reply.body as string;
    };
    const read = (text: string, series: string): number =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${series} `))
          ?.split(' ')[1] ?? 0,
      );

    it('have the names of the contract', async () => {
      await client.post('/predict', { features: FEATURES });
      await client.get('/nothing', { key: 'sk_wrong' });
      const names = new Set([...(await metrics()).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]));
      const ours = [
        ...['http_requests_total', 'http_request_duration_seconds', 'predictions_total', 'prediction_duration_seconds'],
        ...['prediction_value', 'prediction_label_total', 'inference_batch_size', 'inference_queue_depth'],
        ...[
          'models_loaded',
          'model_load_duration_seconds',
          'model_memory_bytes',
          'auth_refusals_total',
          'rate_limited_total',
        ],
        ...[
          'active_keys',
          'audit_events_total',
          'audit_commit_duration_seconds',
          'audit_spool_backlog',
          'event_loop_delay_seconds',
        ],
      ].map((name) => `sibyl_${name}`);
      const others = [
        'process_cpu_seconds_total',
        'process_resident_memory_bytes',
        'nodejs_heap_size_used_bytes',
        'nodejs_eventloop_lag_seconds',
      ];
      expect([...ours, ...others].filter((name) => !names.has(name))).toEqual([]);
      for (const stage of ['features', 'queue', 'inference', 'audit']) {
        expect([
          stage,
          [...names].some((name) => name?.startsWith('sibyl_prediction') && name.includes(stage)),
        ]).toEqual([stage, true]);
      }
    });

    it('every name has the prefix or is prom-client’s own', async () => {
      const names = [...(await metrics()).matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1] as string);
      expect(names.filter((name) => !/^(sibyl|process|nodejs)_/.test(name))).toEqual([]);
    });

    it('count what happened, exactly', async () => {
      const before = await metrics();
      await client.post('/predict', { features: FEATURES });
      await client.post('/predict', { features: FEATURES });
      await client.post('/predict', { features: { ...FEATURES, rsi: 1000 } });
      await client.post('/predict/batch', {
        requests: [{ features: FEATURES }, { features: FEATURES }, { features: { rsi: 'x' } }],
      });
      await client.get('/models', { key: null });
      const after = await metrics();
      const gained = (series: string): number => read(after, series) - read(before, series);
      const version = 'model="momentum",version="1.2.3"';
      expect(gained(`sibyl_predictions_total{${version},outcome="succeeded"}`)).toBe(4);
      expect(gained(`sibyl_predictions_total{${version},outcome="failed"}`)).toBe(2);
      expect(gained('sibyl_http_requests_total{route="/predict",method="POST",status="200"}')).toBe(2);
      expect(gained('sibyl_http_requests_total{route="/predict",method="POST",status="422"}')).toBe(1);
      expect(gained('sibyl_http_requests_total{route="/predict/batch",method="POST",status="200"}')).toBe(1);
      expect(gained('sibyl_http_request_duration_seconds_count{route="/predict",method="POST"}')).toBe(3);
      expect(gained('sibyl_auth_refusals_total{code="key_missing"}')).toBe(1);
      expect(gained('sibyl_audit_events_total{outcome="denied"}')).toBe(1);
      expect(gained('sibyl_audit_events_total{outcome="failed"}')).toBe(1);
      expect(read(after, 'sibyl_models_loaded')).toBe(4);
      expect(read(after, 'sibyl_active_keys')).toBe(2);
    });

    it('stay as few whatever clients send', async () => {
      const series = (text: string): string[] =>
        text
          .split('\n')
          .filter((line) => line.startsWith('sibyl_') && !/_(bucket|sum|count)\b/.test(line))
          .map((line) => line.replace(/ \S+$/, ''));
      const strange = async (word: string): Promise<void> => {
        await client.post(`/models/${word}/predict`, { features: FEATURES });
        await client.post('/predict', { features: FEATURES, model: word, model_version: word });
        await client.post('/predict', { features: FEATURES, model_version: word });
        await client.get(`/${word}/${word}`);
        await client.get(`/v1/models/${word}/versions/${word}`);
        await client.call('PROPFIND', `/${word}`);
      };
      await strange('first');
      const before = series(await metrics());
      for (let i = 0; i < 15; i++) await strange(`random-${i}-${'x'.repeat(i)}`);
      const after = series(await metrics());
      expect(after.filter((line) => !before.includes(line))).toEqual([]);
      expect(after.filter((line) => line.includes('random') || line.includes('first'))).toEqual([]);
    });
  });

  describe('reloading', () => {
    it('of one model, and of all, answers what serves', async () => {
      const one = await client.post('/health/model/reload', { model: 'momentum' }, { key: operator });
      expect(one).toMatchObject({ status: 200, body: { models: [{ name: 'momentum', ready: true }] } });
      expect(one.body.models[0].versions).toContainEqual({ version: '1.2.3', outcome: 'reloaded' });
      const all = await client.post('/health/model/reload', {}, { key: operator });
      expect(all).toMatchObject({ status: 200, body: { models: [{ ready: true }, { ready: true }, { ready: true }] } });
    });

    it('brings back what was unloaded', async () => {
      await client.call('DELETE', '/v1/models/momentum/1.2.3');
      expect((await open('/health/model')).body.models).toContainEqual({ name: 'momentum', ready: false });
      expect((await open('/ready')).status).toBe(200); // by hand is no fault of the server
      const reply = await client.post('/health/model/reload', { model: 'momentum' });
      expect(reply.body).toMatchObject({ models: [{ name: 'momentum', ready: true }] });
      expect(reply.body.models[0].versions).toContainEqual({ version: '1.2.3', outcome: 'loaded' });
    });

    it('fails no request, however often', async () => {
      let reloading = true;
      const statuses = new Set<number>();
      let answers = 0;
      const callers = Array.from({ length: 16 }, async () => {
        while (reloading || answers < 200) {
          statuses.add((await client.post('/predict', { features: FEATURES })).status);
          answers++;
        }
      });
      for (let i = 0; i < 5; i++) {
        const reply = await client.post('/health/model/reload', { model: 'momentum' }, { key: operator });
        expect(reply.body.models[0].versions).toContainEqual({ version: '1.2.3', outcome: 'reloaded' });
      }
      reloading = false;
      await Promise.all(callers);
      expect([...statuses]).toEqual([200]);
    });

    it.each([
      [{ model: 'momentun' }, 404, 'model_not_found'],
      [{ modle: 'momentum' }, 400, 'unknown_field'],
      [{ model: 7 }, 400, 'invalid_parameter'],
    ])('%j is refused', async (body, status, code) => {
      expect(await client.post('/health/model/reload', body)).toMatchObject({ status, body: { code } });
    });

    it('needs ops:write', async () => {
      const team = await client.post('/v1/keys', { name: 'team', role: 'team' });
      const reply = await client.post('/health/model/reload', {}, { key: team.body.key });
      expect(reply).toMatchObject({
        status: 403,
        body: { code: 'scope_missing', detail: expect.stringContaining('ops:write') },
      });
    });
  });

  describe('/openapi.json', () => {
    let document: OpenApiDocument;
    const called = new Set<string>();
    /** Placeholders of paths that have no example, because only the running server knows one. */
    const known: Record<string, string> = {};

    beforeAll(async () => {
      document = (await open('/openapi.json')).body as OpenApiDocument;
    });

    /** Calls a route as its own description says, and checks that status and body are described there. */
    async function follow(method: string, pattern: string, request: Request = {}, id?: string): Promise<Reply> {
      const operation = operationOf(method, pattern);
      called.add(`${method} ${pattern}`);
      const route = pattern.replace(/\{(\w+)\}/g, (_: string, name: string) => {
        const example = operation.parameters?.find((one) => one.name === name)?.example;
        return (name === 'id' ? id : undefined) ?? example ?? known[name] ?? name;
      });
      const query = (operation.parameters ?? [])
        .filter((one) => one.in === 'query' && one.required === true)
        .map(({ name, schema }) => `${name}=${schema?.example ?? name}`);
      const body = request.body ?? exampleOf(operation);
      const reply = await client.call(method, [route, ...query].join('?'), {
        ...request,
        ...(body === undefined ? {} : { body }),
      });
      const described = operation.responses[String(reply.status)];
      expect([method, pattern, reply.status, described === undefined]).toEqual([method, pattern, reply.status, false]);
      const type = (reply.headers.get('content-type') ?? '').split(';')[0] as string;
      const content = described?.content?.[type] ?? described?.content?.['*/*'];
      expect([pattern, type, content === undefined]).toEqual([pattern, type, false]);
      expect(departures(reply.body, content?.schema, document)).toEqual([]);
      return reply;
    }

    function operationOf(method: string, pattern: string): Operation {
      const operation = document.paths[pattern]?.[method.toLowerCase()];
      if (operation === undefined) throw new Error(`${method} ${pattern} is not described`);
      return operation;
    }

    function exampleOf(operation: Operation): unknown {
      const json = operation.requestBody?.content?.['application/json'];
      return json?.example ?? Object.values<{ value: unknown }>(json?.examples ?? {})[0]?.value;
    }

    it('is OpenAPI 3.1.0, and the file in docs', () => {
      expect(document.openapi).toBe('3.1.0');
      expect(document).toEqual(JSON.parse(fs.readFileSync(path.join(REPOSITORY, 'docs/openapi.json'), 'utf8')));
    });

    it('its examples work as pasted: predictions', async () => {
      for (const prefix of ['', '/v1']) {
        for (const route of ['/predict', '/predict/batch', '/models/{name}/predict']) {
          const { requestBody } = operationOf('POST', prefix + route);
          const examples = Object.values(requestBody?.content['application/json']?.examples ?? {});
          expect(examples.length).toBeGreaterThan(0);
          for (const { value } of examples)
            expect((await follow('POST', prefix + route, { body: value })).status).toBe(200);
        }
      }
      const infer = await follow('POST', '/v1/infer');
      expect(infer.status).toBe(200);
      expect((await follow('GET', '/v1/predictions/{id}', {}, infer.body.id)).status).toBe(200);
    });

    it('its examples work as pasted: features', async () => {
      const at = '/v1/features';
      for (const [method, route] of [
        ['PUT', '/views/{name}'],
        ['PUT', '/sets/{name}'],
        ['POST', '/push'],
        ['POST', '/online'],
        ['POST', '/explain'],
      ] as const) {
        expect([route, (await follow(method, at + route)).status]).toEqual([route, 200]);
      }
    });

    const readable = (): string[] =>
      Object.entries(document.paths)
        .filter(([pattern, operations]) => operations.get !== undefined && !/\{(id|file)\}/.test(pattern))
        .map(([pattern]) => pattern);

    it('its examples work as pasted: everything that only reads', async () => {
      for (const pattern of readable())
        expect([pattern, (await follow('GET', pattern)).status]).toEqual([pattern, 200]);
    });

    it('describes the files of the pages with their types', async () => {
      known['file'] = 'swagger-ui.css';
      expect((await follow('GET', '/docs/{file}')).status).toBe(200);
    });

    it('its examples work as pasted: keys and events', async () => {
      const issued = await follow('POST', '/v1/keys');
      expect(issued.status).toBe(201);
      const { id } = issued.body;
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        expect([method, (await follow(method, '/v1/keys/{id}', {}, id)).status]).toEqual([method, 200]);
      }
      const events = (await client.get('/v1/audit/events?limit=1')).body.items;
      expect((await follow('GET', '/v1/audit/events/{id}', {}, events[0].id)).status).toBe(200);
    });

    it('its examples work as pasted: a version from upload to archive', async () => {
      const at = '/v1/models/{name}';
      expect((await follow('POST', '/v1/models/load')).status).toBe(200);
      expect((await follow('POST', `${at}/versions/{version}/validate`)).status).toBe(200);
      expect((await follow('POST', `${at}/versions/{version}/approve`)).status).toBe(200);
      const alias = await client.get('/v1/models/momentum/aliases/production');
      const moved = await follow('PUT', `${at}/aliases/{alias}`, {
        headers: { 'if-match': alias.headers.get('etag') ?? '' },
      });
      expect([moved.status, moved.body.version]).toEqual([200, '1.3.0']);
      const back = await follow('POST', `${at}/aliases/{alias}/rollback`, {
        headers: { 'if-match': moved.headers.get('etag') ?? '' },
      });
      expect([back.status, back.body.version]).toEqual([200, '1.2.3']);
      expect((await follow('DELETE', `${at}/{version}`)).status).toBe(200);
      expect((await follow('POST', `${at}/versions/{version}/archive`)).status).toBe(200);
      expect((await follow('POST', '/health/model/reload')).status).toBe(200);
    });

    it('describes a registration, by JSON and by multipart', async () => {
      const files = modelPackage(linearModel({ weights: [[1, 1]], bias: [0] }), { name: 'momentum', version: '9' });
      const reply = await client.upload('momentum', files);
      const { responses } = operationOf('POST', '/v1/models/{name}/versions');
      expect(reply.status).toBe(201);
      expect(departures(reply.body, responses['201']?.content?.['application/json']?.schema, document)).toEqual([]);
      expect((await follow('POST', '/v1/models/{name}/versions', { body: { source_uri: 'absent' } })).status).toBe(400);
    });

    it('describes an operation, from its 202 on', async () => {
      const files = modelPackage(linearModel({ weights: [[1, 1]], bias: [0] }), { name: 'momentum', version: '10' });
      const begun = await client.upload('momentum', files, {}, { headers: { prefer: 'respond-async' } });
      const { responses } = operationOf('POST', '/v1/models/{name}/versions');
      expect(begun.status).toBe(202);
      expect(departures(begun.body, responses['202']?.content?.['application/json']?.schema, document)).toEqual([]);
      expect((await follow('GET', '/v1/operations/{id}', {}, begun.body.id)).status).toBe(200);
      await client.ended(begun.headers.get('location') ?? '');
      expect((await follow('GET', '/v1/operations/{id}', {}, begun.body.id)).body).toMatchObject({
        status: 'succeeded',
      });
      expect((await follow('DELETE', '/v1/operations/{id}', {}, begun.body.id)).status).toBe(200);
    });

    it('describes what wrong requests are answered', async () => {
      for (const [pattern, operations] of Object.entries(document.paths)) {
        for (const method of Object.keys(operations).map((name) => name.toUpperCase())) {
          const { security, requestBody } = operationOf(method, pattern);
          const id = '01a1fe4f-7ecc-7000-ad22-6c15c302932f';
          if (security.length > 0) expect((await follow(method, pattern, { key: null }, id)).status).toBe(401);
          if (pattern.includes('{id}')) expect((await follow(method, pattern, {}, id)).status).toBe(404);
          if (requestBody === undefined) continue;
          expect((await follow(method, pattern, { body: '{"' }, id)).status).toBe(400);
          // A file may be of any type.
          if ('application/octet-stream' in requestBody.content) continue;
          expect(
            (await follow(method, pattern, { body: 'x', headers: { 'content-type': 'text/csv' } }, id)).status,
          ).toBe(415);
        }
      }
    });

    it('unknown query parameters are answered as described', async () => {
      const undescribed: string[] = [];
      for (const pattern of readable()) {
        const { parameters = [], responses } = operationOf('GET', pattern);
        const route = pattern.replace(
          /\{(\w+)\}/g,
          (_: string, name: string) => parameters.find((one) => one.name === name)?.example ?? name,
        );
        const { status } = await client.get(`${route}?nonsense=1`);
        if (!(String(status) in responses)) undescribed.push(`${pattern} ${status}`);
      }
      expect(undescribed).toEqual([]);
    });

    it('and every one of its routes was called', () => {
      const all = Object.entries(document.paths).flatMap(([pattern, operations]) =>
        Object.keys(operations).map((method) => `${method.toUpperCase()} ${pattern}`),
      );
      expect(all.filter((route) => !called.has(route))).toEqual([]);
    });
  });

  it('each of all these requests has exactly one event, those to public routes none', async () => {
    expect(await client.unrecorded()).toEqual([]);
    const events = await client.events();
    const toPublic = [...client.sent]
      .filter(([, { what }]) => /^\w+ \/(ready|health|docs|redoc|openapi\.json)?$/.test(what))
      .map(([id]) => id);
    expect(toPublic.length).toBeGreaterThan(5);
    expect(events.filter(({ request_id: id }) => toPublic.includes(id))).toEqual([]);
  });
});
