import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'bars', fields: { close: 'double' } }],
  features: [{ name: 'price', op: 'last', input: 'close' }],
};
const AGO = new Date(Date.now() - 3_600_000).toISOString();
/** A training set of 3.4 million bytes: the rows are kept as they come. */
const NOTE = 'x'.repeat(10_000);
const ROWS = 340;
const ENV = {
  SIBYL_MODELS: '',
  SIBYL_TRAINING_BYTES: String(16 * 1024 * 1024),
  SIBYL_BODY_BYTES: String(8 * 1024 * 1024),
};

describe('the room for training sets', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: ENV });
    client = new RecordedClient(server, 'room');
    expect(await client.call('PUT', '/v1/features/views/market', { body: VIEW })).toMatchObject({ status: 200 });
    const event = { entity: 'A', event_time: Date.now(), values: { close: 1 } };
    expect(await client.post('/v1/features/push', { stream: 'bars', events: [event] })).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const keyOf = async (name: string): Promise<string> =>
    (await client.post('/v1/keys', { name, scopes: ['features:read'] })).body.key as string;
  const begin = (key: string, body: object): Promise<Reply> =>
    client.post('/v1/features/historical', { features: ['market:price'], ...body }, { key });
  const endOf = async (key: string, { body: { id } }: Reply): Promise<Reply['body']> => {
    for (;;) {
      const { body } = await client.get(`/v1/operations/${id}`, { key });
      if (body.status !== 'running') return body;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const make = async (key: string, rows = ROWS): Promise<Reply['body']> => {
    const row = { symbol: 'A', timestamp: AGO, note: NOTE };
    const begun = await begin(key, { rows: Array.from({ length: rows }, () => row) });
    expect(begun).toMatchObject({ status: 202 });
    return endOf(key, begun);
  };
  const fetched = async (key: string, { id }: { readonly id: string }): Promise<number> =>
    (await client.get(`/v1/operations/${id}/result`, { key })).status;

  /** Whether the operation says where its file is. */
  const offered = async (key: string, { id }: { readonly id: string }): Promise<boolean> => {
    const { result } = (await client.get(`/v1/operations/${id}`, { key })).body;
    expect(result).toMatchObject({ file: expect.any(String), rows: expect.any(Number) });
    expect('expires_at' in result).toBe('href' in result);
    return 'href' in result;
  };

  it('is shared by keys: the oldest of one make room for its next, and those of others stay', async () => {
    const [small, one, two, three] = await Promise.all(['small', 'one', 'two', 'three'].map(keyOf));
    const kept = await make(small ?? '', 1);
    const ofOne = [];
    for (let i = 0; i < 3; i++) ofOne.push(await make(one ?? ''));
    expect(ofOne).toMatchObject([{ status: 'succeeded' }, { status: 'succeeded' }, { status: 'succeeded' }]);
    expect(await Promise.all(ofOne.map((made) => fetched(one ?? '', made)))).toEqual([404, 200, 200]);
    expect(await Promise.all(ofOne.map((made) => offered(one ?? '', made)))).toEqual([false, true, true]);
    const ofTwo = [await make(two ?? ''), await make(two ?? '')];
    // What others have is never taken for it, and nothing of it is left.
    const before = readdirSync(join(server.dataDir, 'training-sets')).sort();
    expect(await make(three ?? '')).toMatchObject({
      status: 'failed',
      error: { code: 'storage_full', detail: expect.stringContaining('DELETE /v1/operations/{id}') },
    });
    expect(readdirSync(join(server.dataDir, 'training-sets')).sort()).toEqual(before);
    expect(await Promise.all(ofTwo.map((made) => fetched(two ?? '', made)))).toEqual([200, 200]);
    expect(await fetched(small ?? '', kept)).toBe(200);
    // Rows that are sent take room too, and one that is larger than a share has none.
    const body = `${JSON.stringify({ symbol: 'A', timestamp: AGO, note: NOTE })}\n`.repeat(ROWS);
    const headers = { 'content-type': 'application/x-ndjson' };
    const route = '/v1/features/historical?set=none';
    expect(await client.call('POST', route, { key: three ?? '', headers, body })).toMatchObject({
      status: 503,
      body: { code: 'storage_full' },
    });
    expect(await client.call('POST', route, { key: one ?? '', headers, body: body.repeat(3) })).toMatchObject({
      status: 413,
      body: { code: 'body_too_large' },
    });
    expect(readdirSync(join(server.dataDir, 'training-sets')).filter((name) => name.includes('.rows.'))).toEqual([]);
    expect(await make(small ?? '', 1)).toMatchObject({ status: 'succeeded' });
  }, 120_000);

  it('that is full begins nothing for who has nothing that could make room', async () => {
    const folder = join(server.dataDir, 'training-sets');
    const left = (): number =>
      readdirSync(folder).reduce((rest, name) => rest - statSync(join(folder, name)).size, 15 * 1024 * 1024);
    const late = await keyOf('late');
    const { bytes } = (await make(late, 1)).result as { readonly bytes: number };
    const made: { readonly key: string; readonly id: string }[] = [];
    for (let rest = left(); rest >= 0; rest = left()) {
      const key = await keyOf(`filler-${made.length}`);
      const one = await make(key, Math.min(ROWS, Math.floor(rest / bytes) + 1));
      expect(one).toMatchObject({ status: 'succeeded' });
      made.push({ key, id: one.id as string });
    }
    const row = { symbol: 'A', timestamp: AGO };
    const nobody = await keyOf('nobody');
    expect(await begin(nobody, { rows: [row] })).toMatchObject({ status: 503, body: { code: 'storage_full' } });
    // What is its own makes room, and that is enough for a while.
    expect(await begin(late, { rows: [row] })).toMatchObject({ status: 202 });
    for (const { key, id } of made)
      expect(await client.call('DELETE', `/v1/operations/${id}`, { key })).toMatchObject({ status: 200 });
    expect(await endOf(nobody, await begin(nobody, { rows: [row] }))).toMatchObject({ status: 'succeeded' });
  }, 120_000);

  it('is free again when a finished one is deleted, by whoever may', async () => {
    const [owner, other] = [await keyOf('owner'), await keyOf('other-owner')];
    const lying = (): ReadonlySet<string> => new Set(readdirSync(join(server.dataDir, 'training-sets')));
    const before = lying();
    const { id, result } = await make(owner, 1);
    expect(lying()).toEqual(new Set([...before, result.file as string]));
    const drop = (key: string): Promise<Reply> => client.call('DELETE', `/v1/operations/${id}`, { key });
    expect(await drop(other)).toMatchObject({ status: 404, body: { code: 'operation_not_found' } });
    // Who sees all operations, and changes none, ends nothing that is done.
    const watcher = (await client.post('/v1/keys', { name: 'watcher', scopes: ['ops:read'] })).body.key as string;
    expect(await drop(watcher)).toMatchObject({ status: 200, body: { status: 'succeeded' } });
    expect([await fetched(owner, { id }), await offered(owner, { id })]).toEqual([200, true]);
    const dropped = await drop(owner);
    expect(dropped).toMatchObject({ status: 200, body: { status: 'succeeded' } });
    expect(dropped.body.result).not.toHaveProperty('href');
    const event = { action: 'operation.cancel', resource: { type: 'operation', id } };
    expect(await client.lastEvent()).toMatchObject({ ...event, changes: { removed: result.file } });
    expect(await offered(owner, { id })).toBe(false);
    expect(lying()).toEqual(before);
    expect(await client.get(`/v1/operations/${id}/result`, { key: owner })).toMatchObject({
      status: 404,
      body: { code: 'operation_not_found' },
    });
    expect(await drop(owner)).toMatchObject({ status: 200 });
    expect(await client.lastEvent()).not.toHaveProperty('changes');
  }, 120_000);

  it('in which they are made has two places for one key, and one more for others', async () => {
    const [greedy, other] = [await keyOf('greedy'), await keyOf('other')];
    const long = {
      generate: { stream: 'bars', from: AGO, to: new Date(Date.now() - 60_000).toISOString(), step: '1ms' },
    };
    const running = [await begin(greedy, long), await begin(greedy, long)];
    expect(running.map(({ status }) => status)).toEqual([202, 202]);
    expect(await begin(greedy, long)).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    const third = await begin(other, long);
    expect(third.status).toBe(202);
    expect(await begin(await keyOf('late'), long)).toMatchObject({ status: 503, body: { code: 'queue_full' } });
    for (const [key, one] of [...running.map((reply) => [greedy, reply] as const), [other, third] as const]) {
      await client.call('DELETE', `/v1/operations/${one.body.id}`, { key });
      expect(await endOf(key, one)).toMatchObject({ status: 'cancelled' });
    }
    const rows = [{ symbol: 'A', timestamp: AGO }];
    expect(await endOf(greedy, await begin(greedy, { rows }))).toMatchObject({ status: 'succeeded' });
  }, 60_000);

  it('recorded every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
