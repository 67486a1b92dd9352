import fs from 'node:fs';
import path from 'node:path';
import { encodeModel, node, value } from '@sibyl/onnx/testing';
import { examplePackage, modelPackage } from '../support/model-packages';
import { whileFrozen } from '../support/frozen-database';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const EXAMPLE =
  fs.readFileSync(path.join(REPOSITORY, 'examples/features/trading.yaml'), 'utf8').split('\n---\n')[0] ?? '';
/** On a busy machine the spec takes longer than a price is worth there. */
const VIEW = EXAMPLE.replaceAll('ttl: 90s', 'ttl: 9m')
  // Of what a policy does without.
  .replace('candles_1m.volume, op: last, ttl: 9m, required: true', 'candles_1m.volume, op: last, ttl: 9m');
const MEMBERS = [
  'btc_technical:price',
  'btc_technical:volume',
  'btc_technical:rsi',
  { name: 'macd', feature: 'btc_technical:macd.line' },
];
const MINUTE = 60_000;
const BARS = 120;
/** The newest candle is of this minute, so that its price is not stale. */
const NEWEST = Math.floor(Date.now() / MINUTE) * MINUTE;

const close = (bar: number): number => 45_000 + 300 * Math.sin(bar / 7) + bar;

function candles(entity: string, from = 0, to = BARS, newest = NEWEST): object[] {
  return Array.from({ length: to - from }, (_, i) => {
    const bar = from + i;
    const price = close(bar);
    const values = { open: price - 1, high: price + 5, low: price - 5, close: price, volume: 1_000_000 + bar };
    return { entity, event_time: new Date(newest - (BARS - 1 - bar) * MINUTE).toISOString(), values };
  });
}

const set = (name: string, more: object = {}): object => ({ kind: 'FeatureSet', name, features: MEMBERS, ...more });

