import { examplePackage, type PackageFiles } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const NAMES = ['price', 'volume', 'rsi', 'macd'];
const VIEW = {
  kind: 'FeatureView',
  name: 'ticks',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'ticks', identity: 'event_id', fields: { x: 'double', n: 'int', up: 'bool' } }],
  features: [
    { name: 'nulled', op: 'last', input: 'x', rules: [{ between: { min: 0, max: 100 }, action: 'null' }] },
    { name: 'clamped', op: 'last', input: 'x', rules: [{ between: { min: 0, max: 100 }, action: 'clamp' }] },
    { name: 'checked', op: 'last', input: 'x', rules: [{ between: { min: 0, max: 100 } }] },
    { name: 'n', op: 'last', input: 'n' },
    { name: 'up', op: 'last', input: 'up' },
    { name: 'mixed', expr: 'n * 1000 + (up ? 1 : 2)' },
    { name: 'amount', source: 'request', dtype: 'double', required: true, rules: [{ between: { min: 0 } }] },
    { name: 'note', source: 'request', dtype: 'string' },
    { name: 'fee', expr: 'amount * 2' },
    { name: 'fees', expr: 'fee * 3' },
  ],
};

/** The example, with other rules for its features, and a set of its own. */
function packageOf(name: string, more: Record<string, object>): PackageFiles {
  const features = NAMES.map((feature) => ({ name: feature, datatype: 'FP32', nullable: false, ...more[feature] }));
  const changes = { name, version: '1', features, feature_set: name, baseline: undefined };
  const files = new Map(examplePackage('momentum-1.3.0', changes));
  files.delete('golden.json');
  return files;
}

