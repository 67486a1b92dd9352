import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const stream = (name: string): object => ({ name, identity: 'event_id', fields: { amount: 'double' } });
const VIEW = {
  kind: 'FeatureView',
  name: 'cards',
  entity: { name: 'card_id', type: 'string' },
  streams: [stream('payments'), stream('refunds')],
  features: [
    { name: 'spent', op: 'sum', input: 'payments.amount', window: '1h' },
    { name: 'refunded', op: 'sum', input: 'refunds.amount', window: '1h' },
  ],
};
const NOW = Date.now();

/** An event without an id of its own, so that a second push of it would be a duplicate. */
const event = (amount: number): object => ({ entity: 'card-1', event_time: NOW, values: { amount } });

describe('Idempotency-Key on routes of features', () => {
  let server: TestServer;
  let client: RecordedClient;

  const post = (route: string, key: string, body: unknown, type = 'application/json'): Promise<Reply> =>
    client.call('POST', `/v1/features/${route}`, {
      body,
      headers: { 'idempotency-key': key, 'content-type': type },
    });

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'once');
    expect(await client.call('PUT', '/v1/features/views/cards', { body: VIEW })).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  it('a push that comes again is answered as the first time, and another one is refused', async () => {
    const body = { stream: 'payments', events: [event(1), event(2)] };
    const first = await post('push', 'json', body);
    expect(first).toMatchObject({ status: 200, body: { results: [{ status: 'ACCEPTED' }, { status: 'ACCEPTED' }] } });
    expect(await post('push', 'json', body)).toMatchObject({ status: 200, body: first.body });
    expect((await client.post('/v1/features/push', body)).body.results).toMatchObject([
      { status: 'DUPLICATE' },
      { status: 'DUPLICATE' },
    ]);
    expect(await post('push', 'json', { ...body, events: [event(3)] })).toMatchObject({
      status: 422,
      body: { code: 'idempotency_conflict' },
    });
  });

  it('so is a history of lines; the query counts as well', async () => {
    const lines = [event(10), event(11), event(12)].map((one) => JSON.stringify(one)).join('\n');
    const type = 'application/x-ndjson';
    const first = await post('push?stream=payments', 'lines', lines, type);
    expect(first).toMatchObject({ status: 200 });
    expect(await post('push?stream=payments', 'lines', lines, type)).toMatchObject({ status: 200, body: first.body });
    for (const [route, body] of [
      ['push?stream=refunds', lines],
      ['push?stream=payments', `${lines}\n`],
    ] as const)
      expect(await post(route, 'lines', body, type)).toMatchObject({
        status: 422,
        body: { code: 'idempotency_conflict' },
      });
    expect(await post('push?stream=payments', 'lines', '{', 'text/plain')).toMatchObject({ status: 422 });
  });

  it('a body beyond the limits is refused before it is kept', async () => {
    const large = { stream: 'payments', events: [{ ...event(1), note: 'x'.repeat(11 * 1024 * 1024) }] };
    expect(await post('push', 'large', large)).toMatchObject({ status: 413, body: { code: 'body_too_large' } });
  });

  it('a training set and a backfill are made once', async () => {
    const rows = [{ card_id: 'card-1', timestamp: new Date(NOW).toISOString() }];
    const body = { features: ['cards:spent'], rows };
    const first = await post('historical', 'set', body);
    expect(first).toMatchObject({ status: 202 });
    const again = await post('historical', 'set', body);
    expect(again).toMatchObject({ status: 202, body: { id: first.body.id } });
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect((await client.ended(first.headers.get('location') ?? '')).body.status).toBe('succeeded');
    expect(await post('historical', 'set', { ...body, format: 'csv' })).toMatchObject({ status: 422 });

    const span = { from: new Date(NOW - 3_600_000).toISOString(), to: new Date(NOW).toISOString(), step: '30m' };
    const made = await post('backfill', 'fill', { view: 'cards', ...span });
    expect(made).toMatchObject({ status: 200 });
    expect(await post('backfill', 'fill', { view: 'cards', ...span })).toMatchObject({ status: 200, body: made.body });
    expect(await post('backfill', 'fill', { view: 'cards', ...span, step: '1h' })).toMatchObject({ status: 422 });
  });

  it('recorded every request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
