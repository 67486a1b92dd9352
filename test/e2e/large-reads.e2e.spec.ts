import { RecordedClient } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const MEDIANS = Array.from({ length: 40 }, (_, i) => ({
  name: `m${i}`,
  op: 'median',
  input: 'x',
  window: `${i + 1}h`,
}));
const VIEW = {
  kind: 'FeatureView',
  name: 'heavy',
  entity: { name: 'key', type: 'string' },
  streams: [{ name: 'ticks', identity: 'event_time', fields: { x: 'double' } }],
  features: [{ name: 'last5', op: 'last_n', input: 'x', n: 5 }, ...MEDIANS],
};
const SET = {
  kind: 'FeatureSet',
  name: 'heavy',
  features: MEDIANS.map(({ name }) => `heavy:${name}`),
  on_missing: 'null',
};
const KEYS = Array.from({ length: 100 }, (_, i) => `K${i}`);

/** What one read may cost others. */
describe('a large read', () => {
  let server: TestServer;
  let client: RecordedClient;
  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'features');
    const headers = { 'content-type': 'application/json' };
    for (const [path, body] of [
      ['views/heavy', VIEW],
      ['sets/heavy', SET],
    ] as const)
      expect(await client.call('PUT', `/v1/features/${path}`, { body, headers })).toMatchObject({ status: 200 });
    const begin = Date.now() - 3_600_000;
    for (const key of KEYS) {
      const events = Array.from({ length: 300 }, (_, i) => ({
        entity: key,
        event_time: begin + i * 1000,
        values: { x: Math.sin(i) },
      }));
      const { body } = await client.post('/v1/features/push', { stream: 'ticks', events });
      expect(body.counts).toEqual({ ACCEPTED: 300 });
    }
  }, 120_000);
  afterAll(() => server.stop(), 30_000);

  const entities = Array.from({ length: 1000 }, (_, i) => ({ key: KEYS[i % KEYS.length] }));

  it('lets others be answered while it is computed', async () => {
    // All are in memory.
    await client.post('/v1/features/online', { set: 'heavy', entities: entities.slice(0, 100) });
    let ended = false;
    const given = entities.map((_, i) => ({ m0: i }));
    const large = client.post('/v1/features/online', { set: 'heavy', entities, given }).then((reply) => {
      ended = true;
      return reply;
    });
    let answered = 0;
    while (!ended) {
      expect(
        (await client.post('/v1/features/online', { features: ['heavy:last5'], entities: [{ key: 'K0' }] })).status,
      ).toBe(200);
      answered += 1;
    }
    const { status, body } = await large;
    expect([status, body.results.length, body.results[999].values[0]]).toEqual([200, 1000, 999]);
    expect(body.results[999].values[1]).toBe(body.results[99].values[1]);
    // Held up, the first one might come before it, and the second one after it.
    expect(answered).toBeGreaterThan(3);
  }, 120_000);

  it('answers alike each time that it names an entity', async () => {
    const { status, body } = await client.post('/v1/features/online', {
      set: 'heavy',
      entities: Array.from({ length: 1000 }, () => ({ key: 'K1' })),
    });
    expect([status, body.results.length]).toEqual([200, 1000]);
    expect(new Set(body.results.map((row: object) => JSON.stringify(row))).size).toBe(1);
  }, 60_000);

  it('takes no list from a request that is longer than any feature', async () => {
    const given = { last5: Array.from({ length: 1025 }, () => 1) };
    const { status, body } = await client.post('/v1/features/online', { features: ['heavy:last5'], entities, given });
    expect({ status, code: body.code, errors: body.errors }).toMatchObject({
      status: 400,
      code: 'invalid_parameter',
      errors: [{ pointer: '/given/last5', expected: 'a list of at most 1024 (double)', received: 'an array of 1025' }],
    });
  });

  it('counts what it names more than once as often', async () => {
    const features = Array.from({ length: 300 }, () => 'heavy:m0');
    const { status, body } = await client.post('/v1/features/online', { features, entities });
    expect({ status, code: body.code }).toEqual({ status: 422, code: 'batch_too_large' });
  });

  it('of more values than are read at once is refused, and told how many entities are', async () => {
    const many = {
      ...VIEW,
      name: 'many',
      streams: ['ticks'].map((name) => ({ name, of: 'heavy' })),
      features: Array.from({ length: 10 }, (_, i) => ({ name: `l${i}`, op: 'last_n', input: 'ticks.x', n: 4 })),
    };
    const headers = { 'content-type': 'application/json' };
    const published = await client.call('PUT', '/v1/features/views/many', { body: many, headers });
    expect(published).toMatchObject({ status: 200 });
    const { status, body } = await client.post('/v1/features/online', { features: ['many:l0'], entities });
    expect({ status, code: body.code, detail: body.detail }).toEqual({
      status: 422,
      code: 'batch_too_large',
      detail: 'Of these features at most 200 entities are read at once.',
    });
  });
});
