import { setTimeout as pause } from 'node:timers/promises';
import { whileFrozen } from '../support/frozen-database';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'bars', identity: 'event_time', fields: { price: 'double' } }],
  features: [{ name: 'price', op: 'last', input: 'price' }],
};
// Once it is known that nobody answers, nobody waits any more.
const UNREAD = expect.stringMatching(/^(deadline|log_unavailable)$/) as string;

describe('features while PostgreSQL stands still', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'deaf');
    expect(await client.call('PUT', '/v1/features/views/market', { body: VIEW })).toMatchObject({ status: 200 });
    const event = { entity: 'KNOWN', event_time: Date.now() - 1000, values: { price: 7 } };
    expect(await client.post('/v1/features/push', { stream: 'bars', events: [event] })).toMatchObject({ status: 200 });
    expect((await online('KNOWN', { timeout_ms: 10_000 })).body).toMatchObject({ partial: false });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const online = (symbol: string, more: object = {}): Promise<Reply> =>
    client.post('/v1/features/online', { features: ['market:price'], entities: [{ symbol }], ...more });

  async function knownUntil(holds: (body: Reply['body']) => boolean): Promise<Reply['body']> {
    for (let tries = 0; tries < 300; tries++) {
      const { body } = await online('KNOWN');
      if (holds(body)) return body;
      await pause(100);
    }
    throw new Error('it never came to hold');
  }

  it('says why an explanation has nothing, and of what is in memory that it may have missed something', async () => {
    expect((await online('KNOWN')).body).not.toHaveProperty('degraded');
    await whileFrozen(server, async () => {
      const entity = { symbol: 'UNKNOWN' };
      const feature = 'market:price';
      const timestamp = new Date(Date.now() - 3_600_000).toISOString();
      for (const moment of [{}, { timestamp, timeout_ms: 300 }]) {
        const told = await client.post('/v1/features/explain', { feature, entity, ...moment });
        expect(told).toMatchObject({
          status: 200,
          body: {
            steps: [{ outputs: [{ value: null, status: 'TIMEOUT' }] }],
            degraded: { reasons: expect.arrayContaining([UNREAD]) },
          },
        });
      }
      const marked = await knownUntil(({ degraded }) => degraded !== undefined);
      expect(marked).toMatchObject({
        results: [{ values: [7], statuses: ['PRESENT'] }],
        ...{ partial: false, degraded: { reasons: ['log_unavailable'] } },
      });
    });
    const again = await knownUntil(({ degraded }) => degraded === undefined);
    expect(again).toMatchObject({ results: [{ values: [7] }] });
  }, 90_000);
});