describe('values that requests give themselves', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'given');
    expect(await client.call('PUT', '/v1/features/views/ticks', { body: VIEW })).toMatchObject({ status: 200 });
    const event = { entity: 'A', event_time: new Date(Date.now() - 1000).toISOString() };
    const values = { x: 50, n: 3, up: true };
    expect(await client.post('/v1/features/push', { stream: 'ticks', events: [{ ...event, values }] })).toMatchObject({
      status: 200,
    });
    // The first read of a server takes longer on a busy machine than a prediction waits.
    const read = { features: ['ticks:n'], entities: [{ symbol: 'A' }], timeout_ms: 10_000 };
    expect(await client.post('/v1/features/online', read)).toMatchObject({ body: { partial: false } });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  /** A model whose features are those of the view in turn. */
  const model = async (
    name: string,
    features: readonly string[],
    { set = {}, ...more }: Record<string, object> & { set?: object } = {},
    members: object = {},
  ): Promise<void> => {
    const named = features.map((feature, i) => ({ name: NAMES[i], feature: `ticks:${feature}`, ...members }));
    const body = { kind: 'FeatureSet', name, features: named, ...set };
    expect(await client.call('PUT', `/v1/features/sets/${name}`, { body })).toMatchObject({ status: 200 });
    expect(await client.upload(name, packageOf(name, more))).toMatchObject({ status: 201 });
  };
  const predict = (name: string, features: object): Promise<Reply> =>
    client.post(`/models/${name}/predict`, { symbol: 'A', features });
  const recordOf = async ({ body }: Reply): Promise<Record<string, unknown>> =>
    (await client.get(`/v1/predictions/${body.id}`)).body.features[0];
  const refusal = (code: string, pointer: string, more: object = {}): object => ({
    body: { code, errors: [{ pointer: `/features/${pointer}`, ...more }] },
  });

  describe('all of them', () => {
    beforeAll(() => model('full', ['checked', 'n', 'up', 'clamped']), 30_000);
    const rest = { volume: 1, rsi: 1, macd: 1 };

    it('have to keep the rules that hold for one of them', async () => {
      for (const features of [{ price: 500 }, { price: 500, ...rest }])
        expect(await predict('full', features)).toMatchObject({
          status: 422,
          ...refusal('input_not_allowed', 'price'),
        });
      const batch = await client.post('/predict/batch', {
        model: 'full',
        requests: [{ features: { price: 500, ...rest } }, { features: { price: 5, ...rest } }],
      });
      expect(batch.body.predictions).toMatchObject([
        { error: { code: 'input_not_allowed', errors: [{ pointer: '/requests/0/features/price' }] } },
        { prediction: {} },
      ]);
    });

    it('go through them to the model, with the set on record, whoever they are of', async () => {
      const given = { price: 5, volume: 7, rsi: 0, macd: 500 };
      const replies = [
        await predict('full', given),
        await client.post('/models/full/predict', { features: given }),
        await predict('full', { price: 5, volume: 7, rsi: 0, macd: 100 }),
      ];
      const [first] = replies;
      for (const reply of replies)
        expect(reply).toMatchObject({ status: 200, body: { prediction: first?.body.prediction } });
      expect(await recordOf(first as Reply)).toMatchObject({
        set: expect.stringMatching(/^full@sha256:/),
        values: { price: 5, volume: 7, rsi: false, macd: 100 },
        statuses: {},
        streams: [],
      });
    });

    it('may stand beside what others are computed from, which is checked as well', async () => {
      await model('beside', ['checked', 'n', 'up', 'fees']);
      const all = { price: 5, ...rest };
      expect(await predict('beside', { ...all, amount: 3, note: 'x' })).toMatchObject({ status: 200 });
      expect(await predict('beside', { ...all, amount: -3 })).toMatchObject(refusal('input_not_allowed', 'amount'));
      expect(await predict('beside', { ...all, note: 3 })).toMatchObject(refusal('input_type_mismatch', 'note'));
      expect(await predict('beside', { ...all, nothing: 3 })).toMatchObject(refusal('unknown_field', 'nothing'));
    });
  });

  it('a rule that makes null of what is given refuses it where the model takes none', async () => {
    const set = { on_missing: 'default' };
    await model('nulled', ['nulled', 'n', 'mixed', 'clamped'], { set, price: { default: 9 } }, { default: 1 });
    expect(await predict('nulled', { price: 500 })).toMatchObject(refusal('input_not_allowed', 'price'));
    expect(await predict('nulled', { nulled: 500 })).toMatchObject(refusal('input_not_allowed', 'nulled'));
    const all = await predict('nulled', { price: 500, volume: 1, rsi: 1, macd: 1 });
    expect(all).toMatchObject({ status: 422, ...refusal('input_not_allowed', 'price') });
    await model('nullable', ['nulled', 'n', 'mixed', 'clamped'], { set, price: { nullable: true } }, { default: 1 });
    const taken = await predict('nullable', { price: 500 });
    expect(taken).toMatchObject({ status: 200 });
    expect(await recordOf(taken)).toMatchObject({ values: { price: null }, statuses: { price: 'NULL' } });
  });

  it('what the type of the view does not have is refused, and 0 and 1 are its truth', async () => {
    await model('typed', ['checked', 'mixed', 'n', 'up']);
    const one = await predict('typed', { rsi: 7, macd: 0 });
    expect(await recordOf(one)).toMatchObject({
      values: { volume: 7002, rsi: 7, macd: false },
      given: { 'ticks:n': 7, 'ticks:up': false },
    });
    for (const [features, pointer, expected] of [
      [{ rsi: 7.5 }, 'rsi', "int, as 'ticks:n' is"],
      [{ n: 7.5 }, 'n', 'int'],
      [{ macd: 0.25 }, 'macd', "bool, as 'ticks:up' is"],
      [{ price: 1, volume: 1, rsi: 7.5, macd: 1 }, 'rsi', "int, as 'ticks:n' is"],
    ] as const)
      expect(await predict('typed', features)).toMatchObject({
        status: 422,
        ...refusal('input_type_mismatch', pointer, { expected }),
      });
    for (const up of [0, false])
      expect(await recordOf(await predict('typed', { up }))).toMatchObject({ values: { volume: 3002 } });
  });

  it('by the name of the view as by that of the model: checked alike, and replaced by no default', async () => {
    const bounds = { price: { min: 0, max: 10, default: 9 }, set: { on_missing: 'null' } };
    await model('bounded', ['checked', 'n', 'up', 'clamped'], bounds);
    for (const name of ['price', 'checked']) {
      const given = (value: unknown): Promise<Reply> => predict('bounded', { [name]: value, n: 1, up: true, macd: 1 });
      expect(await given(5)).toMatchObject({ status: 200 });
      expect(await given(50)).toMatchObject({ status: 422, ...refusal('input_out_of_range', name) });
      expect(await given(null)).toMatchObject({ status: 422, ...refusal('input_missing', name) });
      expect(await given(1e300)).toMatchObject({ status: 422, body: { errors: [{ pointer: `/features/${name}` }] } });
    }
    expect(await predict('bounded', { price: 5, checked: 5 })).toMatchObject({ status: 200 });
    expect(await predict('bounded', { price: 5, checked: 6 })).toMatchObject({
      status: 400,
      ...refusal('invalid_parameter', 'checked'),
    });
  });

  it('what requests have to give is asked for whatever stands in for what rests on it', async () => {
    await model('paid', ['checked', 'n', 'mixed', 'fees'], { set: { on_missing: 'default' } }, { default: 1 });
    expect(await predict('paid', { amount: 3 })).toMatchObject({ status: 200 });
    expect(await predict('paid', {})).toMatchObject({ status: 422, ...refusal('incomplete_features', 'amount') });
    expect(await predict('paid', { amount: null })).toMatchObject({ ...refusal('incomplete_features', 'amount') });
    expect(await predict('paid', { amount: -4 })).toMatchObject({
      status: 422,
      ...refusal('input_not_allowed', 'amount'),
    });
    // Nothing rests on it where what it is for is given.
    for (const features of [{ fee: 3 }, { macd: 3 }]) {
      const reply = await predict('paid', features);
      expect(reply).toMatchObject({ status: 200 });
      expect(reply.body).not.toHaveProperty('degraded');
    }
  });

  it('null is a value of a feature that takes it', async () => {
    const nullable = Object.fromEntries(NAMES.map((name) => [name, { nullable: true }]));
    await model('nullables', ['checked', 'n', 'up', 'clamped'], nullable);
    for (const features of [{ price: null }, { checked: null }, { price: null, volume: 1, rsi: 1, macd: null }]) {
      const reply = await predict('nullables', features);
      expect(reply).toMatchObject({ status: 200 });
      expect(await recordOf(reply)).toMatchObject({ values: { price: null }, statuses: { price: 'NULL' } });
    }
  });

  it('recorded every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
