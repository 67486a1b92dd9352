import { createHash } from 'node:crypto';
import http from 'node:http';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    { name: 'bars', identity: 'event_time', fields: { close: 'double', venue: 'string?' }, allowed_lateness: '20s' },
  ],
  features: [
    { name: 'price', op: 'last', input: 'close', ttl: '1h' },
    { name: 'mean5', op: 'mean', input: 'close', window: 5 },
    { name: 'rsi', op: 'rsi', input: 'close', period: 3 },
    { name: 'n', op: 'count', input: 'bars', window: '30s', where: 'venue == "a"' },
    { name: 'sum', op: 'sum', input: 'close', window: '10m', tile: '7s' },
    { name: 'gap', expr: 'price - mean5' },
  ],
};
const NAMES = VIEW.features.map(({ name }) => name);
const SET = { kind: 'FeatureSet', name: 'inputs', features: NAMES.map((n) => `market:${n}`), on_missing: 'null' };
const START = Date.now();
const ANCIENT = START - 20 * 365 * 86_400_000;

interface Served {
  readonly symbol: string;
  readonly timestamp: string;
  readonly values: readonly unknown[];
}

/** The same sequence in each run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe('training sets', () => {
  let server: TestServer;
  let client: RecordedClient;
  const served: Served[] = [];

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'features');
    const headers = { 'content-type': 'application/json' };
    await client.call('PUT', '/v1/features/views/market', { body: VIEW, headers });
    await client.call('PUT', '/v1/features/sets/inputs', { body: SET, headers });
    await pushAndServe();
  }, 120_000);
  afterAll(() => server.stop(), 30_000);

  /** Pushes in order, late, too late and corrected, and keeps what was served between the pushes. */
  async function pushAndServe(): Promise<void> {
    const random = randomNumbers(7);
    for (let i = 0; i < 60; i++) {
      const events = Array.from({ length: 4 }, () => ({
        entity: ['A', 'B', 'C'][Math.floor(random() * 3)],
        event_time: START - Math.floor(random() * random() * 60) * 1000 + i,
        values: { close: Math.round(random() * 64) / 4, venue: ['a', 'b', null][Math.floor(random() * 3)] },
      }));
      await client.post('/v1/features/push', { stream: 'bars', events });
      const { body } = await client.post('/v1/features/online', {
        set: 'inputs',
        entities: [{ symbol: 'A' }, { symbol: 'B' }, { symbol: 'C' }, { symbol: 'D' }],
      });
      for (const { entity, values } of body.results) served.push({ ...entity, timestamp: body.as_of, values });
    }
  }

  const begin = (body: unknown, path = '/v1/features/historical'): Promise<Reply> => client.post(path, body);

  async function ended(reply: Reply): Promise<Reply['body']> {
    expect(reply).toMatchObject({ status: 202, body: { kind: 'feature.historical' } });
    for (let tries = 0; tries < 600; tries++) {
      const { body } = await client.get(`/v1/operations/${reply.body.id}`);
      if (body.status !== 'running') return body;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('it never ended');
  }

  async function fileOf({ id }: { readonly id: string }): Promise<Buffer> {
    const { status, bytes } = await download(`/v1/operations/${id}/result`);
    expect(status).toBe(200);
    return bytes;
  }

  async function download(path: string): Promise<{ readonly status: number; readonly bytes: Buffer }> {
    const answer = await fetch(`${server.url}${path}`, { headers: { 'x-api-key': server.adminKey } });
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) };
  }

  const rowsOf = (file: Buffer): Record<string, unknown>[] =>
    file
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('have what was served, to the last bit, whatever came late or was corrected since', async () => {
    const rows = served.map(({ symbol, timestamp }, i) => ({ symbol, timestamp, label: i % 2, note: `"${i}", a` }));
    const operation = await ended(await begin({ set: 'inputs', rows }));
    expect(operation).toMatchObject({ status: 'succeeded', result: { rows: served.length } });
    const file = await fileOf(operation);
    expect(createHash('sha256').update(file).digest('hex')).toBe(operation.result.sha256);
    const made = rowsOf(file);
    expect(made.map((row) => NAMES.map((name) => row[name]))).toEqual(served.map(({ values }) => values));
    expect(made.map(({ label, note }) => ({ label, note }))).toEqual(rows.map(({ label, note }) => ({ label, note })));
    // The same as a read of the past gives.
    const last = served.at(-4) as Served;
    const { body } = await client.post('/v1/features/online', {
      set: 'inputs',
      entities: [{ symbol: last.symbol }],
      timestamp: last.timestamp,
    });
    expect(body.results[0].values).toEqual(last.values);
  });

  it('say what they are of in the record of who asked for them, and in their result', async () => {
    const { hash } = (await client.get('/v1/features/sets/inputs')).body;
    const view = `market@${(await client.get('/v1/features/views/market')).body.hash}`;
    const set = `inputs@${hash}`;
    const rows = served.slice(0, 3).map(({ symbol, timestamp }) => ({ symbol, timestamp }));
    const made = await begin({ set: 'inputs', rows, format: 'csv', known_at: 'now' });
    expect(await client.lastEvent()).toMatchObject({
      action: 'feature.historical',
      resource: { type: 'feature_set', id: 'inputs' },
      changes: { feature_set: set, operation: made.body.id, rows: 3, known_at: 'now', format: 'csv' },
      inputs_digest: expect.stringMatching(/^hmac-sha256:/),
    });
    expect((await ended(made)).result).toMatchObject({ set: 'inputs', feature_set: set, views: [view] });
    const generate = { stream: 'bars', from: START - 20_000, to: START, step: '10s' };
    const grid = await begin({ features: ['market:price'], generate });
    expect(await client.lastEvent()).toMatchObject({
      resource: { type: 'feature_view', id: 'market' },
      changes: { views: [view], operation: grid.body.id, rows: 9, known_at: 'timestamp', format: 'ndjson' },
    });
    const { result } = await ended(grid);
    expect(result).toMatchObject({ views: [view], rows: 9 });
    expect(result).not.toHaveProperty('feature_set');
    // All that had arrived by then is known, and nobody had to wait for it.
    expect(result).not.toHaveProperty('degraded');
    const body = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const headers = { 'content-type': 'application/x-ndjson' };
    const lines = await client.call('POST', `/v1/features/historical?set=${set}`, { headers, body });
    expect(await client.lastEvent()).toMatchObject({
      resource: { type: 'feature_set', id: 'inputs' },
      changes: { feature_set: set, operation: lines.body.id, bytes: Buffer.byteLength(body), format: 'ndjson' },
    });
    expect((await ended(lines)).result).toMatchObject({ feature_set: set, views: [view], rows: 3 });
  });

  it('have what a request would give: by a column of its name, or by `given`', async () => {
    const orders = {
      kind: 'FeatureView',
      name: 'orders',
      entity: VIEW.entity,
      streams: [{ name: 'bars', of: 'market' }],
      features: [
        { name: 'last', op: 'last', input: 'close' },
        { name: 'size', source: 'request', dtype: 'double' },
        { name: 'notional', expr: 'size * last', dtype: 'double' },
      ],
    };
    const headers = { 'content-type': 'application/json' };
    expect(await client.call('PUT', '/v1/features/views/orders', { body: orders, headers })).toMatchObject({
      status: 200,
    });
    const [one] = served.slice(-4) as [Served];
    const { symbol, timestamp } = one;
    const features = ['orders:last', 'orders:notional'];
    const online = await client.post('/v1/features/online', {
      ...{ features, timestamp, entities: [{ symbol }], given: { size: 3 } },
    });
    const [, notional] = online.body.results[0].values;
    expect(typeof notional).toBe('number');
    const rows = [
      { symbol, timestamp, size: 3 },
      { symbol, timestamp, size: 9, given: { size: 3 } },
    ];
    const made = rowsOf(await fileOf(await ended(await begin({ features, rows }))));
    expect(made.map((row) => [row['orders:notional'], row['size']])).toEqual([
      [notional, 3],
      [notional, 9],
    ]);
    const asMember = ['orders:notional', 'orders:size'];
    const [row] = rowsOf(await fileOf(await ended(await begin({ features: asMember, rows: [rows[0]] }))));
    expect(row).toMatchObject({ 'orders:notional': notional, 'orders:size': 3 });
    const { error } = await ended(await begin({ features, rows: [{ symbol, timestamp, size: 'three' }] }));
    expect(error).toMatchObject({
      code: 'invalid_parameter',
      errors: [{ pointer: '/rows/0/size', received: 'text of 5 characters' }],
    });
    // As a request of a prediction has them.
    const lines = [
      { symbol, timestamp, features: { size: 3 } },
      { symbol, timestamp, features: null },
    ];
    const sized = ['orders:last', 'orders:notional'];
    expect(
      await client.call('PUT', '/v1/features/sets/sized', {
        body: { name: 'sized', features: sized, on_missing: 'null' },
      }),
    ).toMatchObject({ status: 200 });
    const sent = async (...all: readonly object[]): Promise<Reply['body']> =>
      ended(
        await client.call('POST', '/v1/features/historical?set=sized', {
          headers: { 'content-type': 'application/x-ndjson' },
          body: all.map((line) => `${JSON.stringify(line)}\n`).join(''),
        }),
      );
    const asLines = rowsOf(await fileOf(await sent(...lines)));
    expect(asLines.map((line) => [line['notional'], Object.keys(line)])).toEqual(
      [notional, null].map((value) => [value, ['symbol', 'timestamp', 'last', 'notional']]),
    );
    for (const [more, pointer] of [
      [{ features: ['orders:last'] }, '/rows/0/features'],
      [{ features: { size: 'x' } }, '/rows/0/features/size'],
      [{ features: { size: 1, 'orders:size': 1 } }, '/rows/0/features/orders:size'],
      [{ features: { size: 1 }, given: { size: 1 } }, '/rows/0/features'],
    ] as const)
      expect(await sent({ symbol, timestamp, ...more })).toMatchObject({
        error: { code: 'invalid_parameter', errors: [{ pointer, received: expect.any(String) }] },
      });
  });

  it('are made while others are still sending their rows', async () => {
    const headers = { 'x-api-key': server.adminKey, 'content-type': 'application/x-ndjson' };
    const row = `${JSON.stringify({ symbol: 'A', timestamp: new Date(START).toISOString() })}\n`;
    const slow = Array.from({ length: 3 }, () => {
      const request = http.request(`${server.url}/v1/features/historical?set=inputs`, { method: 'POST', headers });
      const status = new Promise<number | undefined>((resolve) => {
        request.once('response', ({ statusCode }) => resolve(statusCode)).once('error', () => resolve(undefined));
      });
      request.write(row);
      return { request, status };
    });
    // Of one key two are received at once.
    expect(await Promise.race(slow.map(({ status }) => status))).toBe(503);
    const reply = await begin({ set: 'inputs', rows: [{ symbol: 'A', timestamp: new Date(START).toISOString() }] });
    expect((await ended(reply)).status).toBe('succeeded');
    for (const { request } of slow) request.destroy();
    await Promise.all(slow.map(({ status }) => status));
  });

  it('are the same as NDJSON, CSV and Parquet, and from rows as JSON lines', async () => {
    const rows = served.slice(100).map(({ symbol, timestamp }, i) => ({ symbol, timestamp, label: i / 4 }));
    const [lines, csv, parquet] = await Promise.all(
      ['ndjson', 'csv', 'parquet'].map(async (format) => {
        // Two of one key are made at a time; the third waits its turn.
        for (;;) {
          const reply = await begin({ set: 'inputs', rows, format, statuses: true });
          if (reply.status === 202) return fileOf(await ended(reply));
          expect(reply).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }),
    );
    const made = rowsOf(lines as Buffer);
    const text = (value: unknown): string => (value === null ? '' : String(value as string | number | bigint));
    const expected = made.map((row) => Object.values(row).map(text).join(','));
    expect((csv as Buffer).toString().trimEnd().split('\r\n').slice(1)).toEqual(expected);
    const { buffer, byteOffset, byteLength } = parquet as Buffer;
    const table = await parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer });
    expect(table.map((row) => ({ ...row, timestamp: undefined, n: text(row['n'] ?? null) }))).toEqual(
      made.map((row) => ({ ...row, timestamp: undefined, n: text(row['n']) })),
    );
    const body = rows.map((row) => JSON.stringify(row)).join('\n');
    const reply = await client.call('POST', '/v1/features/historical?set=inputs&statuses=true', {
      body,
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect(rowsOf(await fileOf(await ended(reply)))).toEqual(made);
  });

  it('are generated for all entities of a stream, strictly or with what is known now', async () => {
    const generate = { stream: 'bars', from: START - 20_000, to: START, step: '10s' };
    const strict = rowsOf(await fileOf(await ended(await begin({ set: 'inputs', generate }))));
    expect(strict).toHaveLength(9);
    // Nothing had been pushed then.
    expect(strict.every(({ price }) => price === null)).toBe(true);
    const corrected = await ended(await begin({ set: 'inputs', generate, known_at: 'now' }));
    expect(corrected).toMatchObject({ result: { known_at: 'now', statuses: { PRESENT: expect.any(Number) } } });
    expect(rowsOf(await fileOf(corrected)).some(({ price }) => price !== null)).toBe(true);
  });

  it('can be cancelled, and leave nothing behind', async () => {
    const generate = { stream: 'bars', from: START - 3_000_000, to: START, step: '1ms' };
    const reply = await begin({ set: 'inputs', generate });
    expect(reply.body.progress).toBeDefined();
    await client.call('DELETE', `/v1/operations/${reply.body.id}`);
    expect(await ended(reply)).toMatchObject({ status: 'cancelled' });
    expect(await download(`/v1/operations/${reply.body.id}/result`)).toMatchObject({ status: 404 });
  });

  it.each([
    [
      'rows of the future',
      { set: 'inputs', rows: [{ symbol: 'A', timestamp: '2190-01-01T00:00:00Z' }] },
      '/rows/0/timestamp',
    ],
    ['rows without a key', { set: 'inputs', rows: [{ timestamp: START }] }, '/rows/0/symbol'],
    [
      'a column that a feature is',
      { set: 'inputs', rows: [{ symbol: 'A', timestamp: START, price: 1 }] },
      '/rows/0/price',
    ],
    [
      'columns that change',
      {
        set: 'inputs',
        rows: [
          { symbol: 'A', timestamp: START },
          { symbol: 'A', timestamp: START, x: 1 },
        ],
      },
      '/rows/1/x',
    ],
  ])('%s fail the operation, which says where', async (_what, body, pointer) => {
    const operation = await ended(await begin(body));
    expect(operation).toMatchObject({ status: 'failed', error: { code: 'invalid_parameter' } });
    expect(operation.error.errors).toEqual(expect.arrayContaining([expect.objectContaining({ pointer })]));
  });

  it.each([
    ['neither rows nor a grid', { set: 'inputs' }, '/rows'],
    ['an unknown format', { set: 'inputs', rows: [{}], format: 'xlsx' }, '/format'],
    ['a step of no time', { set: 'inputs', generate: { stream: 'bars', from: START, step: '0s' } }, '/generate/step'],
    ['a time that is none', { set: 'inputs', rows: [{}], known_at: 'later' }, '/known_at'],
  ])('%s is refused at once', async (_what, body, pointer) => {
    expect(await begin(body)).toMatchObject({ status: 400, body: { errors: [{ pointer }] } });
  });

  it('moments that have not come, and entities that the features are not of, are refused before anything begins', async () => {
    const generate = { stream: 'bars', from: START - 20_000, to: Date.now() + 3_600_000, step: '10s' };
    expect(await begin({ set: 'inputs', generate })).toMatchObject({
      status: 422,
      body: { code: 'timestamp_in_future', errors: [{ pointer: '/generate/to' }] },
    });
    const [from, to] = [generate.from, generate.to].map((at) => new Date(at).toISOString());
    expect(await client.post('/v1/features/backfill', { view: 'market', from, to, step: '10s' })).toMatchObject({
      status: 422,
      body: { code: 'timestamp_in_future', errors: [{ pointer: '/to' }] },
    });
    const view = {
      ...{ kind: 'FeatureView', name: 'cards', entity: { name: 'card', type: 'string' } },
      streams: [{ name: 'payments', identity: 'event_id', fields: { amount: 'double' } }],
      features: [{ name: 'amount', op: 'last', input: 'amount' }],
    };
    const headers = { 'content-type': 'application/json' };
    expect(await client.call('PUT', '/v1/features/views/cards', { body: view, headers })).toMatchObject({
      status: 200,
    });
    expect(await begin({ set: 'inputs', generate: { ...generate, to: START, stream: 'payments' } })).toMatchObject({
      status: 400,
      body: { code: 'invalid_parameter', errors: [{ pointer: '/generate/stream' }] },
    });
  });

  it('rows from before what is kept of a stream fail the operation, which says of which one, and since when', async () => {
    const rows = [START, ANCIENT].map((timestamp) => ({ symbol: 'A', timestamp }));
    const { status, error } = await ended(await begin({ set: 'inputs', rows }));
    expect({ status, error }).toMatchObject({
      status: 'failed',
      error: { code: 'timestamp_before_retention', detail: expect.stringMatching(/'bars' is kept since \d{4}-/) },
    });
    expect(error.errors).toMatchObject([{ pointer: '/rows/1/timestamp' }]);
    const generate = { stream: 'bars', from: ANCIENT, to: START, step: '1d' };
    expect(await begin({ set: 'inputs', generate })).toMatchObject({
      status: 422,
      body: { code: 'timestamp_before_retention', errors: [{ pointer: '/generate/from' }] },
    });
    const backfill = { view: 'market', from: new Date(ANCIENT).toISOString(), step: '1d' };
    expect(await client.post('/v1/features/backfill', backfill)).toMatchObject({ status: 422 });
  });

  it('a backfill computes a view over the past, and what it came to is the baseline of its version', async () => {
    const body = { view: 'market', from: new Date(START - 60_000).toISOString(), step: '10s' };
    const done = await client.post('/v1/features/backfill', { ...body, to: new Date(START).toISOString() });
    expect(done).toMatchObject({ status: 200, body: { view: 'market', entities: 3, rows: 21 } });
    expect(done.body.features.price).toMatchObject({ count: 21, statuses: { PRESENT: expect.any(Number) } });
    expect(await client.lastEvent()).toMatchObject({ action: 'feature.backfill', changes: { rows: 21 } });
    const stats = await client.get('/v1/features/stats?view=market&minutes=60');
    const price = stats.body.features.find(({ feature }: { feature: string }) => feature === 'price');
    expect(price.baseline).toEqual(done.body.features.price);
    const long = { ...body, from: new Date(START - 1_000_000).toISOString(), step: '1ms' };
    const reply = await client.call('POST', '/v1/features/backfill', {
      body: long,
      headers: { 'content-type': 'application/json', prefer: 'respond-async' },
    });
    expect(reply.status).toBe(202);
    await client.call('DELETE', `/v1/operations/${reply.body.id}`);
    for (let status = 'running'; status === 'running';)
      status = (await client.get(`/v1/operations/${reply.body.id}`)).body.status;
    expect((await client.get(`/v1/operations/${reply.body.id}`)).body.status).toBe('cancelled');
    expect(await client.post('/v1/features/backfill', { ...body, view: 'none' })).toMatchObject({ status: 404 });
  });

  it('a key has two backfills at once; a place is free again when one has ended, or could not begin', async () => {
    const time = (before: number): string => new Date(START - before).toISOString();
    const long = { view: 'market', from: time(1_000_000), to: time(0), step: '1ms' };
    const start = (body: object): Promise<Reply> =>
      client.call('POST', '/v1/features/backfill', {
        body,
        headers: { 'content-type': 'application/json', prefer: 'respond-async' },
      });
    for (let i = 0; i < 5; i++) expect((await start({ ...long, view: 'none' })).status).toBe(404);
    const running = [await start(long), await start(long)];
    expect(running.map(({ status }) => status)).toEqual([202, 202]);
    expect(await start(long)).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    for (const { body } of running) {
      await client.call('DELETE', `/v1/operations/${body.id}`);
      while ((await client.get(`/v1/operations/${body.id}`)).body.status === 'running');
    }
    expect(await client.post('/v1/features/backfill', { ...long, from: time(60_000), step: '10s' })).toMatchObject({
      status: 200,
    });
  });
  it('made before a restart are fetched after it, and one that was cut off has failed', async () => {
    const rows = served.slice(0, 40).map(({ symbol, timestamp }) => ({ symbol, timestamp }));
    const made = await ended(await begin({ set: 'inputs', rows }));
    const file = await fileOf(made);
    const generate = { stream: 'bars', from: START - 3_000_000, to: START, step: '1ms' };
    const { body: cut } = await begin({ set: 'inputs', generate });
    for (let seen = 0; seen === 0;) seen = (await client.get(`/v1/operations/${cut.id}`)).body.progress.done;
    await server.kill9();
    await server.start();
    const known = await client.get(`/v1/operations/${made.id}`);
    expect(known.body).toEqual({ ...made, ended_at: expect.any(String) });
    expect(await fileOf(made)).toEqual(file);
    const { body } = await client.get(`/v1/operations/${cut.id}`);
    expect(body).toMatchObject({ status: 'failed', error: { code: 'shutting_down' } });
    expect(await download(`/v1/operations/${cut.id}/result`)).toMatchObject({ status: 404 });
    const left = readdirSync(join(server.dataDir, 'training-sets'));
    expect(left.filter((name) => name.startsWith(cut.id) || name.endsWith('.part'))).toEqual([]);
    const other = await client.post('/v1/keys', { name: 'other', scopes: ['features:read'] });
    const headers = { 'x-api-key': other.body.key };
    const answer = await fetch(`${server.url}/v1/operations/${made.id}/result`, { headers });
    expect(answer.status).toBe(404);
  }, 60_000);
});
