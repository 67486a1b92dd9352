import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const DRIVERS = {
  kind: 'FeatureView',
  name: 'drivers',
  entity: { name: 'driver_id', type: 'int' },
  streams: [{ name: 'trips', fields: { fare: 'double?', city: 'string?' }, allowed_lateness: '1h' }],
  features: [
    { name: 'fare', op: 'last', input: 'trips.fare', ttl: '30d' },
    { name: 'city', op: 'last', input: 'trips.city' },
    { name: 'mean3', op: 'mean', input: 'trips.fare', window: 3 },
    { name: 'tip', source: 'request', dtype: 'double' },
    { name: 'total', expr: 'fare + tip', dtype: 'double' },
  ],
};
const OTHER = {
  kind: 'FeatureView',
  name: 'other',
  entity: { name: 'driver_id', type: 'int' },
  streams: [{ name: 'ratings', fields: { stars: 'double' } }],
  features: [{ name: 'fare', op: 'last', input: 'ratings.stars' }],
};
const SET = {
  kind: 'FeatureSet',
  name: 'pricing',
  features: ['drivers:fare', { feature: 'drivers:city', name: 'town' }],
  on_missing: 'null',
  on_stale: 'null',
};

const NOW = Math.floor(Date.now() / 1000) * 1000;
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
const EPOCH = '1970-01-01T00:00:00Z';

