import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    { name: 'bars', identity: 'event_time', fields: { close: 'double' } },
    { name: 'news', fields: { mood: 'double' } },
    { name: 'profile', table: true, fields: { limit: 'double' } },
  ],
  features: [
    { name: 'price', op: 'last', input: 'bars.close' },
    { name: 'fee', source: 'request', dtype: 'double', default: 1 },
    { name: 'net', expr: 'price - fee', dtype: 'double' },
    { name: 'mood', op: 'last', input: 'news.mood', ttl: '1m' },
    { name: 'cap', source: 'static', table: 'profile', field: 'limit' },
  ],
};
const SET = {
  kind: 'FeatureSet',
  name: 'inputs',
  features: [
    { feature: 'market:price', default: 0 },
    { feature: 'market:net', default: 0 },
    { feature: 'market:mood', default: 0 },
    { feature: 'market:cap', name: 'limit', default: 5 },
  ],
  on_missing: 'default',
  on_stale: 'degrade',
};
const COLUMNS = ['price', 'net', 'mood', 'limit', 'extra'];
const NOW = Math.floor(Date.now() / 1000) * 1000;
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Body = any;

describe('lineage of a prediction', () => {
  let server: TestServer;
  let client: RecordedClient;
  /** Of the first versions of the view and the set. */
  const versions = { view: '', set: '' };

  const put = async (kind: string, body: Body): Promise<string> => {
    const { status, body: published } = await client.call('PUT', `/v1/features/${kind}/${body.name}`, { body });
    expect(status).toBe(200);
    return published.hash.slice(7, 19);
  };
  const push = async (stream: string, event: object): Promise<void> => {
    const reply = await client.post('/v1/features/push', { stream, events: [{ entity: 'A', ...event }] });
    expect(reply).toMatchObject({ status: 200 });
  };
  const lineage = (query: string, key?: string): Promise<Reply> =>
    client.get(`/v1/features/lineage?${query}`, key === undefined ? {} : { key });
  const predict = async (body: object): Promise<string> => {
    const reply = await client.post('/models/liner/predict', body);
    expect(reply).toMatchObject({ status: 200 });
    return reply.body.id;
  };
  const node = ({ body }: Reply, id: string): Body => body.nodes.find((one: Body) => one.id === id);
  const feature = (reply: Reply, name: string): Body => node(reply, `feature:market@${versions.view}:${name}`).facts;
  const into = ({ body }: Reply, id: string): string[] =>
    body.edges.filter(({ to }: Body) => to === id).map(({ from }: Body) => from);
  const issue = async (scopes: string[]): Promise<string> => {
    const { status, body } = await client.post('/v1/keys', { name: scopes.join(), scopes });
    expect(status).toBe(201);
    return body.key;
  };

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'prediction-lineage');
    versions.view = await put('views', VIEW);
    versions.set = await put('sets', SET);
    const model = modelPackage(linearModel({ weights: [[1, 1, 1, 1, 1]], bias: [0] }), {
      name: 'liner',
      version: '1.0.0',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 5], columns: COLUMNS }],
      features: COLUMNS.map((name) => ({ name, datatype: 'FP32', ...(name === 'extra' ? { default: 2 } : {}) })),
      feature_set: 'inputs',
    });
    expect(await client.upload('liner', model)).toMatchObject({ status: 201 });
    expect(await client.promote('liner', 'production', '1.0.0')).toMatchObject({ status: 200 });
    await push('bars', { event_time: ago(30), values: { close: 100 } });
    await push('news', { event_time: ago(300), values: { mood: 0.5 } });
    // The first read of a server takes longer on a busy machine than a prediction waits.
    const read = { set: 'inputs', entities: [{ symbol: 'A' }], timeout_ms: 10_000 };
    expect(await client.post('/v1/features/online', read)).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  it('200: leads from the events to it, with values, statuses, times and ages', async () => {
    const id = await predict({ symbol: 'A' });
    const { body: record } = await client.get(`/v1/predictions/${id}`);
    const reply = await lineage(`prediction=${id}`);
    expect(reply.status).toBe(200);
    const way = (from: string): string[] => {
      const [next] = reply.body.edges.filter((edge: Body) => edge.from === from);
      return next === undefined ? [from] : [from, ...way(next.to)];
    };
    expect(way('field:news.mood')).toEqual([
      'field:news.mood',
      `operator:market@${versions.view}:mood`,
      `feature:market@${versions.view}:mood`,
      `set:inputs@${versions.set}`,
      'model:liner@1.0.0',
      'alias:liner:production',
      `prediction:${id}`,
    ]);
    const [features] = record.features;
    const streams = new Map<string, Body>(features.streams.map((one: Body) => [one.stream, one]));
    expect(node(reply, 'field:news.mood').facts.events).toEqual([
      {
        entity: 'A',
        event_id: streams.get('news').event_id,
        event_time: ago(300),
        age_seconds: features.ages.news,
        ingested_at: streams.get('news').ingested_at,
      },
    ]);
    expect(node(reply, 'field:bars.close').facts.events).toMatchObject([
      { event_id: streams.get('bars').event_id, event_time: ago(30), age_seconds: features.ages.bars },
    ]);
    expect(node(reply, 'field:profile.limit').facts.events).toEqual([{ entity: 'A' }]);
    expect(feature(reply, 'price')).toEqual({ value: 100, status: 'PRESENT', source: 'computed' });
    expect(feature(reply, 'net')).toEqual({ value: 99, status: 'PRESENT', source: 'computed' });
    expect(feature(reply, 'mood')).toEqual({ value: 0.5, status: 'STALE', source: 'computed' });
    expect(feature(reply, 'cap')).toEqual({ value: null, status: 'NOT_FOUND', source: 'default' });
    expect(node(reply, 'request:extra').facts).toEqual({ source: 'default' });
    expect(node(reply, `set:inputs@${versions.set}`).facts).toEqual({ at: features.at });
    expect(node(reply, 'model:liner@1.0.0').facts).toEqual({ digest: record.model.digest });
    expect(node(reply, `prediction:${id}`).facts).toEqual({ occurred_at: record.recorded.occurred_at });
    expect(reply.body.edges).toContainEqual(
      expect.objectContaining({ from: `feature:market@${versions.view}:cap`, as: 'limit' }),
    );
  });

  it('200: what the request gave comes from nowhere else, and what follows from it does', async () => {
    const id = await predict({ symbol: 'A', features: { price: 7, fee: 3, extra: 9 }, model_version: '1.0.0' });
    const reply = await lineage(`prediction=${id}`);
    expect(feature(reply, 'price')).toEqual({ value: 7, status: 'PRESENT', source: 'request' });
    expect(feature(reply, 'net')).toEqual({ value: 4, status: 'PRESENT', source: 'computed' });
    expect(into(reply, `feature:market@${versions.view}:price`)).toEqual(['request:market:price']);
    expect(into(reply, `feature:market@${versions.view}:fee`)).toEqual(['request:market:fee']);
    expect(node(reply, 'request:extra').facts).toEqual({ value: 9, source: 'request' });
    expect(node(reply, 'field:bars.close')).toBeUndefined();
    // By its version, and by no alias.
    expect(into(reply, `prediction:${id}`)).toEqual(['model:liner@1.0.0']);
  });

  it('200: of a request that gives everything it all comes from the request, through the set', async () => {
    const features = { price: 1, net: 2, mood: 3, limit: 4, extra: 5 };
    const reply = await lineage(`prediction=${await predict({ features })}`);
    expect(reply.body.nodes.map(({ kind }: Body) => kind).sort()).toEqual([
      ...['alias', ...SET.features.map(() => 'feature'), 'model', 'prediction'],
      ...[...COLUMNS.map(() => 'request'), 'set'],
    ]);
    for (const [name, value] of Object.entries({ price: 1, net: 2, mood: 3, cap: 4 })) {
      expect(feature(reply, name)).toEqual({ value, status: 'PRESENT', source: 'request' });
      expect(into(reply, `feature:market@${versions.view}:${name}`)).toEqual([`request:market:${name}`]);
    }
    expect(node(reply, 'request:extra').facts).toEqual({ value: 5, source: 'request' });
  });

  it('200: as of a moment of the past, and what was known of it', async () => {
    const timestamp = new Date(Date.now() - 1).toISOString();
    const reply = await lineage(`prediction=${await predict({ symbol: 'A', timestamp })}`);
    const micros = timestamp.replace('Z', '');
    expect(node(reply, `set:inputs@${versions.set}`).facts).toEqual({
      at: expect.stringContaining(micros),
      known_at: expect.stringContaining(micros),
    });
  });

  it('200: of a batch row by row', async () => {
    const requests = [{ symbol: 'A' }, { symbol: 'A', features: { price: 8 } }, { entity: { coin: 'x' } }];
    expect(await client.post('/predict/batch', { model: 'liner', requests })).toMatchObject({ status: 200 });
    const { prediction_id: id } = await client.lastEvent();
    expect(feature(await lineage(`prediction=${id}`), 'price')).toMatchObject({ value: 100, source: 'computed' });
    expect(feature(await lineage(`prediction=${id}&row=1`), 'price')).toMatchObject({ value: 8, source: 'request' });
    // The third was refused: nothing was read for it.
    expect((await lineage(`prediction=${id}&row=2`)).body.nodes.map(({ kind }: Body) => kind)).not.toContain('set');
    for (const row of ['3', '-1', '1.5', 'x'])
      expect(await lineage(`prediction=${id}&row=${row}`)).toMatchObject({
        status: 400,
        body: { code: 'invalid_parameter' },
      });
    const rows = [
      { price: 1, net: 1, mood: 1, limit: 1, extra: 1 },
      { price: 2, net: 2, mood: 2, limit: 2, extra: 6 },
    ];
    const inferred = await client.post('/v1/infer', { model_id: 'liner', inputs: rows });
    const second = await lineage(`prediction=${inferred.body.id}&row=1`);
    expect(node(second, 'request:extra').facts).toEqual({ value: 6, source: 'request' });
  });

  it('200: as a flowchart with what was true', async () => {
    const { text, headers } = await lineage(`format=mermaid&prediction=${await predict({ symbol: 'A' })}`);
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    expect(text).toContain('0.5 STALE computed');
    expect(text).toMatch(new RegExp(`A: [-0-9a-f]{36} of ${ago(300)}, [\\d.]+ s old`));
    for (const line of text.trimEnd().split('\n').slice(1))
      expect(line).toMatch(/^ {2}n\d+(?:[[({/]+"(?:[^"<>]|<br\/>)*"[\])}/]+| -->(?:\|"[^"<>]*"\|)? n\d+)$/);
  });

  it('200: as a run of OpenLineage after the jobs that it comes from', async () => {
    const id = await predict({ symbol: 'A' });
    const { events } = (await lineage(`format=openlineage&prediction=${id}`)).body;
    expect(events.map(({ job }: Body) => job.name)).toEqual([
      'feature_view.market',
      'feature_set.inputs',
      'model.liner',
    ]);
    const run = events.at(-1);
    expect(run).toMatchObject({ eventType: 'COMPLETE', run: { runId: id }, inputs: [{ name: 'feature_set.inputs' }] });
    expect(run.schemaURL).toMatch(/RunEvent$/);
    expect(run.run.facets.sibyl_prediction).toMatchObject({ version: '1.0.0', alias: 'production' });
    expect(run.run.facets.sibyl_prediction.nodes).toContainEqual(
      expect.objectContaining({ facts: { value: 0.5, status: 'STALE', source: 'computed' } }),
    );
  });

  it('200: names the versions that it was made from, whatever is published later', async () => {
    const id = await predict({ symbol: 'A' });
    const before = (await lineage(`prediction=${id}`)).body;
    await put('views', {
      ...VIEW,
      features: [...VIEW.features, { name: 'mean5', op: 'mean', input: 'bars.close', window: 5 }],
    });
    await put('sets', { ...SET, description: 'of the new view' });
    expect((await lineage(`prediction=${id}`)).body).toEqual(before);
  });

  it('404: of another key only with audit:read; 403 without features:read', async () => {
    const id = await predict({ symbol: 'A' });
    const own = await issue(['predict', 'features:read']);
    const auditor = await issue(['features:read', 'audit:read']);
    const reader = await issue(['predict', 'audit:read']);
    expect(await lineage(`prediction=${id}`, own)).toMatchObject({
      status: 404,
      body: { code: 'prediction_not_found' },
    });
    expect(await lineage(`prediction=${id}`, auditor)).toMatchObject({ status: 200 });
    expect(await lineage(`prediction=${id}`, reader)).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
    const { body } = await client.post('/models/liner/predict', { symbol: 'A' }, { key: own });
    expect(await lineage(`prediction=${body.id}`, own)).toMatchObject({ status: 200 });
  });

  it.each([
    ['prediction=0199b2e4-7c1a-7d3e-8f00-1a2b3c4d5e6f', 404, 'prediction_not_found'],
    ['prediction=none', 404, 'prediction_not_found'],
    ['prediction=', 400, 'invalid_parameter'],
    [`prediction=${'x'.repeat(65)}`, 400, 'invalid_parameter'],
    ['prediction=none&model=liner', 400, 'invalid_parameter'],
    ['prediction=none&impact=bars.close', 400, 'invalid_parameter'],
    ['row=1', 400, 'invalid_parameter'],
    ['row=0&view=market', 400, 'invalid_parameter'],
    ['prediction=none&format=xml', 400, 'invalid_parameter'],
    ['prediction=none&rows=1', 400, 'unknown_field'],
  ])('%s: %d %s', async (query, status, code) => {
    expect(await lineage(query)).toMatchObject({ status, body: { code } });
  });

  it('recorded every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
