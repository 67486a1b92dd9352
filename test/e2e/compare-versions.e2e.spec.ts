import path from 'node:path';
import { classifierModel, linearModel } from '@sibyl/onnx/testing';
import { json, modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const EXAMPLES = path.join(__dirname, '../../examples/models');
const WEIGHTS = [
  [1, 0],
  [0, 1],
];

describe('comparing versions before one is promoted', () => {
  let server: TestServer;
  let client: RecordedClient;

  /** A classifier of two columns, with golden samples; whatever is given replaces members of its manifest. */
  async function register(
    version: string,
    bias: [number, number],
    changes: Record<string, unknown> = {},
  ): Promise<void> {
    const manifest = {
      ...{ name: 'credit', version, task: 'classification', classes: ['no', 'yes'] },
      inputs: [{ name: 'features', shape: [-1, 2], columns: ['income', 'debt'] }],
      features: [
        { name: 'income', min: 0, max: 1000 },
        { name: 'debt', default: 0 },
      ],
      decision: { label_output: 'label', probability_output: 'probabilities' },
      metrics: { accuracy: 0.7 + Number(version) / 100 },
      ...changes,
    };
    const samples = [
      [2, 1],
      [1, 2],
      [3, 3.5],
    ].map(([a, b]) => ({ inputs: { features: [[a, b]] }, outputs: {} }));
    const golden = { 'golden.json': json({ source: 'a test', samples }) };
    const files = modelPackage(classifierModel({ weights: WEIGHTS, bias }), manifest, golden);
    const reply = await client.upload('credit', files);
    if (reply.status !== 201) throw new Error(`registering answered ${reply.status}: ${JSON.stringify(reply.body)}`);
  }

  beforeAll(async () => {
    const models = ['momentum-1.2.3', 'momentum-1.3.0'].map((name) => path.join(EXAMPLES, name));
    server = await startServer({ env: { SIBYL_MODELS: models.join(',') } });
    client = new RecordedClient(server, 'compare');
    await register('1', [0, 0]);
    await register('2', [0, 1]);
    await register('3', [0, 0], {
      classes: ['yes', 'no'],
      features: [{ name: 'income', min: 0, max: 900 }, { name: 'debt' }],
    });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const diff = (version: string, against: string, model = 'credit'): Promise<Reply> =>
    client.get(`/v1/models/${model}/versions/${version}/diff?against=${against}`);
  const promote = (version: string, headers: Record<string, string>, more: object = {}): Promise<Reply> =>
    client.call('PUT', '/v1/models/credit/aliases/production', {
      headers,
      body: { version, reason: 'a test', ...more },
    });

  const BREAKING = [
    { pointer: '/features/income/max', expected: '1000', received: '900' },
    { pointer: '/features/debt/default', expected: 'a value to stand in for it', received: 'none' },
    { pointer: '/classes', expected: 'no, yes', received: 'yes, no' },
  ];

  it('shows what a version changes: contract, metrics, size, cost and the answers to golden samples', async () => {
    const { status, body } = await diff('2', '1');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ...{ name: 'credit', version: '2', against: '1', breaking: [], digest: { same: false } },
      signature: { inputs: { added: [], removed: [], changed: [] } },
      metrics: { accuracy: { from: 0.71, to: 0.72, difference: expect.closeTo(0.01) } },
      size: { model_bytes: { from: expect.any(Number), difference: 0 } },
      latency: {
        median_run_ms: { from: expect.any(Number), to: expect.any(Number) },
        batches: expect.arrayContaining([
          { rows: 8, median_ms: { from: expect.any(Number), to: expect.any(Number), difference: expect.any(Number) } },
        ]),
      },
      // The bias turns the first and third sample of both packages, and moves the probabilities of all.
      golden: { method: 'replay', compared: 6, skipped: 0, differing: 6 },
    });
    const label = body.golden.outputs.find(({ name }: { name: string }) => name === 'label');
    expect(label).toMatchObject({ values: 6, differing: expect.any(Number) });
    expect(body.golden.examples.length).toBeGreaterThan(0);
    expect((await diff('2', '2')).body).toMatchObject({ digest: { same: true }, golden: { differing: 0 } });
  });

  it('shows what of it would break callers', async () => {
    const { body } = await diff('3', '1');
    expect(body.breaking).toEqual(BREAKING);
    expect(body.features.changed.map(({ name }: { name: string }) => name)).toEqual(['income', 'debt']);
    expect(body.answers).toEqual({ classes: { from: ['no', 'yes'], to: ['yes', 'no'] } });
    expect((await diff('1.3.0', 'production', 'momentum')).body).toMatchObject({
      against: '1.2.3',
      breaking: [],
      golden: { compared: expect.any(Number) },
    });
  });

  it.each([
    ['no version to compare with', '/v1/models/credit/versions/2/diff', 400, 'invalid_parameter'],
    ['a version that is not there', '/v1/models/credit/versions/2/diff?against=9', 404, 'version_not_found'],
    ['nor here', '/v1/models/credit/versions/9/diff?against=1', 404, 'version_not_found'],
    ['a model that is not there', '/v1/models/nobody/versions/2/diff?against=1', 404, 'model_not_found'],
    ['an unknown parameter', '/v1/models/credit/versions/2/diff?against=1&with=2', 400, 'unknown_field'],
  ])('is refused for %s', async (_what, route, status, code) => {
    expect(await client.get(route)).toMatchObject({ status, body: { code } });
  });

  it('a promotion that would break callers is refused, unless its mover allows it; both are recorded', async () => {
    const first = await promote('1', { 'if-none-match': '*' });
    const ifMatch = { 'if-match': first.headers.get('etag') ?? '' };
    expect(await promote('3', ifMatch)).toMatchObject({
      status: 409,
      body: { code: 'breaking_change', errors: BREAKING },
    });
    expect(await promote('3', ifMatch, { allow_breaking: 'yes' })).toMatchObject({ status: 400 });
    const allowed = await promote('3', ifMatch, { allow_breaking: true });
    expect(allowed).toMatchObject({ status: 200, body: { version: '3', breaking: BREAKING } });
    expect((await client.get('/v1/models/credit/history')).body.items[0]).toMatchObject({
      version: '3',
      breaking: BREAKING,
    });
    const [event] = await client.events('action=model.promote&model=credit&version=3&outcome=succeeded');
    expect(event).toMatchObject({
      changes: { allow_breaking: true, breaking: BREAKING.map(({ pointer }) => pointer) },
    });
    // Back to what callers were used to is never hindered, though for callers of the new version it breaks as much.
    const back = { headers: { 'if-match': allowed.headers.get('etag') ?? '' } };
    const reply = await client.post(
      '/v1/models/credit/aliases/production/rollback',
      { reason: 'they complained' },
      back,
    );
    expect(reply).toMatchObject({ status: 200, body: { version: '1' } });
  });

  it('what serves golden samples that only one of them can take is said', async () => {
    const model = linearModel({ weights: [[1]], bias: [0] });
    await client.upload('bare', modelPackage(model, { name: 'bare', version: '1' }));
    await client.upload(
      'bare',
      modelPackage(linearModel({ weights: [[1, 1]], bias: [0] }), { name: 'bare', version: '2' }),
    );
    expect((await diff('2', '1', 'bare')).body).toMatchObject({
      breaking: [{ pointer: '/inputs/features/shape', expected: '[-1,1]', received: '[-1,2]' }],
      golden: { compared: 0, reason: expect.stringContaining('no golden sample') },
    });
  });

  it('each of all these requests has exactly one event with the status of its answer', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
