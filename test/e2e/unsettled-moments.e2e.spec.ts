import { setTimeout as pause } from 'node:timers/promises';
import { createTestDatabase, startOwnPostgres, type TestDatabase } from '@sibyl/database/testing';
import { Client } from 'pg';
import { examplePackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'bars', identity: 'event_time', fields: { price: 'double', volume: 'double', rsi: 'double' } }],
  features: ['price', 'volume', 'rsi'].map((name) => ({ name, op: 'last', input: name })),
};
const ALL = ['market:price', 'market:volume', 'market:rsi'];
const HOLD = 4712;

describe('a moment at which events had arrived that are being committed still', () => {
  let stopPostgres: () => Promise<void>;
  let test: TestDatabase;
  let server: TestServer;
  let client: RecordedClient;
  /** Holds commits of pushes as long as it has the lock: their events are stamped and stored by then. */
  let holder: Client;

  const push = (price: number, agoMs: number): Promise<Reply> => {
    const event = { entity: 'A', event_time: Date.now() - agoMs, values: { price, volume: 2000, rsi: 50 } };
    return client.post('/v1/features/push', { stream: 'bars', events: [event] });
  };
  const online = (timestamp: string, timeout_ms = 10_000): Promise<Reply> =>
    client.post('/v1/features/online', { features: ALL, entities: [{ symbol: 'A' }], timestamp, timeout_ms });
  const train = async (timestamp: string): Promise<Reply> => {
    const rows = [{ symbol: 'A', timestamp }];
    const begun = await client.post('/v1/features/historical', { features: ALL, rows });
    return client.ended(`/v1/operations/${begun.body.id}`);
  };

  beforeAll(async () => {
    stopPostgres = await startOwnPostgres();
    test = await createTestDatabase();
    const env = { SIBYL_MODELS: '', SIBYL_DEFAULT_MODEL: 'momentum', DATABASE_URL: test.url };
    server = await startServer({ env });
    client = new RecordedClient(server, 'unsettled');
    const put = (what: string, body: unknown): Promise<Reply> => client.call('PUT', `/v1/features/${what}`, { body });
    expect(await put('views/market', VIEW)).toMatchObject({ status: 200 });
    const set = { kind: 'FeatureSet', name: 'inputs', features: ALL };
    expect(await put('sets/inputs', set)).toMatchObject({ status: 200 });
    const manifest = { name: 'momentum', version: '1.0.0', feature_set: 'inputs' };
    expect(await client.upload('momentum', examplePackage('momentum-1.3.0', manifest))).toMatchObject({ status: 201 });
    expect(await client.promote('momentum', 'production', '1.0.0')).toMatchObject({ status: 200 });
    expect(await push(1, 3_600_000)).toMatchObject({ status: 200 });
    holder = new Client({ connectionString: test.url });
    await holder.connect();
    await holder.query(`CREATE FUNCTION features.held() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock_shared(${HOLD}); RETURN NULL; END $$`);
    await holder.query(
      'CREATE TRIGGER held AFTER INSERT ON features.intake FOR EACH ROW EXECUTE FUNCTION features.held()',
    );
  }, 120_000);
  afterAll(async () => {
    await holder.end();
    await server.stop();
    await test.drop();
    await stopPostgres();
  }, 30_000);

  /** Runs while the push of a price is under way, which was stamped before the moment that is handed over. */
  async function whileHeld(price: number, work: (at: string) => Promise<void>): Promise<void> {
    await holder.query('SELECT pg_advisory_lock($1)', [HOLD]);
    const pushed = push(price, 1000);
    try {
      const blocked = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${HOLD} AND NOT granted`;
      for (let tries = 0; (await holder.query(blocked)).rowCount === 0; tries++) {
        if (tries > 500) throw new Error('the push was not held');
        await pause(10);
      }
      await pause(5);
      await work(new Date().toISOString());
    } finally {
      await holder.query('SELECT pg_advisory_unlock_all()');
      expect(await pushed).toMatchObject({ status: 200 });
    }
  }
  /** The same of an event that is stored as a push stores it, for longer than a push may take. */
  async function whileStoring(price: number, work: (at: string) => Promise<void>): Promise<void> {
    await holder.query('BEGIN');
    try {
      const { rows } = await holder.query<{ id: number; class: number; at: string }>(
        'SELECT id, retention_class AS class, features.now_us() AS at FROM features.stream',
      );
      const [{ id, class: cut, at } = { id: 0, class: 0, at: '' }] = rows;
      const time = Number(at) - 1_000_000;
      await holder.query(`INSERT INTO features.event (retention_class, stream, entity, event_time, ingested_at, event_id,
        log_only, provisional, vals) VALUES (${cut}, ${id}, 'A', ${time}, ${at}, gen_random_uuid(), false, false, '[${price},1,1]')`);
      await pause(5);
      await work(new Date().toISOString());
    } finally {
      await holder.query('ROLLBACK');
    }
  }
  const release = (): Promise<unknown> => holder.query('SELECT pg_advisory_unlock_all()');

  it('is waited for: the answer is the one of later', async () => {
    await whileHeld(2, async (at) => {
      const read = online(at);
      const prediction = client.post('/predict', { symbol: 'A', timestamp: at });
      const training = train(at);
      await pause(200);
      await release();
      const answer = await read;
      expect(answer).toMatchObject({ status: 200, body: { results: [{ values: [2, 2000, 50] }] } });
      expect(answer.body).not.toHaveProperty('degraded');
      expect((await online(at)).body.results).toEqual(answer.body.results);
      const predicted = await prediction;
      expect(predicted).toMatchObject({ status: 200 });
      expect(predicted.body.degraded?.reasons ?? []).not.toContain('features_unsettled');
      const made = (await training).body.result;
      expect(made).not.toHaveProperty('degraded');
      const file = await client.get(made.href);
      expect(JSON.parse(file.text)).toMatchObject({ 'market:price': 2 });
    });
  }, 30_000);

  it('is named where the wait ends before', async () => {
    await whileStoring(3, async (at) => {
      const unsettled = { status: 200, body: { degraded: { reasons: ['unsettled'] } } };
      expect(await online(at, 400)).toMatchObject({ ...unsettled, body: { results: [{ values: [2, 2000, 50] }] } });
      expect(await online(at, 400)).toMatchObject(unsettled);
      const entity = { symbol: 'A' };
      const why = { feature: 'market:price', entity, timestamp: at, timeout_ms: 400 };
      expect(await client.post('/v1/features/explain', why)).toMatchObject(unsettled);
      // However many moments one call asks about.
      const requests = [0, 1, 2, 3].map((ms) => {
        return { symbol: 'A', timestamp: new Date(Date.parse(at) - ms).toISOString() };
      });
      const reasons = expect.arrayContaining(['features_unsettled']) as unknown;
      const batch = await client.post('/predict/batch', { requests });
      expect(batch.body.predictions).toMatchObject(requests.map(() => ({ degraded: { reasons } })));
      expect(await client.post('/predict', requests[0])).toMatchObject({
        status: 200,
        body: { degraded: { reasons } },
      });
      expect((await train(at)).body).toMatchObject({
        status: 'succeeded',
        result: { degraded: { reasons: ['unsettled'] } },
      });
      // Long ago and now wait for nobody.
      const ago = await online(new Date(Date.parse(at) - 120_000).toISOString());
      expect(ago.body).not.toHaveProperty('degraded');
      const now = await client.post('/v1/features/online', { features: ALL, entities: [entity], timeout_ms: 10_000 });
      expect(now.body).not.toHaveProperty('degraded');
    });
  }, 60_000);
});
