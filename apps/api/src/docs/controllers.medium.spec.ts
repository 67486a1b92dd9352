import { AuditLog, AuditTrail } from '@sibyl/audit';
import { ApiKeys, type ApiKey } from '@sibyl/auth';
import { Database } from '@sibyl/database';
import { TrainingSets } from '@sibyl/features';
import { GpuMeter, ModelRuntime } from '@sibyl/inference';
import { CountingIds, FakeClock } from '@sibyl/kernel/testing';
import { ArtifactScrubber, ModelPolicy, ModelRegistry, type AliasEvent, type ModelVersion } from '@sibyl/registry';
import { HttpSurface } from '../../../../test/support/http-surface';
import { AuditModule } from '../audit/audit.module';
import { HealthModule } from '../health/health.module';
import { Drain } from '../http/drain';
import { KeysModule } from '../keys/keys.module';
import { MetaModule } from '../meta/meta.module';
import { ModelsModule } from '../models/models.module';
import { ModelSources } from '../models/model-sources';
import { Serving } from '../models/serving';
import { OperationRecords } from '../operations/operation-records';
import { Operations } from '../operations/operations';
import { NoSiblings, Siblings } from '../workers/siblings';
import { OperationsModule } from '../operations/operations.module';
import { DocsModule } from './docs.module';

const KEY: ApiKey = {
  id: 'k-1',
  prefix: 'p',
  name: 'a',
  scopes: ['predict'],
  createdAtMs: 0,
  createdBy: 'b',
  person: 'operator',
  version: 3,
};
const VERSION = {
  model: 'churn',
  version: '1.0.0',
  revision: 2,
  status: 'active',
  digest: 'sha256:00',
  manifest: { metrics: {}, document: {} },
  signature: { inputs: [], outputs: [] },
  onnx: {},
  aliases: ['production'],
  approvals: [],
  registeredBy: {},
  changedBy: {},
} as unknown as ModelVersion;
const ALIAS = {
  model: 'churn',
  alias: 'production',
  version: '1.0.0',
  etag: '"4"',
  revision: 4,
  actor: {},
} as unknown as AliasEvent;
const EVENT = { id: 'e-1', actor: { key_id: 'k' }, action: 'x.y' };
const SERVED = { model: 'churn', version: '1.0.0', state: 'ready', loaded: true, ready: true };

/** What the libraries were asked for. */
const asked: [string, ...unknown[]][] = [];

/** A stand-in whose methods answer what is given and note how they were called. */
function standIn(answers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [
      name,
      (...parameters: unknown[]) => {
        asked.push([name, ...parameters]);
        return answer;
      },
    ]),
  );
}

const catalog = standIn({
  list: { items: [VERSION] },
  versions: [VERSION],
  find: VERSION,
  aliasAt: ALIAS,
  history: { items: [ALIAS] },
});
const POLICY = { model: 'churn', revision: 4, etag: '"4"', policy: new ModelPolicy() };
const registry = standIn({
  find: VERSION,
  approve: VERSION,
  archive: VERSION,
  revalidate: VERSION,
  setPolicy: POLICY,
  approvePolicy: POLICY,
  importUri: { version: VERSION, created: true },
});
const untilCancelled = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
const operations = new Operations(new CountingIds(), new FakeClock(), 10);
const standIns = new Map<unknown, unknown>([
  [
    ApiKeys,
    standIn({
      issue: { key: KEY, text: 'sk_x' },
      list: { items: [KEY] },
      find: KEY,
      change: KEY,
      revoke: { id: 'k-1', revokedAtMs: 0 },
    }),
  ],
  [
    AuditLog,
    standIn({
      list: { items: [EVENT] },
      find: EVENT,
      prediction: { event: EVENT, payload: '{"request":{},"answer":{}}' },
    }),
  ],
  [ModelRegistry, { ...registry, catalog }],
  [
    Serving,
    standIn({
      ...{
        load: SERVED,
        unload: { ...SERVED, loaded: false },
        promote: ALIAS,
        rollback: ALIAS,
        reload: [{ name: 'churn', ready: true, versions: [{ version: '1.0.0', outcome: 'reloaded' }] }],
      },
      ...{
        status: SERVED,
        statuses: [SERVED],
        readiness: { ready: true, reasons: [] },
        models: [{ name: 'churn', ready: true }],
      },
    }),
  ],
  [ArtifactScrubber, standIn({ checkNow: [] })],
  [ModelSources, standIn({ check: undefined })],
  [AuditTrail, standIn({ writable: true, status: {}, commit: undefined })],
  [Database, standIn({ status: { up: true } })],
  [ModelRuntime, standIn({ status: { providers: ['cpu'], gpus: 0, gpuProviders: [] } })],
  [GpuMeter, standIn({ read: [] })],
  [Drain, new Drain()],
  [Operations, operations],
  [OperationRecords, new OperationRecords('nowhere', 0, { warn: () => undefined })],
  [Siblings, new NoSiblings()],
  [TrainingSets, { files: standIn({ isOf: false, remove: false }) }],
]);

