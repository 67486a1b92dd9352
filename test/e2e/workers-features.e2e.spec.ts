import { startServer, type TestServer } from '../support/server.mjs';
import { allReady, connectToEach, type WorkerConnection, type WorkerReply } from '../support/worker-connections';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  freshness_slo: '10s',
  streams: [{ name: 'bars', fields: { close: 'double' } }],
  features: [
    { name: 'price', op: 'last', input: 'bars.close', rules: [{ between: { min: 0, max: 100 }, action: 'warn' }] },
  ],
};

describe('features of two workers', () => {
  let server: TestServer;
  let first: WorkerConnection;
  let second: WorkerConnection;

  const push = async (by: WorkerConnection, ...events: object[]): Promise<void> => {
    expect((await by.ask('POST', '/v1/features/push', { body: { stream: 'bars', events } })).status).toBe(200);
  };
  /** So often, until it has the price. */
  const read = async (by: WorkerConnection, symbol: string, price: number, times: number): Promise<void> => {
    const body = { features: ['market:price'], entities: [{ symbol }] };
    for (let i = 0; i < times; i++) {
      const answer = await by.ask('POST', '/v1/features/online', { body });
      expect(answer.status).toBe(200);
      expect(answer.body.results[0].values[0]).toBe(price);
    }
  };

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_WORKERS: '2', SIBYL_MODELS: '' } });
    await allReady(server);
    [first, second] = (await connectToEach(server, 2)) as [WorkerConnection, WorkerConnection];
    const put = await first.ask('PUT', '/v1/features/views/market', { body: VIEW });
    expect(put.status).toBe(200);
    // The other one has heard of it when it can be read there.
    const body = { features: ['market:price'], entities: [{ symbol: 'NONE' }] };
    for (let tries = 0; ; tries++) {
      if ((await second.ask('POST', '/v1/features/online', { body })).status === 200) break;
      if (tries > 200) throw new Error('the other worker never heard of the view');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await push(first, { entity: 'A', event_time: new Date(Date.now() - 60_000).toISOString(), values: { close: 500 } });
    await push(second, { entity: 'B', event_time: new Date(Date.now() - 1_000).toISOString(), values: { close: 50 } });
    await read(first, 'A', 500, 3);
    await read(second, 'B', 50, 5);
  }, 120_000);
  afterAll(async () => {
    for (const connection of [first, second]) connection.close();
    await server.stop();
  }, 30_000);

  it.each([0, 1])('stats are those of both, whichever answers (%i)', async (one) => {
    const { status, body } = await ([first, second][one] as WorkerConnection).ask('GET', '/v1/features/stats');
    expect(status).toBe(200);
    const [{ statuses, ...price }] = body.features;
    expect(body.workers).toBe(2);
    expect(statuses.PRESENT).toBe(8);
    expect(price).toMatchObject({ feature: 'price', min: 50, max: 500, mean: (3 * 500 + 5 * 50) / 8 });
    expect(price.histogram.counts.reduce((sum: number, count: number) => sum + count, 0)).toBe(8);
    expect(price.quantiles[0.5]).toBeCloseTo(50, 0);
    expect(price.quantiles[0.95]).toBeCloseTo(500, -1);
    const [rule, ...others] = body.rules;
    expect(others).toEqual([]);
    expect(rule).toMatchObject({ target: 'price', rule: 'between' });
    expect(rule.samples).toHaveLength(rule.violations);
  });

  it.each([0, 1])('freshness is that of both, whichever answers (%i)', async (one) => {
    const path = '/v1/features/freshness?view=market';
    const { status, body } = await ([first, second][one] as WorkerConnection).ask('GET', path);
    expect(status).toBe(200);
    expect(body.workers).toBe(2);
    const [{ age_seconds: age, violated }] = body.features;
    expect(age.p50).toBeLessThan(50);
    expect(age.max).toBeGreaterThan(59);
    expect(violated).toBe(true);
  });

  it('rules that did not hold are counted together', async () => {
    const before = (await first.ask('GET', '/v1/features/stats?view=market')).body.rules[0].violations;
    await push(second, { entity: 'C', event_time: new Date(Date.now() - 1000).toISOString(), values: { close: 101 } });
    await read(second, 'C', 101, 1);
    const [[one], [other]] = await Promise.all(
      [first, second].map(async (by) => (await by.ask('GET', '/v1/features/stats?view=market')).body.rules),
    );
    expect(one.violations).toBeGreaterThan(before);
    expect(one.samples).toHaveLength(one.violations);
    expect(other).toEqual(one);
    expect(await first.ask('GET', '/v1/features/stats?view=another')).toMatchObject({ status: 404 });
  });

  it('a worker that is gone is left out, and its successor begins anew', async () => {
    process.kill(second.pid, 'SIGKILL');
    const stats = async (): Promise<WorkerReply['body']> =>
      (await first.ask('GET', '/v1/features/stats?view=market')).body;
    for (const workers of [1, 2]) {
      const deadline = Date.now() + 30_000;
      while ((await stats()).workers !== workers)
        if (Date.now() > deadline) throw new Error(`there never were ${workers}`);
      expect((await stats()).features[0].statuses.PRESENT).toBe(3);
    }
  }, 60_000);
});