describe('clients of Feast', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'feast');
    for (const [kind, body] of [
      ['views', DRIVERS],
      ['views', OTHER],
      ['sets', SET],
    ] as const)
      expect(await client.call('PUT', `/v1/features/${kind}/${body.name}`, { body })).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const push = (df: object, more: object = {}): Promise<Reply> =>
    client.post('/push', { push_source_name: 'trips', df, to: 'online', ...more });
  const online = (entities: object, more: object = { features: ['drivers:fare'] }): Promise<Reply> =>
    client.post('/get-online-features', { entities, ...more });

  it('a push that comes again with its Idempotency-Key is answered as the first time, and another one is refused', async () => {
    const of = (fare: number | string): object => ({
      push_source_name: 'trips',
      df: { driver_id: [400], event_timestamp: [ago(4)], fare: [fare], city: ['Oslo'] },
    });
    const send = (key: string, body: object): Promise<Reply> =>
      client.call('POST', '/push', { body, headers: { 'idempotency-key': key } });
    const first = await send('once', of(4));
    expect(first).toMatchObject({ status: 200, text: '' });
    const again = await send('once', of(4));
    expect(again).toMatchObject({ status: 200, text: '' });
    expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect(await client.lastEvent()).toMatchObject({ reason: 'answered from the Idempotency-Key' });
    expect(await send('once', of(5))).toMatchObject({ status: 422, body: { code: 'idempotency_conflict' } });
    const refused = await send('wrong', of('much'));
    expect(refused.status).toBe(422);
    expect(await send('wrong', of('much'))).toMatchObject({ status: 422, body: { code: refused.body.code } });
    expect((await online({ driver_id: [400] })).body.results[1]).toMatchObject({ values: [4] });
  });

  it('200: a push in columns is answered with nothing, and read feature by feature', async () => {
    const df = {
      driver_id: [1, 2],
      event_timestamp: [ago(20), ago(10)],
      created: [ago(5), ago(5)],
      fare: [10.5, null],
      city: ['Oslo', 'Bergen'],
    };
    const pushed = await push(df, { allow_registry_cache: true, transform_on_write: true });
    expect(pushed).toMatchObject({ status: 200, text: '' });
    expect(pushed.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await client.lastEvent()).toMatchObject({
      action: 'feature.push',
      resource: { type: 'feature_stream', id: 'trips' },
      changes: { ACCEPTED: 2 },
    });
    const { body } = await online({ driver_id: [2, 1] }, { features: ['drivers:city', 'drivers:fare'] });
    expect(body).toEqual({
      results: [
        { values: [2, 1], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [EPOCH, EPOCH] },
        { values: ['Bergen', 'Oslo'], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [ago(10), ago(20)] },
        { values: [null, 10.5], statuses: ['NULL_VALUE', 'PRESENT'], event_timestamps: [ago(10), ago(20)] },
      ],
      metadata: { feature_names: ['driver_id', 'city', 'fare'] },
    });
  });

  it('a value older than its ttl is OUTSIDE_MAX_AGE and not served', async () => {
    await push({ driver_id: [60], event_timestamp: [ago(60 * 86_400)], fare: [7], city: ['Oslo'] });
    const { body } = await online({ driver_id: [60] }, { features: ['drivers:fare', 'drivers:city'] });
    expect(body.results.slice(1)).toEqual([
      { values: [null], statuses: ['OUTSIDE_MAX_AGE'], event_timestamps: [ago(60 * 86_400)] },
      { values: ['Oslo'], statuses: ['PRESENT'], event_timestamps: [ago(60 * 86_400)] },
    ]);
  });

  it('an entity that is not known is NOT_FOUND, and a null is not', async () => {
    await push({ driver_id: [70], event_timestamp: [ago(1)], fare: [null], city: [null] });
    const { body } = await online({ driver_id: [70, 999_999_999] });
    expect(body.results[1]).toMatchObject({ values: [null, null], statuses: ['NULL_VALUE', 'NOT_FOUND'] });
  });

  it('an event that comes late does not stand in for a newer one', async () => {
    await push({ driver_id: [80], event_timestamp: [ago(10)], fare: [30], city: ['Oslo'] });
    await push({ driver_id: [80], event_timestamp: [ago(20)], fare: [10], city: ['Oslo'] });
    const { body } = await online({ driver_id: [80] }, { features: ['drivers:fare', 'drivers:mean3'] });
    expect(body.results[1]).toMatchObject({ values: [30], event_timestamps: [ago(10)] });
    await push({ driver_id: [80], event_timestamp: [ago(5)], fare: [20], city: ['Oslo'] });
    const after = await online({ driver_id: [80] }, { features: ['drivers:mean3'] });
    expect(after.body.results[1].values).toEqual([20]);
  });

  it('a service that is kept ready is read by short and by full names', async () => {
    await push({ driver_id: [90], event_timestamp: [ago(3)], fare: [3], city: ['Bodø'] });
    for (const [full, names] of [
      [false, ['driver_id', 'fare', 'town']],
      [true, ['driver_id', 'drivers__fare', 'drivers__town']],
    ] as const) {
      const { status, body } = await online(
        { driver_id: [90] },
        { feature_service: 'pricing', full_feature_names: full },
      );
      expect(status).toBe(200);
      expect(body.metadata.feature_names).toEqual(names);
      expect(body.results.map(({ values }: { values: unknown[] }) => values[0])).toEqual([90, 3, 'Bodø']);
    }
  });

  it('what a request knows itself stands among the entities', async () => {
    await push({ driver_id: [100], event_timestamp: [ago(3)], fare: [3], city: ['Oslo'] });
    const { body } = await online({ driver_id: [100], tip: [2] }, { features: ['drivers:total'] });
    expect(body.metadata.feature_names).toEqual(['driver_id', 'total']);
    expect(body.results[1].values).toEqual([5]);
  });

  it('a time without a zone is UTC', async () => {
    const naive = ago(4).slice(0, 19);
    for (const [driver, time] of [
      [110, naive],
      [111, naive.replace('T', ' ')],
    ]) {
      const pushed = await push({ driver_id: [driver], event_timestamp: [time], fare: [1], city: ['Oslo'] });
      expect(pushed.status).toBe(200);
      expect((await online({ driver_id: [driver] })).body.results[1].event_timestamps).toEqual([ago(4)]);
    }
  });

  it.each([
    ['no such view', { driver_id: [1] }, { features: ['nobody:fare'] }, 404, 'feature_view_not_found'],
    ['no such feature', { driver_id: [1] }, { features: ['drivers:far'] }, 400, 'invalid_parameter'],
    ['no such service', { driver_id: [1] }, { feature_service: 'nobody' }, 404, 'feature_set_not_found'],
    ['neither', { driver_id: [1] }, {}, 400, 'invalid_parameter'],
    ['another key', { driver: [1] }, undefined, 400, 'invalid_parameter'],
    ['columns of two lengths', { driver_id: [1], tip: [1, 2] }, undefined, 400, 'invalid_parameter'],
    ['no rows', { driver_id: [] }, undefined, 400, 'invalid_parameter'],
    ['a key of another type', { driver_id: ['x'] }, undefined, 400, 'invalid_parameter'],
    ['1,001 entities', { driver_id: Array.from({ length: 1001 }, (_, i) => i) }, undefined, 422, 'batch_too_large'],
    ['one name twice', { driver_id: [1] }, { features: ['drivers:fare', 'other:fare'] }, 400, 'invalid_parameter'],
    [
      'numbered versions',
      { driver_id: [1] },
      { features: ['drivers:fare'], include_feature_view_version_metadata: true },
      400,
      'invalid_parameter',
    ],
  ])('a read of %s is refused', async (_, entities, more, status, code) => {
    expect(await online(entities, more)).toMatchObject({ status, body: { code } });
  });

  it('faults of a read say in which column and row they are', async () => {
    const { body } = await online({ driver_id: [1, 'x'], tip: [1, 'much'] }, { features: ['drivers:total'] });
    expect(body.errors).toEqual([
      { pointer: '/entities/driver_id/1', expected: 'a whole number', received: 'text of 1 characters' },
      { pointer: '/entities/tip/1', expected: 'double', received: 'text of 4 characters' },
    ]);
  });

  it.each([
    ['no such source', {}, { push_source_name: 'nobody' }, 404, 'stream_not_found'],
    ['the offline store alone', {}, { to: 'offline' }, 400, 'invalid_parameter'],
    ['values without their view', {}, { transform_on_write: false }, 400, 'invalid_parameter'],
    ['no times', { event_timestamp: undefined }, {}, 400, 'invalid_parameter'],
    ['no keys', { driver_id: undefined }, {}, 400, 'invalid_parameter'],
    ['a text for a number', { fare: ['1', 2] }, {}, 422, 'event_invalid'],
    ['the future', { event_timestamp: [ago(-3600), ago(0)] }, {}, 422, 'event_invalid'],
  ])('a push of %s is refused', async (_, df, more, status, code) => {
    const whole = { driver_id: [200, 201], event_timestamp: [ago(2), ago(2)], fare: [1, 2], city: ['a', 'b'] };
    expect(await push({ ...whole, ...df }, more)).toMatchObject({ status, body: { code } });
  });

  it('rows that can be stored are, and the error says which are not', async () => {
    const df = { driver_id: [300, 301], event_timestamp: [ago(2), ago(2)], fare: ['x', 2], city: ['a', 'b'] };
    const { body } = await push(df);
    expect(body).toMatchObject({ code: 'event_invalid', errors: [{ pointer: '/df/0/values/fare' }] });
    expect((await online({ driver_id: [300, 301] })).body.results[1].statuses).toEqual(['NOT_FOUND', 'PRESENT']);
  });
});
