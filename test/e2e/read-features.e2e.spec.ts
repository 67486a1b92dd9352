import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string', pattern: '^[A-Z]+$' },
  freshness_slo: '60s',
  streams: [
    {
      name: 'bars',
      identity: 'event_time',
      fields: { close: 'double' },
      allowed_lateness: '10m',
      retention: '30d',
      rules: [{ field: 'close', between: { min: 0 }, action: 'warn' }],
    },
  ],
  features: [
    { name: 'price', op: 'last', input: 'close', ttl: '90s' },
    { name: 'mean3', op: 'mean', input: 'close', window: 3 },
    { name: 'spread', source: 'request', dtype: 'double' },
    { name: 'gap', expr: 'price - mean3 + spread' },
  ],
};
const SET = { kind: 'FeatureSet', name: 'inputs', features: ['market:price', 'market:mean3'], on_missing: 'null' };
/** What every fault says beside where it is. */
const WHAT: object = { expected: expect.any(String), received: expect.any(String) };
const NOW = Date.now();
const bar = (secondsAgo: number, close: number, entity = 'BTC') => ({
  entity,
  event_time: new Date(NOW - secondsAgo * 1000).toISOString(),
  values: { close },
});

describe('reads of features', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'features');
    const json = { 'content-type': 'application/json' };
    await client.call('PUT', '/v1/features/views/market', { body: VIEW, headers: json });
    await client.call('PUT', '/v1/features/sets/inputs', { body: SET, headers: json });
    await client.post('/v1/features/push', { stream: 'bars', events: [bar(40, 10), bar(30, 20), bar(20, 30)] });
    await client.post('/v1/features/push', { stream: 'bars', events: [bar(4000, 10, 'OLD')] });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const online = (body: object): Promise<Reply> => client.post('/v1/features/online', body);

  it('200: a set, with statuses, ages and sources of each value', async () => {
    const reply = await online({ set: 'inputs', entities: [{ symbol: 'BTC' }, { symbol: 'OLD' }, { symbol: 'NONE' }] });
    expect(reply).toMatchObject({ status: 200, body: { names: ['price', 'mean3'], partial: true, corrected: false } });
    expect(reply.body.set).toMatch(/^inputs@[0-9a-f]{12}$/);
    expect(reply.body.results).toMatchObject([
      { entity: { symbol: 'BTC' }, status: 'OK', values: [30, 20], statuses: ['PRESENT', 'PRESENT'] },
      { status: 'PARTIAL', values: [null, null], statuses: ['STALE', 'WARMING_UP'] },
      { status: 'NOT_FOUND', values: [null, null], statuses: ['NOT_FOUND', 'NOT_FOUND'], ages_ms: [null, null] },
    ]);
    const [first] = reply.body.results;
    expect(first.event_times[0]).toBe(new Date(NOW - 20_000).toISOString());
    expect(first.ages_ms[0]).toBe(Date.parse(reply.body.as_of) - (NOW - 20_000));
    expect(await client.lastEvent()).toMatchObject({
      action: 'feature.online',
      resource: { type: 'feature_set', id: 'inputs' },
      changes: { feature_set: expect.stringMatching(/^inputs@sha256:[0-9a-f]{64}$/), entities: 3 },
      inputs_digest: expect.any(String),
    });
    const { text } = await client.get('/metrics');
    expect(text).toMatch(/^sibyl_feature_status_total\{status="WARMING_UP"\} [1-9]/m);
    expect(text).toMatch(/^sibyl_feature_age_seconds_count\{view="market",feature="price"\} [1-9]/m);
  });

  it('200: a list, with what the request gives, for all entities or for each', async () => {
    const features = ['market:price', 'market:gap'];
    const given = await online({ features, entities: [{ symbol: 'BTC' }], given: { spread: 1, price: 100 } });
    expect(given.body.results[0]).toMatchObject({ values: [100, 81], sources: ['request', 'expression'] });
    const each = await online({
      features,
      entities: [{ symbol: 'BTC' }, { symbol: 'BTC' }],
      given: [{ spread: 0 }, { spread: 5 }],
    });
    expect(each.body.results.map(({ values }: { values: number[] }) => values[1])).toEqual([10, 15]);
  });

  it('200: as of a moment of the past it knows what was known then, and corrected history where it is asked for', async () => {
    const timestamp = new Date(NOW - 25_000).toISOString();
    const strict = await online({ set: 'inputs', entities: [{ symbol: 'BTC' }], timestamp });
    expect(strict.body).toMatchObject({ as_of: timestamp, known_at: timestamp, corrected: false });
    // The events were pushed later than that.
    expect(strict.body.results[0].statuses).toEqual(['NOT_FOUND', 'NOT_FOUND']);
    const corrected = await online({ set: 'inputs', entities: [{ symbol: 'BTC' }], timestamp, known_at: 'now' });
    expect(corrected.body).toMatchObject({ as_of: timestamp, corrected: true });
    expect(corrected.body.results[0]).toMatchObject({ values: [20, null], statuses: ['PRESENT', 'WARMING_UP'] });
  });

  it('200: what was pushed is there at once, and a version of before stays as it was', async () => {
    const before = (await client.get('/v1/features/sets/inputs')).body.hash as string;
    await client.post('/v1/features/push', { stream: 'bars', events: bar(1, 7, 'FAST') });
    expect((await online({ set: 'inputs', entities: [{ symbol: 'FAST' }] })).body.results[0].values[0]).toBe(7);
    const body = { ...VIEW, features: [...VIEW.features, { name: 'n', op: 'count', input: 'bars', window: '1h' }] };
    const headers = { 'content-type': 'application/json' };
    await client.call('PUT', '/v1/features/views/market', { body, headers });
    await client.call('PUT', '/v1/features/sets/inputs', { body: { ...SET, features: ['market:n'] }, headers });
    const old = await online({ set: `inputs@${before.slice(7, 19)}`, entities: [{ symbol: 'FAST' }] });
    expect(old.body).toMatchObject({ names: ['price', 'mean3'], results: [{ values: [7, null] }] });
    const now = await online({ set: 'inputs', entities: [{ symbol: 'FAST' }] });
    expect(now.body).toMatchObject({ names: ['n'], results: [{ values: [1] }] });
  });

  it('200: explains a value by the events and the values behind it', async () => {
    const reply = await client.post('/v1/features/explain', {
      feature: 'market:gap',
      entity: { symbol: 'BTC' },
      given: { spread: 1 },
    });
    expect(reply).toMatchObject({ status: 200, body: { feature: 'gap' } });
    const steps = Object.fromEntries(reply.body.steps.map((step: { name: string }) => [step.name, step]));
    expect(Object.keys(steps)).toEqual(['gap', 'price', 'mean3', 'spread']);
    expect(steps.mean3).toMatchObject({ by: 'mean', count: 3, outputs: [{ value: 20 }] });
    expect(steps.mean3.events.map(({ inputs }: { inputs: number[] }) => inputs[0])).toEqual([10, 20, 30]);
    expect(steps.spread.outputs[0]).toMatchObject({ value: 1, given: true });
    expect(await client.lastEvent()).toMatchObject({
      action: 'feature.explain',
      resource: { type: 'feature_view', id: 'market' },
      changes: {
        views: [expect.stringMatching(/^market@sha256:[0-9a-f]{64}$/)],
        ...{ feature: 'market:gap', entities: 1 },
      },
      inputs_digest: expect.stringMatching(/^hmac-sha256:/),
    });
    await client.post('/v1/features/explain', { set: 'inputs', feature: 'price', entity: { symbol: 'BTC' } });
    expect(await client.lastEvent()).toMatchObject({
      action: 'feature.explain',
      resource: { type: 'feature_set', id: 'inputs' },
      changes: { feature_set: expect.stringMatching(/^inputs@sha256:[0-9a-f]{64}$/), feature: 'price' },
    });
  });

  it('200: explains by a set what its policy makes of the value', async () => {
    const features = [
      { feature: 'market:price', name: 'last', default: 7 },
      { feature: 'market:mean3', default: 0 },
    ];
    const set = { kind: 'FeatureSet', name: 'kept', features, on_missing: 'null', on_stale: 'default' };
    expect(await client.call('PUT', '/v1/features/sets/kept', { body: set })).toMatchObject({ status: 200 });
    const explain = (feature: string, symbol: string): Promise<Reply> =>
      client.post('/v1/features/explain', { set: 'kept', feature, entity: { symbol } });
    const read = await online({ set: 'kept', entities: [{ symbol: 'OLD' }, { symbol: 'BTC' }] });
    const policy = { set: expect.stringMatching(/^kept@sha256:/), on_missing: 'null', on_stale: 'default' };
    for (const [row, symbol] of ['OLD', 'BTC'].entries()) {
      for (const [i, name] of ['last', 'mean3'].entries()) {
        const { values, statuses, sources } = read.body.results[row];
        const answer = { name, value: values[i], status: statuses[i], source: sources[i] };
        expect((await explain(name, symbol)).body.served).toMatchObject({ ...policy, ...answer });
      }
    }
    const { body } = await explain('last', 'OLD');
    expect(body).toMatchObject({ served: { value: 7, status: 'DEFAULTED', source: 'default', default: 7 } });
    expect(body.steps[0].outputs[0]).toMatchObject({ value: null, status: 'STALE' });
    const alone = await client.post('/v1/features/explain', { feature: 'market:price', entity: { symbol: 'OLD' } });
    expect(alone.body).not.toHaveProperty('served');
  });

  it('are told by stats and freshness: distributions, ages, and the rules that did not hold', async () => {
    await client.post('/v1/features/push', { stream: 'bars', events: [bar(3, 1), bar(2, 2), bar(1, -5)] });
    await online({ features: ['market:price'], entities: [{ symbol: 'BTC' }, { symbol: 'OLD' }] });
    const stats = await client.get('/v1/features/stats?view=market');
    expect(stats.status).toBe(200);
    const price = stats.body.features.filter(({ feature }: { feature: string }) => feature === 'price').at(-1);
    expect(price).toMatchObject({ view: 'market', statuses: { PRESENT: expect.any(Number) } });
    expect(price.null_rate).toBeGreaterThan(0);
    expect(Object.keys(price.quantiles)).toContain('0.95');
    expect(stats.body.rules).toMatchObject([
      { target: 'bars.close', action: 'warn', samples: [{ magnitude: '-1e0' }] },
    ]);
    const { body } = await client.get('/v1/features/freshness?view=market&minutes=60');
    const ages = body.features.filter(({ feature }: { feature: string }) => feature === 'price').at(-1);
    expect(ages).toMatchObject({ freshness_slo_seconds: 60, violated: true });
    expect(ages.age_seconds.max).toBeGreaterThan(3900);
    for (const path of ['stats', 'freshness'])
      expect(await client.get(`/v1/features/${path}?view=markt`)).toMatchObject({
        status: 404,
        body: { code: 'feature_view_not_found', detail: "There is no feature view 'markt'. Did you mean 'market'?" },
      });
    const near = await online({ features: ['markt:price'], entities: [{ symbol: 'BTC' }] });
    expect(near).toMatchObject({
      status: 404,
      body: {
        ...{ code: 'feature_view_not_found', detail: "There is no feature view 'markt'. Did you mean 'market'?" },
        errors: [{ pointer: '/features/0', hint: "did you mean 'market:price'?" }],
      },
    });
    const { body: metrics } = await client.get('/metrics');
    expect(metrics).toMatch(
      /sibyl_feature_validation_total\{view="market",target="bars\.close",rule="\w+",action="warn"\} [1-9]/,
    );
    expect(metrics).toMatch(/sibyl_feature_push_to_visible_seconds_count [1-9]/);
    expect(metrics).toContain('sibyl_operations_running 0');
    expect(await client.get('/v1/features/stats?minutes=61')).toMatchObject({ status: 400 });
  });

  it.each([
    ['no entities', { set: 'inputs', entities: [] }, 400, 'invalid_parameter', '/entities'],
    ['neither set nor list', { entities: [{ symbol: 'BTC' }] }, 400, 'invalid_parameter', '/set'],
    ['an unknown member', { set: 'inputs', entities: [{ symbol: 'BTC' }], x: 1 }, 400, 'unknown_field', '/x'],
    [
      'a key that is none',
      { set: 'inputs', entities: [{ symbol: 'btc' }] },
      400,
      'invalid_parameter',
      '/entities/0/symbol',
    ],
    [
      'a key of another entity',
      { set: 'inputs', entities: [{ card: '1' }] },
      400,
      'invalid_parameter',
      '/entities/0/symbol',
    ],
    [
      'an unknown feature',
      { features: ['market:prise'], entities: [{ symbol: 'BTC' }] },
      400,
      'invalid_parameter',
      '/features/0',
    ],
    [
      'an unknown view',
      { features: ['x:price'], entities: [{ symbol: 'BTC' }] },
      404,
      'feature_view_not_found',
      '/features/0',
    ],
    [
      'a version of a view that nobody published',
      { features: ['market:price', 'market@0123456789ab:price'], entities: [{ symbol: 'BTC' }] },
      404,
      'feature_view_not_found',
      '/features/1',
    ],
    [
      'what is no view:feature',
      { features: ['price'], entities: [{ symbol: 'BTC' }] },
      400,
      'invalid_parameter',
      '/features/0',
    ],
    [
      'a value of another type',
      { features: ['market:price'], entities: [{ symbol: 'BTC' }], given: { price: 'x' } },
      400,
      'invalid_parameter',
      '/given/price',
    ],
    [
      'a value of another type for one of them',
      { features: ['market:price'], entities: [{ symbol: 'A' }, { symbol: 'B' }], given: [{}, { price: 'x' }] },
      400,
      'invalid_parameter',
      '/given/1/price',
    ],
    [
      'a value of another type in `features`',
      { set: 'inputs', entities: [{ symbol: 'BTC' }], features: { 'market:n': 'x' } },
      400,
      'invalid_parameter',
      '/features/market:n',
    ],
    [
      'one feature by two names',
      { features: ['market:price'], entities: [{ symbol: 'BTC' }], given: { price: 1, 'market:price': 1 } },
      400,
      'invalid_parameter',
      '/given/market:price',
    ],
    ['an entity that is no object', { set: 'inputs', entities: ['BTC'] }, 400, 'invalid_parameter', '/entities/0'],
    [
      'seconds for milliseconds',
      { set: 'inputs', entities: [{ symbol: 'BTC' }], timestamp: 1_700_000_000 },
      400,
      'invalid_parameter',
      '/timestamp',
    ],
    [
      'the future',
      { set: 'inputs', entities: [{ symbol: 'BTC' }], timestamp: '2190-01-01T00:00:00Z' },
      422,
      'timestamp_in_future',
      '/timestamp',
    ],
  ])('%s is refused', async (_what, body, status, code, pointer) => {
    expect(await online(body)).toMatchObject({
      status,
      body: {
        code,
        errors: expect.arrayContaining([expect.objectContaining({ pointer, received: expect.any(String) })]),
      },
    });
  });

  it.each([
    ['a key that is none', { feature: 'market:price', entity: { symbol: 'btc' } }, '/entity/symbol'],
    ['no entity', { feature: 'market:price' }, '/entity'],
    ['an unknown feature', { feature: 'market:prise', entity: { symbol: 'BTC' } }, '/feature'],
    ['an unknown member', { set: 'inputs', feature: 'prise', entity: { symbol: 'BTC' } }, '/feature'],
    [
      'a value of another type',
      { feature: 'market:gap', entity: { symbol: 'BTC' }, given: { spread: 'x' } },
      '/given/spread',
    ],
  ])('%s is no explanation', async (_what, body, pointer) => {
    expect(await client.post('/v1/features/explain', body)).toMatchObject({
      status: 400,
      body: { code: 'invalid_parameter', errors: [{ pointer, ...WHAT }] },
    });
  });

  it('one feature by two names: the fault says both', async () => {
    const given = { 'market:price': 1, price: 2 };
    const reply = await online({ features: ['market:price'], entities: [{ symbol: 'BTC' }], given });
    // The list calls it as a record of a prediction does.
    expect(reply.body.errors).toMatchObject([
      { pointer: '/given/price', expected: 'nothing, as /given/market:price gives the same feature', received: '2' },
    ]);
  });

  it('an unknown set, too many entities and a time before the log are refused', async () => {
    const entities = [{ symbol: 'BTC' }];
    expect(await online({ set: 'input', entities })).toMatchObject({
      status: 404,
      body: { code: 'feature_set_not_found' },
    });
    const many = Array.from({ length: 1001 }, () => ({ symbol: 'BTC' }));
    expect(await online({ set: 'inputs', entities: many })).toMatchObject({
      status: 422,
      body: { code: 'batch_too_large', errors: [{ pointer: '/entities', expected: 'at most 1000', received: '1001' }] },
    });
    const features = Array.from({ length: 1025 }, () => 'market:price');
    expect(await online({ features, entities })).toMatchObject({
      status: 422,
      body: { code: 'batch_too_large', errors: [{ pointer: '/features', received: '1025' }] },
    });
    const ancient = await online({ set: 'inputs', entities, timestamp: '2001-01-01T00:00:00Z' });
    expect(ancient).toMatchObject({ status: 422, body: { code: 'timestamp_before_retention' } });
  });
});