describe('predictions filled by the feature service', () => {
  let server: TestServer;
  let client: RecordedClient;

  const put = (route: string, body: unknown, type = 'application/json'): Promise<Reply> =>
    client.call('PUT', route, { body, headers: { 'content-type': type } });
  const push = (events: object[]): Promise<Reply> => client.post('/v1/features/push', { stream: 'candles_1m', events });
  const readOf = (symbol: string): Promise<Reply> =>
    client.post('/v1/features/online', { set: 'momentum_inputs', entities: [{ symbol }], timeout_ms: 10_000 });
  const register = async (model: string, featureSet: string | undefined): Promise<void> => {
    const files = examplePackage('momentum-1.3.0', { name: model, version: '1.0.0', feature_set: featureSet });
    expect(await client.upload(model, files)).toMatchObject({ status: 201 });
  };

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_DEFAULT_MODEL: 'momentum' } });
    client = new RecordedClient(server, 'fill');
    expect(await put('/v1/features/views/btc_technical', VIEW, 'application/yaml')).toMatchObject({ status: 200 });
    await register('momentum', 'momentum_inputs');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  it('409: a version is not promoted while its set is not there, or does not fit it', async () => {
    const missing = await client.promote('momentum', 'production', '1.0.0');
    expect(missing).toMatchObject({
      status: 409,
      body: { code: 'version_not_servable', errors: [{ received: 'momentum_inputs' }] },
    });
    const other = set('momentum_inputs', { features: [...MEMBERS, 'btc_technical:z20'] });
    expect(await put('/v1/features/sets/momentum_inputs', other)).toMatchObject({ status: 200 });
    expect(await client.promote('momentum', 'production', '1.0.0')).toMatchObject({
      status: 409,
      body: { code: 'version_not_servable', errors: [{ received: 'z20' }] },
    });
    expect(await client.post('/v1/models/load', { model_id: 'momentum', version: '1.0.0' })).toMatchObject({
      status: 409,
    });
    expect(await put('/v1/features/sets/momentum_inputs', set('momentum_inputs'))).toMatchObject({ status: 200 });
    expect(await client.promote('momentum', 'production', '1.0.0')).toMatchObject({ status: 200 });
    expect((await client.get('/models/momentum/info')).body).toMatchObject({ feature_set: 'momentum_inputs' });
  });

  it('409: its set and the view of it are kept', async () => {
    for (const route of ['sets/momentum_inputs', 'views/btc_technical']) {
      const refused = await client.call('DELETE', `/v1/features/${route}`);
      expect(refused).toMatchObject({ status: 409, body: { code: 'in_use' } });
    }
  });

  it('200: candles are pushed, and a symbol is all that a request says', async () => {
    expect(await push(candles('BTC/USDT'))).toMatchObject({ status: 200 });
    // The first read of a server takes longer on a busy machine than a prediction waits.
    expect(await readOf('BTC/USDT')).toMatchObject({ status: 200, body: { partial: false } });
    const answered = await client.post('/predict', { symbol: 'BTC/USDT' });
    expect(answered).toMatchObject({ status: 200, body: { prediction: { signal: expect.any(String) } } });
    expect(answered.body).not.toHaveProperty('degraded');
    const event = await client.lastEvent();
    expect(event['changes']).toEqual({ feature_set: expect.stringMatching(/^momentum_inputs@sha256:[0-9a-f]{64}$/) });
    const { body } = await client.get(`/v1/predictions/${answered.body.id}`);
    expect(body.features).toMatchObject([
      {
        set: expect.stringMatching(/^momentum_inputs@sha256:/),
        values: { price: close(BARS - 1), volume: 1_000_000 + BARS - 1 },
        statuses: {},
        ages: { candles_1m: expect.any(Number) },
        streams: [{ stream: 'candles_1m', entity: 'BTC/USDT', event_time: new Date(NEWEST).toISOString() }],
      },
    ]);
    // Given by hand, the same values come to the same.
    const { price, volume, rsi, macd } = body.features[0].values;
    const given = await client.post('/predict', { features: { price, volume, rsi, macd } });
    expect(given.body.prediction).toEqual(answered.body.prediction);
  });

  it('200: what the request gives wins, is checked, and others are computed from it', async () => {
    const one = await client.post('/predict', { symbol: 'BTC/USDT', features: { rsi: 12 } });
    expect(one.status).toBe(200);
    const { body } = await client.get(`/v1/predictions/${one.body.id}`);
    expect(body.features).toMatchObject([{ values: { rsi: 12 }, given: { 'btc_technical:rsi': 12 } }]);
    // As the record has it, a read takes it.
    const { given } = body.features[0];
    const read = { set: 'momentum_inputs', entities: [{ symbol: 'BTC/USDT' }], given };
    expect((await client.post('/v1/features/online', read)).body.results).toMatchObject([
      {
        values: [expect.any(Number), expect.any(Number), 12, expect.any(Number)],
        sources: ['stream', 'stream', 'request', 'stream'],
      },
    ]);
    expect(await client.post('/predict', { symbol: 'BTC/USDT', features: { rsi: 'high' } })).toMatchObject({
      status: 422,
      body: { code: 'input_type_mismatch' },
    });
    expect(await client.post('/predict', { symbol: 'BTC/USDT', features: { rsy: 1 } })).toMatchObject({
      body: { code: 'unknown_field' },
    });
  });

  it('422: the rules of a feature hold for what a request gives in its stead', async () => {
    const rules = [{ between: { min: 1, max: 46_000 } }];
    const view = {
      kind: 'FeatureView',
      name: 'guarded',
      entity: { name: 'symbol', type: 'string' },
      streams: [{ name: 'candles_1m', of: 'btc_technical' }],
      features: [{ name: 'price', op: 'last', input: 'candles_1m.close', rules }],
    };
    expect(await put('/v1/features/views/guarded', view)).toMatchObject({ status: 200 });
    const features = ['guarded:price', ...MEMBERS.slice(1)];
    expect(await put('/v1/features/sets/guarded', set('guarded', { features }))).toMatchObject({ status: 200 });
    await register('guarded', 'guarded');
    const given = (price: number): Promise<Reply> =>
      client.post('/models/guarded/predict', { symbol: 'BTC/USDT', features: { price } });
    expect(await given(45_999)).toMatchObject({ status: 200 });
    expect(await given(46_001)).toMatchObject({
      status: 422,
      body: { code: 'input_not_allowed', errors: [{ pointer: '/features/price', expected: 'what its rules allow' }] },
    });
  });

  it('422: null where the model takes none is said to be that, whatever else is missing', async () => {
    for (const body of [
      { symbol: 'BTC/USDT', features: { rsi: null } },
      { symbol: 'NO/PE', features: { rsi: null } },
    ])
      expect(await client.post('/predict', body)).toMatchObject({
        status: 422,
        body: { code: 'input_missing', errors: [{ pointer: '/features/rsi', received: 'null' }] },
      });
  });

  it('a row of a batch whose features fit no model leaves the others their own answers', async () => {
    const view = {
      ...{ kind: 'FeatureView', name: 'whole', entity: { name: 'id', type: 'int' } },
      streams: [{ name: 'wholes', identity: 'event_id', fields: { n: 'int' } }],
      features: [
        { name: 'n', op: 'last', input: 'n', rules: [{ between: { min: 0, max: 100 }, action: 'null' }] },
        { name: 'count', op: 'count', input: 'wholes', window: '1d' },
      ],
    };
    expect(await put('/v1/features/views/whole', view)).toMatchObject({ status: 200 });
    const members = [
      { name: 'a', feature: 'whole:n', default: 1 },
      { name: 'b', feature: 'whole:count', default: 0 },
    ];
    const whole = set('whole', { features: members, on_missing: 'default' });
    expect(await put('/v1/features/sets/whole', whole)).toMatchObject({ status: 200 });
    const [inputs, outputs] = [[value('x', 'INT64', ['N', 2])], [value('y', 'INT64', ['N', 2])]];
    const file = encodeModel({ nodes: [node('Identity', ['x'], ['y'])], initializers: [], inputs, outputs });
    const manifest = {
      ...{ name: 'whole', version: '1.0.0', feature_set: 'whole' },
      inputs: [{ name: 'x', datatype: 'INT64', shape: [-1, 2], columns: ['a', 'b'] }],
      features: ['a', 'b'].map((name) => ({ name, datatype: 'INT64', nullable: false })),
    };
    expect(await client.upload('whole', modelPackage(file, manifest))).toMatchObject({ status: 201 });
    // By the rule null takes the place of 500, and the model takes none: whatever becomes of that row.
    const given = [11, 99, 500, 44, 55];
    const requests = given.map((a, id) => ({ model: 'whole', entity: { id }, features: { a } }));
    const { status, body } = await client.post('/predict/batch', { requests });
    expect(status).toBe(200);
    const answered = (i: number): unknown => body.predictions[i].prediction?.outputs.y;
    expect([0, 1, 3, 4].map(answered)).toEqual([
      [11, 0],
      [99, 0],
      [44, 0],
      [55, 0],
    ]);
  });

  it('names what the request itself would have to give, and first what it gives that nobody knows', async () => {
    const view = {
      ...{ kind: 'FeatureView', name: 'paid', entity: { name: 'symbol', type: 'string' } },
      streams: [{ name: 'candles_1m', of: 'btc_technical' }],
      features: [
        { name: 'amount', source: 'request', dtype: 'double' },
        { name: 'fee', source: 'request', dtype: 'double', default: 1 },
        { name: 'cost', expr: 'amount * 2 + fee' },
        { name: 'costs', expr: 'cost * 3' },
      ],
    };
    expect(await put('/v1/features/views/paid', view)).toMatchObject({ status: 200 });
    const features = [...MEMBERS.slice(0, 3), { name: 'macd', feature: 'paid:costs' }];
    expect(await put('/v1/features/sets/paid', set('paid', { features }))).toMatchObject({ status: 200 });
    await register('paid', 'paid');
    const given = (more: object): Promise<Reply> =>
      client.post('/models/paid/predict', { symbol: 'BTC/USDT', features: more });
    expect(await given({ amount: 5 })).toMatchObject({ status: 200 });
    expect(await given({ amout: 5 })).toMatchObject({
      status: 400,
      body: { code: 'unknown_field', errors: [{ pointer: '/features/amout', hint: 'nearest known field: amount' }] },
    });
    const { status, body } = await given({});
    expect({ status, ...body }).toMatchObject({ status: 422, code: 'incomplete_features' });
    expect(body.errors).toEqual([
      { pointer: '/features/macd', expected: 'a value', received: 'NOT_FOUND' },
      { pointer: '/features/amount', expected: 'a value', received: 'nothing' },
    ]);
  });

  it('400: a request that names two symbols, or a key that nobody has', async () => {
    const both = { symbol: 'BTC/USDT', entity: { symbol: 'ETH/USDT' } };
    const text = { symbol: 'BTC/USDT', entity: 'ETH/USDT' };
    const more = { entity: { symbol: 'BTC/USDT', symbl: 'x' } };
    for (const [wrong, code, pointer] of [
      [both, 'invalid_parameter', '/entity/symbol'],
      [text, 'invalid_parameter', '/entity'],
      [more, 'unknown_field', '/entity/symbl'],
    ] as const) {
      for (const route of ['/predict', '/models/momentum/predict'])
        expect(await client.post(route, wrong)).toMatchObject({ status: 400, body: { code, errors: [{ pointer }] } });
      const batch = await client.post('/predict/batch', { requests: [{ symbol: 'BTC/USDT' }, wrong] });
      expect(batch.body.predictions).toMatchObject([
        { prediction: {} },
        { error: { code, errors: [{ pointer: `/requests/1${pointer}` }] } },
      ]);
    }
    const same = { symbol: 'BTC/USDT', entity: { symbol: 'BTC/USDT' } };
    expect(await client.post('/predict', same)).toMatchObject({ status: 200 });
    expect(await client.post('/predict', { symbol: 'BTC/USDT', entity: 'BTC/USDT' })).toMatchObject({ status: 200 });
  });

  it('422: a symbol that nobody knows, with the status of each feature; one that cannot be', async () => {
    await readOf('NO/PE');
    expect(await client.post('/predict', { symbol: 'NO/PE' })).toMatchObject({
      status: 422,
      body: {
        code: 'incomplete_features',
        errors: MEMBERS.map(() => ({ expected: 'a value', received: 'NOT_FOUND' })),
      },
    });
    expect(await client.post('/predict', { symbol: 'no such' })).toMatchObject({
      body: { code: 'invalid_parameter', errors: [{ pointer: '/symbol' }] },
    });
    expect(await client.post('/predict', { entity: { coin: 'x' } })).toMatchObject({
      body: { code: 'unknown_field', errors: [{ pointer: '/entity/coin' }] },
    });
    expect(await client.post('/predict', { entity: { symbol: 'BTC/USDT' } })).toMatchObject({ status: 200 });
    expect(await client.post('/predict', {})).toMatchObject({ status: 422, body: { code: 'incomplete_features' } });
  });

  it('200: as of a moment of the past, from what was known then', async () => {
    const then = new Date(Date.now() - 1).toISOString();
    const now = await client.post('/predict', { symbol: 'BTC/USDT' });
    const past = await client.post('/predict', { symbol: 'BTC/USDT', timestamp: then });
    expect(past).toMatchObject({ status: 200, body: { prediction: now.body.prediction } });
    // Before they were pushed nobody knew of the candles.
    const before = new Date(Date.now() - 3_600_000).toISOString();
    expect(await client.post('/predict', { symbol: 'BTC/USDT', timestamp: before })).toMatchObject({
      status: 422,
      body: { code: 'incomplete_features' },
    });
    for (const [timestamp, code] of [
      [new Date(Date.now() + 60_000).toISOString(), 'timestamp_in_future'],
      ['1990-01-01T00:00:00Z', 'timestamp_before_retention'],
    ])
      expect(await client.post('/predict', { symbol: 'BTC/USDT', timestamp })).toMatchObject({
        status: 422,
        body: { code, errors: [{ pointer: '/timestamp' }] },
      });
  });

  it('200: a batch of several symbols, each by itself', async () => {
    await push(candles('ETH/USDT'));
    const { price, volume, rsi, macd } = { price: 1, volume: 2, rsi: 50, macd: 0 };
    const reply = await client.post('/predict/batch', {
      requests: [
        { symbol: 'BTC/USDT' },
        { symbol: 'ETH/USDT', features: { rsi: 70 } },
        { symbol: 'NO/PE' },
        { features: { price, volume, rsi, macd } },
      ],
    });
    expect(reply).toMatchObject({
      status: 200,
      body: {
        predictions: [
          { symbol: 'BTC/USDT', prediction: {} },
          { symbol: 'ETH/USDT', prediction: {} },
          {
            symbol: 'NO/PE',
            error: { code: 'incomplete_features', errors: [{ pointer: '/requests/2/features/price' }, {}, {}, {}] },
          },
          { prediction: {} },
        ],
      },
    });
  });

  describe('by the policy of the set', () => {
    const OLD = NEWEST - 10 * MINUTE;

    beforeAll(async () => {
      await push(candles('OLD/USDT', 0, BARS, OLD));
      await readOf('OLD/USDT');
      const defaults = MEMBERS.map((one) => ({ ...(typeof one === 'string' ? { feature: one } : one), default: 7 }));
      const sets = {
        degrading: { on_stale: 'degrade' },
        defaulting: { features: defaults, on_missing: 'default', on_stale: 'default' },
        // A price is required, whatever a set says.
        lacking: { on_missing: 'null', on_stale: 'null' },
        sparse: { features: MEMBERS.slice(1), on_missing: 'null', on_stale: 'null', min_completeness: 0.9 },
      };
      for (const [name, more] of Object.entries(sets)) {
        expect(await put(`/v1/features/sets/${name}`, set(name, more))).toMatchObject({ status: 200 });
        await register(name, name);
      }
    }, 60_000);

    it('422: stale is an error, and says how old', async () => {
      const { body } = await client.post('/predict', { symbol: 'OLD/USDT' });
      expect(body).toMatchObject({ code: 'incomplete_features' });
      expect(body.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
        '/features/price',
        '/features/volume',
      ]);
      expect(body.errors[0].received).toMatch(/^STALE, \d+(\.\d+)? s old$/);
    });

    it('200: or is served and said so', async () => {
      expect(await client.post('/models/degrading/predict', { symbol: 'OLD/USDT' })).toMatchObject({
        status: 200,
        body: { degraded: { reasons: ['features_stale'], features: ['price', 'volume'] } },
      });
    });

    it('200: or a default stands in, also for a symbol that nobody knows', async () => {
      expect(await client.post('/models/defaulting/predict', { symbol: 'OLD/USDT' })).toMatchObject({
        body: { degraded: { reasons: ['features_defaulted'], features: ['price', 'volume'] } },
      });
      expect(await client.post('/models/defaulting/predict', { symbol: 'NO/PE' })).toMatchObject({
        body: { degraded: { reasons: ['features_defaulted'], features: ['price', 'volume', 'rsi', 'macd'] } },
      });
    });

    it('422: fewer have a value than the set asks for', async () => {
      expect(await client.post('/models/sparse/predict', { symbol: 'OLD/USDT' })).toMatchObject({
        status: 422,
        body: {
          code: 'incomplete_features',
          detail: 'Of 3 features 2 have a value; the set asks for 3.',
          errors: [{ pointer: '/features/volume', received: expect.stringMatching(/^STALE, /) }],
        },
      });
    });

    it('as of a time that is not kept: what is left out is missing, and never what is known now', async () => {
      const { price, volume, rsi } = { price: 45_000, volume: 1_000_000, rsi: 65.5 };
      const then = { symbol: 'BTC/USDT', timestamp: '1990-01-01T00:00:00Z' };
      const served = await client.post('/models/lacking/predict', { ...then, features: { price, volume, rsi } });
      expect(served).toMatchObject({
        status: 200,
        body: { degraded: { reasons: ['features_defaulted'], features: ['macd'] } },
      });
      expect((await client.get(`/v1/predictions/${served.body.id}`)).body.features).toMatchObject([
        { statuses: { macd: 'NOT_FOUND' } },
      ]);
      expect(await client.post('/models/defaulting/predict', then)).toMatchObject({
        body: { degraded: { reasons: ['features_defaulted'], features: ['price', 'volume', 'rsi', 'macd'] } },
      });
      for (const body of [{ ...then, features: { volume, rsi } }, then])
        expect(await client.post('/models/lacking/predict', body)).toMatchObject({
          status: 422,
          body: { code: 'timestamp_before_retention', errors: [{ pointer: '/timestamp' }] },
        });
      expect(await client.post('/predict', { ...then, features: { price, volume, rsi } })).toMatchObject({
        status: 422,
        body: { code: 'timestamp_before_retention' },
      });
    });

    it('422: a required feature has none', async () => {
      expect(await client.post('/models/lacking/predict', { symbol: 'OLD/USDT' })).toMatchObject({
        status: 422,
        body: { code: 'incomplete_features', detail: 'Features without a value: price (STALE).' },
      });
    });
  });

  it('serves from memory while PostgreSQL stands still, and refuses at once what is not there', async () => {
    await whileFrozen(server, async () => {
      expect(await client.post('/predict', { symbol: 'BTC/USDT' })).toMatchObject({ status: 200 });
      expect(await client.post('/predict', { symbol: 'UN/READ' })).toMatchObject({
        status: 504,
        body: { code: 'deadline_exceeded', detail: expect.stringContaining('price, volume, rsi, macd') },
      });
      expect(await client.post('/models/defaulting/predict', { symbol: 'UN/READ2' })).toMatchObject({
        status: 200,
        body: { degraded: { reasons: ['features_defaulted'] } },
      });
      // A read by the set of that model shows what the model got.
      const read = { set: 'defaulting', entities: [{ symbol: 'UN/READ3' }] };
      expect(await client.post('/v1/features/online', read)).toMatchObject({
        status: 200,
        body: {
          results: [{ statuses: MEMBERS.map(() => 'DEFAULTED') }],
          degraded: { reasons: ['deadline'] },
        },
      });
    });
  }, 60_000);

  it('waits for the log longer where many are not in memory, as far as the deadline of the request goes', async () => {
    const requests = Array.from({ length: 100 }, (_, i) => ({ model: 'momentum', symbol: `COLD${i}/USDT` }));
    const codesOf = ({ body }: Reply): unknown[] => [
      ...new Set((body.predictions as { error?: { code: string } }[]).map(({ error }) => error?.code)),
    ];
    let batch: Promise<Reply> | undefined;
    await whileFrozen(server, async () => {
      batch = client.post('/predict/batch', { requests }, { headers: { 'x-request-timeout-ms': '30000' } });
      // Longer than a prediction of one entity waits.
      const one = client.post('/predict', { symbol: 'COLD/USDT' });
      expect(await one).toMatchObject({ status: 504, body: { code: 'deadline_exceeded' } });
    });
    expect(codesOf((await batch) as Reply)).toEqual(['incomplete_features']);
  }, 90_000);

  it('counts what it read, how old it was, and what it cost', async () => {
    const { text } = await client.get('/metrics');
    for (const line of [
      /sibyl_feature_cache_requests_total\{tier="state",result="hit"\} [1-9]/,
      /sibyl_feature_cache_requests_total\{tier="state",result="miss"\} [1-9]/,
      /sibyl_feature_status_total\{status="STALE"\} [1-9]/,
      /sibyl_feature_age_seconds_count\{view="btc_technical",feature="price"\} [1-9]/,
      /sibyl_prediction_features_duration_seconds_count\{model="momentum",version="1.0.0"\} [1-9]/,
      /sibyl_feature_state_entities [1-9]/,
    ])
      expect(text).toMatch(line);
  });

  it('recorded every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