describe('the controllers', () => {
  const modules = [KeysModule, AuditModule, ModelsModule, OperationsModule, HealthModule, MetaModule, DocsModule];
  const surface = new HttpSurface(modules, standIns);
  beforeAll(() => surface.start());
  afterAll(() => surface.stop());
  beforeEach(() => (asked.length = 0));

  const lastAsked = (name: string): readonly unknown[] =>
    asked
      .filter(([called]) => called === name)
      .at(-1)
      ?.slice(1) ?? [];

  it.each([
    ['/v1/keys?limit=5', 'list', [{ limit: 5 }], { items: [{ id: 'k-1' }] }],
    ['/v1/keys/k-1', 'find', ['k-1'], { id: 'k-1' }],
    [
      '/v1/audit/events?action=x.y&limit=2',
      'list',
      [expect.objectContaining({ action: 'x.y' }), expect.objectContaining({ limit: 2 })],
      { items: [EVENT] },
    ],
    ['/v1/audit/events/e-1', 'find', ['e-1'], EVENT],
    ['/v1/predictions/p-1', 'prediction', ['p-1'], { id: 'p-1', request: {}, answer: {} }],
    ['/models?name=churn', 'list', [{ model: 'churn' }, {}], { models: [{ name: 'churn', loaded: true }] }],
    ['/models/churn/versions', 'versions', ['churn'], { model_name: 'churn' }],
    ['/models/churn/info?version=1.0.0', 'find', ['churn', '1.0.0'], { name: 'churn', loaded: true }],
    ['/models/churn/health', 'versions', ['churn'], { ready: true }],
    ['/v1/models/churn/versions/1.0.0', 'find', ['churn', '1.0.0'], { digest: 'sha256:00' }],
    [
      '/v1/models/churn/aliases/production?at=2026-01-01T00:00:00Z',
      'aliasAt',
      ['churn', 'production', Date.UTC(2026, 0, 1)],
      { etag: '"4"' },
    ],
    ['/v1/models/churn/aliases/production', 'aliasAt', ['churn', 'production', undefined], { version: '1.0.0' }],
    ['/v1/models/churn/history?limit=3', 'history', ['churn', { limit: 3 }], { model_name: 'churn' }],
    ['/health/model', 'models', [], { models: [{ name: 'churn', ready: true }] }],
  ])('GET %s asks the library and shows what it answers', async (route, method, parameters, body) => {
    expect(await surface.call('GET', route)).toMatchObject({ status: 200, body });
    expect(lastAsked(method)).toEqual(parameters);
  });

  const actor = expect.objectContaining({ type: 'key' }) as unknown;
  const principal = expect.objectContaining({ keyId: 'k' }) as unknown;
  /** Long work can be stopped, and says how far it is. */
  const stoppable: unknown = { signal: expect.anything() as unknown, onProgress: expect.any(Function) as unknown };
  const record = expect.any(Function) as unknown;

  it.each([
    [
      'POST',
      '/v1/keys',
      { name: 'a', role: 'team' },
      {},
      201,
      'issue',
      [actor, principal, { name: 'a', role: 'team' }, record],
    ],
    [
      'PATCH',
      '/v1/keys/k-1',
      { name: 'b' },
      { 'If-Match': '"3"' },
      200,
      'change',
      [actor, principal, { id: 'k-1', patch: { name: 'b' }, ifVersion: 3 }, record],
    ],
    ['DELETE', '/v1/keys/k-1', undefined, {}, 200, 'revoke', [actor, 'k-1', record]],
    ['DELETE', '/v1/models/churn/1.0.0', undefined, {}, 200, 'unload', ['churn', '1.0.0']],
    ['POST', '/v1/models/load', { model_id: 'churn', version: '1.0.0' }, {}, 200, 'load', ['churn', '1.0.0']],
    [
      'POST',
      '/v1/models/churn/versions',
      { source_uri: 'x' },
      {},
      201,
      'importUri',
      [actor, { uri: 'x', pointer: '/source_uri', name: 'churn', call: stoppable }, record],
    ],
    [
      'POST',
      '/v1/models/churn/versions/1/validate',
      { reason: 'r' },
      {},
      200,
      'revalidate',
      [actor, { model: 'churn', version: '1', reason: 'r' }, record, stoppable],
    ],
    [
      'POST',
      '/v1/models/churn/versions/1/approve',
      { reason: 'r' },
      {},
      200,
      'approve',
      [actor, { model: 'churn', version: '1', reason: 'r' }, record],
    ],
    [
      'POST',
      '/v1/models/churn/versions/1/archive',
      { reason: 'r' },
      {},
      200,
      'archive',
      [actor, { model: 'churn', version: '1', reason: 'r' }, record],
    ],
    [
      ...[
        'PUT',
        '/v1/models/churn/aliases/production',
        { version: '1.0.0', reason: 'r' },
        { 'If-Match': '"3"' },
        200,
        'promote',
      ],
      [
        actor,
        { model: 'churn', alias: 'production', version: '1.0.0', reason: 'r', allowBreaking: false, ifMatch: '"3"' },
        record,
      ],
    ],
    [
      ...[
        'POST',
        '/v1/models/churn/aliases/production/rollback',
        { reason: 'r' },
        { 'If-Match': '"4"' },
        200,
        'rollback',
      ],
      [actor, { model: 'churn', alias: 'production', reason: 'r', ifMatch: '"4"' }, record],
    ],
    [
      ...['PUT', '/v1/models/churn/policy', { approvals: 1, reason: 'r' }, { 'If-Match': '"3"' }, 200, 'setPolicy'],
      [
        actor,
        {
          model: 'churn',
          policy: expect.objectContaining({ approvals: 1, keepWarm: 0 }) as unknown,
          reason: 'r',
          ifMatch: '"3"',
        },
        record,
      ],
    ],
    [
      ...['POST', '/v1/models/churn/policy/approve', { reason: 'r' }, { 'If-Match': '"3.1"' }, 200, 'approvePolicy'],
      [actor, { model: 'churn', reason: 'r', ifMatch: '"3.1"' }, record],
    ],
    ['POST', '/health/model/reload', { model: 'churn' }, {}, 200, 'reload', ['churn']],
  ] as [string, string, object | undefined, Record<string, string>, number, string, unknown[]][])(
    '%s %s hands on who asks, for what, and how it is recorded',
    async (...[method, route, body, headers, status, library, parameters]) => {
      const json =
        body === undefined
          ? {}
          : { headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(body) };
      expect(await surface.call(method, route, json)).toMatchObject({ status });
      expect(lastAsked(library)).toEqual(parameters);
    },
  );

  it('answer the ETag of what they show', async () => {
    for (const [route, etag] of [
      ['/v1/keys/k-1', '"3"'],
      ['/v1/models/churn/versions/1', '"2"'],
      ['/v1/models/churn/aliases/production', '"4"'],
    ]) {
      expect((await surface.call('GET', route ?? '')).headers.get('etag')).toBe(etag);
    }
  });

  it('refuse an If-Match that is no ETag of theirs', async () => {
    const init = { headers: { 'Content-Type': 'application/json', 'If-Match': 'W/"x"' }, body: '{}' };
    expect(await surface.call('PATCH', '/v1/keys/k-1', init)).toMatchObject({
      status: 412,
      body: { code: 'etag_mismatch' },
    });
    expect(
      await surface.call('PATCH', '/v1/keys/k-1', { ...init, headers: { ...init.headers, 'If-Match': '*' } }),
    ).toMatchObject({ status: 200 });
  });

  it('show and cancel operations of the caller', async () => {
    const { id } = operations.begin({ kind: 'model.register', keyId: 'k', work: untilCancelled });
    expect(await surface.call('GET', `/v1/operations/${id}`)).toMatchObject({
      status: 200,
      body: { status: 'running' },
    });
    expect(await surface.call('DELETE', `/v1/operations/${id}`)).toMatchObject({
      status: 200,
      body: { status: 'running' },
    });
    expect(await surface.call('GET', `/v1/operations/${id}`)).toMatchObject({
      status: 200,
      body: { status: 'cancelled' },
    });
    expect(await surface.call('GET', '/v1/operations/none')).toMatchObject({
      status: 404,
      body: { code: 'operation_not_found' },
    });
  });

  it.each([
    ['/', { name: 'sibyl' }],
    ['/info', { protocols: ['rest'] }],
    ['/v1/whoami', { id: 'k' }],
    ['/health', { live: true }],
    ['/health/live', { live: true }],
    ['/ready', { ready: true }],
    ['/health/ready', { ready: true }],
    ['/health/detailed', { ready: true }],
    ['/health/system', { process: {} }],
    ['/health/gpu', { available: false }],
  ])('GET %s tells of the server', async (route, body) =>
    expect(await surface.call('GET', route)).toMatchObject({ status: 200, body }),
  );

  it('GET /metrics has our metrics and those of the process', async () => {
    const { headers, body } = await surface.call('GET', '/metrics');
    expect(headers.get('content-type')).toContain('text/plain');
    for (const name of ['sibyl_http_requests_total', 'process_cpu_seconds_total', 'nodejs_version_info'])
      expect(body['text']).toContain(name);
  });

  describe('of the documentation', () => {
    it.each([
      ['/docs', 'text/html', 'swagger-ui-bundle.js'],
      ['/docs/errors', 'text/html', 'id="scope_missing"'],
      ['/redoc', 'text/html', '/docs/redoc.js'],
      ['/docs/swagger-ui.css', 'text/css', '.swagger-ui'],
      ['/docs/swagger-start.js', 'text/javascript', '/openapi.json'],
      ['/docs/redoc-start.js', 'text/javascript', '/openapi.json'],
    ])('GET %s works offline and without scripts in the page', async (route, type, text) => {
      const { status, headers, body } = await surface.call('GET', route, { key: null });
      expect([status, headers.get('content-type')]).toEqual([200, expect.stringContaining(type)]);
      expect(body['text']).toContain(text);
      expect(body['text']).not.toMatch(/<script>|https?:\/\/(?!www\.w3\.org)[^"'\s]*\.(js|css)/);
      if (type === 'text/html') expect(headers.get('content-security-policy')).toContain("script-src 'self'");
    });

    it.each(['/docs/nope', '/docs/..%2f..%2fpackage.json', '/docs/__proto__'])(
      'GET %s is 404 without a key',
      async (route) => {
        expect(await surface.call('GET', route, { key: null })).toMatchObject({
          status: 404,
          body: { code: 'route_not_found' },
        });
      },
    );
  });
});
