import { examplePackage } from '../support/model-packages';
import { whileFrozen } from '../support/frozen-database';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'bars', identity: 'event_time', fields: { price: 'double', volume: 'double', rsi: 'double' } }],
  features: [
    { name: 'price', op: 'last', input: 'price' },
    { name: 'volume', op: 'last', input: 'volume' },
    { name: 'rsi', op: 'last', input: 'rsi' },
    { name: 'needed', op: 'last', input: 'rsi', required: true },
    { name: 'typical', op: 'last', input: 'volume', default: 5000 },
  ],
};
const ALL = ['market:price', 'market:volume', 'market:rsi'];
/** Of the manifest of momentum-1.3.0, but that each feature may be null. */
const NULLABLE = ['price', 'volume', 'rsi', 'macd'].map((name) => ({ name, datatype: 'FP32', nullable: true }));

const setOf = (name: string, more: object = {}): object => ({ kind: 'FeatureSet', name, features: ALL, ...more });

describe('a version and its feature set', () => {
  let server: TestServer;
  let client: RecordedClient;

  const put = (what: string, body: unknown): Promise<Reply> => client.call('PUT', `/v1/features/${what}`, { body });
  const publish = async (name: string, more?: object): Promise<string> => {
    const { status, body } = await put(`sets/${name}`, setOf(name, more));
    expect({ status, name }).toEqual({ status: 200, name });
    return `${name}@${body.hash}`;
  };
  const register = (model: string, set: string, changes: object = {}): Promise<Reply> =>
    client.upload(
      model,
      examplePackage('momentum-1.3.0', { name: model, version: '1.0.0', feature_set: set, ...changes }),
    );
  const predictOnce = (model: string, body: object = { symbol: 'A' }): Promise<Reply> =>
    client.post(`/models/${model}/predict`, body);
  /** A first read may take longer on a busy machine than a prediction waits; it goes on for those who come next. */
  const predict = async (model: string, body?: object): Promise<Reply> => {
    for (let tries = 1; ; tries++) {
      const reply = await predictOnce(model, body);
      if (reply.status !== 504 || tries === 50) return reply;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const versionOf = async (model: string, version = '1.0.0'): Promise<unknown> =>
    (await client.get(`/v1/models/${model}/versions/${version}`)).body;
  const setOfPrediction = async ({ body }: Reply): Promise<string> =>
    (await client.get(`/v1/predictions/${body.id}`)).body.features[0].set;
  const validate = (model: string, version = '1.0.0'): Promise<Reply> =>
    client.post(`/v1/models/${model}/versions/${version}/validate`, { reason: 'takes the set as it is now' });

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_DEFAULT_MODEL: 'none' } });
    client = new RecordedClient(server, 'pins');
    expect(await put('views/market', VIEW)).toMatchObject({ status: 200 });
    const values = { price: 100, volume: 2000, rsi: 50 };
    const event = { entity: 'A', event_time: Date.now(), values };
    expect(await client.post('/v1/features/push', { stream: 'bars', events: [event] })).toMatchObject({ status: 200 });
    // The first read of a server may take longer than a prediction waits.
    await client.post('/v1/features/online', { features: ALL, entities: [{ symbol: 'A' }], timeout_ms: 10_000 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  describe('that is published again', () => {
    let first: string;

    beforeAll(async () => {
      first = await publish('served');
      expect(await register('served', 'served')).toMatchObject({ status: 201 });
      expect(await client.promote('served', 'production', '1.0.0')).toMatchObject({ status: 200 });
    }, 60_000);

    it('keeps the one that it was validated with, and says so', async () => {
      expect(await versionOf('served')).toMatchObject({ feature_set: 'served', feature_set_version: first });
      expect((await client.get('/models/served/info')).body).toMatchObject({ feature_set_version: first });
      const before = await predict('served');
      expect(before).toMatchObject({ status: 200 });
      // One that the model cannot take, and one that would give it other values.
      await publish('served', { features: [...ALL, 'market:needed'] });
      expect(await predict('served')).toMatchObject({ status: 200, body: { prediction: before.body.prediction } });
      await publish('served', {
        features: ['market:price', { name: 'volume', feature: 'market:typical' }, 'market:rsi'],
      });
      const after = await predict('served');
      expect(after).toMatchObject({ status: 200, body: { prediction: before.body.prediction } });
      expect(await setOfPrediction(after)).toBe(first);
      expect(await client.promote('served', 'staging', '1.0.0')).toMatchObject({ status: 200 });
      expect(await versionOf('served')).toMatchObject({ feature_set_version: first });
    });

    it('takes the set as it is now when it is validated again, but none that it cannot be served by', async () => {
      await publish('served', { features: [...ALL, 'market:needed'] });
      const unfit = await validate('served');
      expect(unfit).toMatchObject({ status: 200, body: { feature_set_version: first } });
      expect(unfit.body.report.notes).toContainEqual(expect.stringMatching(/^The feature set 'served' cannot serve/));
      const second = await publish('served', { on_stale: 'degrade' });
      expect(await validate('served')).toMatchObject({ status: 200, body: { feature_set_version: second } });
      expect((await client.lastEvent())['changes']).toMatchObject({ feature_set: { from: first, to: second } });
      expect(await setOfPrediction(await predict('served'))).toBe(second);
    });

    it('keeps the one that was approved with it, where an alias points at it and approvals are asked for', async () => {
      const approved = await publish('guarded');
      expect(await register('guarded', 'guarded')).toMatchObject({ status: 201 });
      expect(await client.promote('guarded', 'production', '1.0.0')).toMatchObject({ status: 200 });
      const policy = await client.call('PUT', '/v1/models/guarded/policy', {
        body: { approvals: 1, reason: 'two pairs of eyes' },
        headers: { 'if-none-match': '*' },
      });
      expect(policy.status).toBeLessThan(300);
      await publish('guarded', { on_stale: 'degrade' });
      expect(await validate('guarded')).toMatchObject({ status: 200, body: { feature_set_version: approved } });
    });

    it('is pinned by the manifest where that gives the hash', async () => {
      const pinned = await publish('exact');
      await publish('exact', { on_stale: 'degrade' });
      const [name, hash = ''] = pinned.split('@sha256:');
      expect(await register('exact', `${name}@${hash.slice(0, 16)}`)).toMatchObject({ status: 201 });
      expect(await versionOf('exact')).toMatchObject({ feature_set_version: pinned });
      expect(await validate('exact')).toMatchObject({ body: { feature_set_version: pinned } });
      expect(await setOfPrediction(await predict('exact'))).toBe(pinned);
    });

    it('a rollback leads back to the set of the version before', async () => {
      const one = await publish('back');
      await register('back', 'back');
      expect(await client.promote('back', 'production', '1.0.0')).toMatchObject({ status: 200 });
      const two = await publish('back', { on_stale: 'degrade' });
      expect(await register('back', 'back', { version: '2.0.0' })).toMatchObject({ status: 201 });
      expect(await client.promote('back', 'production', '2.0.0')).toMatchObject({ status: 200 });
      expect(await setOfPrediction(await predict('back', { symbol: 'A', model_version: 'production' }))).toBe(two);
      expect(await client.call('DELETE', '/v1/features/sets/back')).toMatchObject({ status: 409 });
      const alias = '/v1/models/back/aliases/production';
      const headers = { 'if-match': (await client.get(alias)).headers.get('etag') ?? '' };
      const back = await client.post(`${alias}/rollback`, { reason: 'back' }, { headers });
      expect(back).toMatchObject({ status: 200 });
      expect(await setOfPrediction(await predict('back', { symbol: 'A', model_version: 'production' }))).toBe(one);
    });
  });

  it('409: a set is not deleted while a version that is neither rejected nor archived names it', async () => {
    await publish('needed_by_one');
    expect(await register('chosen', 'needed_by_one')).toMatchObject({ status: 201 });
    // Neither an alias nor the newest.
    await publish('other');
    expect(await register('chosen', 'other', { version: '2.0.0' })).toMatchObject({ status: 201 });
    const refused = await client.call('DELETE', '/v1/features/sets/needed_by_one');
    expect(refused).toMatchObject({
      status: 409,
      body: { code: 'in_use', detail: "The set 'needed_by_one' is needed by version 1.0.0 of model 'chosen'." },
    });
    const archive = await client.post('/v1/models/chosen/versions/1.0.0/archive', { reason: 'no more' });
    expect(archive.status).toBe(200);
    expect(await client.call('DELETE', '/v1/features/sets/needed_by_one')).toMatchObject({ status: 200 });
  });

  it('a set that is not there is said at the upload, by a prediction and at the promotion; the first that fits is kept', async () => {
    const upload = await register('early', 'comes_later', { features: NULLABLE });
    expect(upload.status).toBe(201);
    expect(upload.body.report.notes).toContainEqual(expect.stringContaining("'comes_later' cannot serve the version"));
    const refused = { code: 'incomplete_features', errors: [{ pointer: '/feature_set', received: 'comes_later' }] };
    expect(await predict('early')).toMatchObject({ status: 422, body: refused });
    const batch = await client.post('/predict/batch', { requests: [{ symbol: 'A', model: 'early' }] });
    expect(batch.body.predictions).toMatchObject([{ error: refused }]);
    expect(await client.promote('early', 'production', '1.0.0')).toMatchObject({
      status: 409,
      body: { code: 'version_not_servable', errors: refused.errors },
    });
    // Whoever gives all needs no set.
    const features = { price: 1, volume: 2, rsi: 3, macd: 4 };
    expect(await predict('early', { features })).toMatchObject({ status: 200 });
    const first = await publish('comes_later');
    const deadline = Date.now() + 20_000;
    let answer = await predict('early');
    while (answer.status !== 200 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      answer = await predict('early');
    }
    expect(answer).toMatchObject({ status: 200 });
    await publish('comes_later', { on_stale: 'degrade' });
    expect(await setOfPrediction(await predict('early'))).toBe(first);
    expect(await versionOf('early')).toMatchObject({ feature_set_version: first });
    const { body } = await client.get('/v1/audit/events?action=model.pin&model=early');
    expect(body.items).toMatchObject([
      {
        ...{ outcome: 'succeeded', actor: { type: 'system', id: 'feature-sets' } },
        resource: { type: 'model_version', id: 'early/1.0.0' },
        model: { name: 'early', version: '1.0.0', digest: upload.body.digest },
        changes: { feature_set: { from: null, to: first } },
      },
    ]);
  }, 60_000);

  describe('409: is not promoted', () => {
    const strict = NULLABLE.map((one) => ({ ...one, nullable: one.name === 'macd' }));

    it.each<[string, object, object, object]>([
      ['a_gap', { features: ALL.slice(1) }, { features: strict }, { pointer: '/features' }],
      [
        'a_null',
        { on_missing: 'null' },
        { features: strict },
        { pointer: '/features/0', expected: "'price' to be nullable or to have a default, as on_missing is null" },
      ],
    ])('with %s', async (name, set, manifest, fault) => {
      await publish(name, set);
      const upload = await register(name, name, manifest);
      expect(upload.body.report.notes).toContainEqual(expect.stringContaining(`'${name}' cannot serve the version`));
      const promoted = await client.promote(name, 'production', '1.0.0');
      expect(promoted).toMatchObject({ status: 409, body: { code: 'version_not_servable' } });
      expect(promoted.body.errors).toContainEqual(expect.objectContaining(fault));
      await publish(name);
      expect(await validate(name)).toMatchObject({ status: 200 });
      expect(await client.promote(name, 'production', '1.0.0')).toMatchObject({ status: 200 });
    });
  });

  describe('never predicts from nothing', () => {
    beforeAll(async () => {
      await publish('whole', { on_missing: 'null', on_stale: 'null', min_completeness: 1 });
      await publish('needing', { features: [...ALL, { name: 'macd', feature: 'market:needed' }], on_missing: 'null' });
      await publish('empty', { on_missing: 'null', on_stale: 'null' });
      await publish('standing_in', {
        features: ALL.map((feature) => ({ feature, default: 7 })),
        on_missing: 'default',
      });
      for (const name of ['whole', 'needing', 'empty', 'standing_in'])
        expect(await register(name, name, { features: NULLABLE })).toMatchObject({ status: 201 });
    }, 90_000);

    it.each([
      ['an entity that nobody knows', { symbol: 'B' }],
      ['no entity', {}],
      ['no entity, with some features', { features: { price: 1 } }],
    ])('422: %s, by the policy of the set', async (_, body) => {
      expect(await predict('whole', body)).toMatchObject({ status: 422, body: { code: 'incomplete_features' } });
      expect(await predict('needing', body)).toMatchObject({
        status: 422,
        body: { code: 'incomplete_features', errors: [{ pointer: '/features/macd', received: 'NOT_FOUND' }] },
      });
      expect(await predict('standing_in', body)).toMatchObject({
        status: 200,
        body: { degraded: { reasons: ['features_defaulted'] } },
      });
      const { body: batch } = await client.post('/predict/batch', { requests: [{ ...body, model: 'whole' }] });
      expect(batch.predictions).toMatchObject([{ error: { code: 'incomplete_features' } }]);
    });

    it('200: a request without an entity that gives all; a required feature that is there', async () => {
      const features = { price: 1, volume: 2, rsi: 3, macd: 4 };
      expect(await predict('whole', { features })).toMatchObject({ status: 200 });
      expect(await predict('needing')).toMatchObject({ status: 200 });
    });

    it('503 or 504 while the log cannot be read; defaults stand in and are named', async () => {
      await whileFrozen(server, async () => {
        for (const model of ['empty', 'whole', 'needing']) {
          const { status, body } = await predictOnce(model, { symbol: `UN_${model}` });
          expect([
            [504, 'deadline_exceeded'],
            [503, 'database_unavailable'],
          ]).toContainEqual([status, body.code]);
        }
        expect(await predict('standing_in', { symbol: 'UN_READ' })).toMatchObject({
          status: 200,
          body: { degraded: { reasons: ['features_defaulted'], features: ['price', 'volume', 'rsi'] } },
        });
        expect(await predict('empty')).toMatchObject({ status: 200 });
      });
      while ((await client.get('/v1/audit/events')).status !== 200)
        await new Promise((resolve) => setTimeout(resolve, 100));
    }, 60_000);
  });

  it('recorded every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
