import { startServer, type TestServer } from '../support/server.mjs';

const KEYS = Array.from({ length: 100 }, (_, i) => `K${i}`);
const VIEW = {
  kind: 'FeatureView',
  name: 'left',
  entity: { name: 'key', type: 'string' },
  streams: [{ name: 'ticks', identity: 'event_time', fields: { x: 'double' } }],
  features: [
    { name: 'last5', op: 'last_n', input: 'x', n: 5 },
    { name: 'sum', op: 'sum', input: 'x', window: '1d' },
  ],
};
const READS = 1500;

/**
 * Objects that are dead but named by dead ones of the old generation live until a major collection, and make each minor one take
 * several times as long: a kind of leak that no answer shows.
 */
describe('what reads of features leave in memory', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    expect(await server.call('PUT', '/v1/features/views/left', { body: VIEW })).toMatchObject({ status: 200 });
    const now = Date.now();
    const events = KEYS.flatMap((entity) =>
      Array.from({ length: 5 }, (_, i) => ({ entity, event_time: now - (5 - i) * 60_000, values: { x: i } })),
    );
    const { body } = await server.call('POST', '/v1/features/push', { body: { stream: 'ticks', events } });
    expect(body).toMatchObject({ counts: { ACCEPTED: 500 } });
  }, 60_000);
  afterAll(() => server.stop(), 30_000);

  async function oldBytes(): Promise<number> {
    const { body } = await server.call('GET', '/metrics');
    return Number(/^nodejs_heap_space_size_used_bytes\{space="old"\} (\d+)/m.exec(String(body))?.[1]);
  }

  it.each([
    ['/v1/features/online', { features: ['left:last5', 'left:sum'], entities: KEYS.map((key) => ({ key })) }],
    ['/get-online-features', { features: ['left:last5', 'left:sum'], entities: { key: KEYS } }],
  ])(
    '%s: nothing but what is kept of entities',
    async (path, body) => {
      const read = async (times: number): Promise<void> => {
        for (let i = 0; i < times; i++) expect((await server.call('POST', path, { body })).status).toBe(200);
      };
      await read(500);
      const before = await oldBytes();
      await read(READS);
      expect(((await oldBytes()) - before) / READS).toBeLessThan(8 * 1024);
    },
    120_000,
  );
});
