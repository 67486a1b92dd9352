import http from 'node:http';
import { processTree } from '../support/processes.mjs';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = `
kind: FeatureView
name: btc_technical
entity: { name: symbol, type: string, pattern: "^[A-Z0-9]+/[A-Z0-9]+$" }
streams:
  - name: candles_1m
    identity: event_time
    fields: { close: double, high: double, low: double }
    allowed_lateness: 10m
    rules:
      - { field: close, between: { min: 0 }, action: reject }
features:
  - { name: price, op: last, input: close, ttl: 90s }
`;
const SET = { kind: 'FeatureSet', name: 'inputs', features: ['btc_technical:price'] };
const START = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000;

const candle = (minute: number, close: number, more: object = {}): object => ({
  entity: 'BTC/USDT',
  event_time: new Date(START + minute * 60_000).toISOString(),
  values: { close, high: close + 1, low: close - 1 },
  ...more,
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 300) throw new Error('it never came to hold');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('events of features', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'features');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const push = (events: unknown, stream = 'candles_1m'): Promise<Reply> =>
    client.post('/v1/features/push', { stream, events });
  const statuses = ({ body }: Reply): string[] => body.results.map(({ status }: { status: string }) => status);
  const put = (path: string, body: unknown, type = 'application/json'): Promise<Reply> =>
    client.call('PUT', path, { body, headers: { 'content-type': type } });

  describe('definitions', () => {
    it('200: a dry run checks a view in YAML and writes nothing', async () => {
      const dry = await put('/v1/features/views/btc_technical?dry_run=true', VIEW, 'application/yaml');
      expect(dry).toMatchObject({
        status: 200,
        body: { dry_run: true, unchanged: false, outputs: [{ name: 'price' }] },
      });
      expect(await client.get('/v1/features/views/btc_technical')).toMatchObject({
        status: 404,
        body: { code: 'feature_view_not_found' },
      });
    });

    it('200: publishes it, lists it, and shows it by name and by hash', async () => {
      const published = await put('/v1/features/views/btc_technical', VIEW, 'application/yaml');
      expect(published).toMatchObject({ status: 200, body: { name: 'btc_technical', dry_run: false } });
      const { hash } = published.body;
      expect((await client.get('/v1/features/views')).body.items).toMatchObject([{ name: 'btc_technical', hash }]);
      const found = await client.get(`/v1/features/views/btc_technical@${hash.slice(7, 19)}`);
      expect(found).toMatchObject({ status: 200, body: { hash, current: true, document: { name: 'btc_technical' } } });
      expect(await client.lastEvent()).toMatchObject({ action: 'feature.read' });
    });

    it('200: publishes a set, and keeps the view that it needs', async () => {
      const set = await put('/v1/features/sets/inputs', SET);
      expect(set).toMatchObject({ status: 200, body: { members: [{ name: 'price', view: 'btc_technical' }] } });
      const refused = await client.call('DELETE', '/v1/features/views/btc_technical');
      expect(refused).toMatchObject({ status: 409, body: { code: 'in_use' } });
    });

    it('422: names every fault of a definition', async () => {
      const wrong = VIEW.replace('op: last, input: close', 'op: last, input: clse');
      const reply = await put('/v1/features/views/btc_technical', wrong, 'application/yaml');
      expect(reply).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
      expect(reply.body.errors.length).toBeGreaterThan(0);
      const two = await put('/v1/features/views/x', `${VIEW}\n---\n${VIEW}`, 'application/yaml');
      expect(two).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
      const other = await put('/v1/features/views/another', VIEW, 'application/yaml');
      expect(other).toMatchObject({ status: 422, body: { errors: [{ pointer: '/name' }] } });
    });

    it('200: a set is deleted, and 404 afterwards', async () => {
      await put('/v1/features/sets/passing', { ...SET, name: 'passing' });
      expect(await client.call('DELETE', '/v1/features/sets/passing')).toMatchObject({ status: 200 });
      expect(await client.lastEvent()).toMatchObject({ action: 'feature.delete', resource: { id: 'passing' } });
      expect(await client.get('/v1/features/sets/passing')).toMatchObject({ status: 404 });
    });
  });

  describe('pushed as JSON', () => {
    it('200: say of each what became of it, and are one event of the audit log', async () => {
      const reply = await push([candle(1, 100), candle(2, 101), candle(2, 101), candle(1, 99)]);
      expect(reply.status).toBe(200);
      expect(statuses(reply)).toEqual(['ACCEPTED', 'ACCEPTED', 'DUPLICATE', 'CORRECTED']);
      expect(reply.body.counts).toEqual({ ACCEPTED: 2, DUPLICATE: 1, CORRECTED: 1 });
      expect(await client.lastEvent()).toMatchObject({
        action: 'feature.push',
        resource: { type: 'feature_stream', id: 'candles_1m' },
        changes: { ACCEPTED: 2, DUPLICATE: 1, CORRECTED: 1 },
      });
    });

    it('are counted by what became of them', async () => {
      const { body } = await client.get('/metrics');
      expect(body).toContain('sibyl_feature_events_total{stream="candles_1m",result="CORRECTED"} 1');
    });

    it('200: one event may stand without the list', async () => {
      expect(statuses(await push(candle(3, 102)))).toEqual(['ACCEPTED']);
    });

    it.each([
      ['a value that is text', candle(4, 1, { values: { close: '1', high: 1, low: 1 } }), '/events/0/values/close'],
      ['a value that is missing', candle(4, 1, { values: { close: 1, high: 1 } }), '/events/0/values/low'],
      ['an unknown field', candle(4, 1, { values: { close: 1, high: 1, low: 1, clse: 2 } }), '/events/0/values/clse'],
      ['a time of the future', candle(4, 1, { event_time: Date.now() + 60_000 }), '/events/0/event_time'],
      ['an ancient time', candle(4, 1, { event_time: '1999-01-01T00:00:00Z' }), '/events/0/event_time'],
      ['seconds for milliseconds', candle(4, 1, { event_time: 1_700_000_000 }), '/events/0/event_time'],
      ['a time without zone', candle(4, 1, { event_time: '2026-01-01T00:00:00' }), '/events/0/event_time'],
      ['a day that is none', candle(4, 1, { event_time: '2026-02-30T00:00:00Z' }), '/events/0/event_time'],
      ['an entity that the pattern refuses', candle(4, 1, { entity: 'btc' }), '/events/0/entity'],
      ['an id without end', candle(4, 1, { event_id: 'x'.repeat(129) }), '/events/0/event_id'],
      ['a member that does not exist', candle(4, 1, { evnt_id: 'x' }), '/events/0/evnt_id'],
      ['nothing', null, '/events/0'],
      ['a value that a rule refuses', candle(4, -1), '/events/0'],
    ])('422: %s', async (_, event, pointer) => {
      const reply = await push([event]);
      expect(reply).toMatchObject({ status: 422, body: { code: 'event_invalid', errors: [{ pointer }] } });
    });

    it('422: an infinite number, which JSON can write', async () => {
      const body = JSON.stringify({ stream: 'candles_1m', events: [candle(4, 7)] }).replace(
        '"close":7',
        '"close":1e999',
      );
      expect(await client.call('POST', '/v1/features/push', { body })).toMatchObject({ status: 422 });
    });

    it('409: an id that says something else', async () => {
      const named = (close: number): object => candle(5, close, { event_id: 'bar-5' });
      await push([named(10)]);
      expect(await push([named(11)])).toMatchObject({ status: 409, body: { code: 'event_conflict' } });
      expect(statuses(await push([named(11), named(10)]))).toEqual(['CONFLICT', 'DUPLICATE']);
    });

    it.each([
      ['404: an unknown stream', { stream: 'candles_2m', events: [{}] }, 404, 'stream_not_found'],
      ['400: no events', { stream: 'candles_1m', events: [] }, 400, 'invalid_parameter'],
      ['400: no stream', { events: [{}] }, 400, 'invalid_parameter'],
      ['400: an unknown member', { stream: 'candles_1m', event: [] }, 400, 'unknown_field'],
      ['400: no object', [1], 400, 'invalid_parameter'],
      [
        '422: too many',
        { stream: 'candles_1m', events: Array.from({ length: 10_001 }, () => 1) },
        422,
        'batch_too_large',
      ],
    ])('%s', async (_, body, status, code) => {
      expect(await client.post('/v1/features/push', body)).toMatchObject({ status, body: { code } });
    });

    it('415: anything else', async () => {
      const reply = await client.call('POST', '/v1/features/push', {
        body: 'a,b',
        headers: { 'content-type': 'text/csv' },
      });
      expect(reply.status).toBe(415);
    });
  });

  describe('uploaded as lines', () => {
    const upload = (body: string, query = '?stream=candles_1m'): Promise<Reply> =>
      client.call('POST', `/v1/features/push${query}`, { body, headers: { 'content-type': 'application/x-ndjson' } });

    it('200: count what became of them, and tell the first faults; repeated they change nothing', async () => {
      const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify(candle(10 + i, 200 + i)));
      const text = `${lines.slice(0, 20).join('\n')}\nnonsense\n${lines.slice(20).join('\n')}\n`;
      const first = await upload(text);
      expect(first).toMatchObject({ status: 200, body: { lines: 41, counts: { ACCEPTED: 40, INVALID: 1 } } });
      expect(first.body.faults).toMatchObject([{ line: 21, status: 'INVALID' }]);
      expect((await upload(text)).body.counts).toEqual({ DUPLICATE: 40, INVALID: 1 });
    });

    it('are counted, as those of a push are, where they never came to be stored', async () => {
      const invalid = async (): Promise<number> => {
        const { body } = await client.get('/metrics');
        const [, count] = /sibyl_feature_events_total\{stream="candles_1m",result="INVALID"\} (\d+)/.exec(body) ?? [];
        return Number(count ?? 0);
      };
      const before = await invalid();
      const text = { ...candle(7, 1), values: { close: '1', high: 1, low: 1 } };
      await upload(['nonsense', JSON.stringify(text), JSON.stringify({ stream: 'candles_1m', ...text })].join('\n'));
      expect(await invalid()).toBe(before + 3);
      await push([text, candle(7, 1, { event_time: Date.now() + 60_000 })]);
      expect(await invalid()).toBe(before + 5);
    });

    it('404: an unknown stream', async () => {
      expect(await upload('{}', '?stream=nothing')).toMatchObject({ status: 404, body: { code: 'stream_not_found' } });
    });

    it('keep what came before the caller hung up', async () => {
      const lines = Array.from({ length: 6000 }, (_, i) =>
        JSON.stringify(candle(0, 1, { entity: 'HUNG/UP', event_time: START + i * 100 })),
      );
      await new Promise<void>((resolve) => {
        const headers = {
          'x-api-key': server.adminKey,
          'content-type': 'application/x-ndjson',
          'x-request-id': 'hung-up',
          'transfer-encoding': 'chunked',
        };
        const request = http.request(`${server.url}/v1/features/push?stream=candles_1m`, { method: 'POST', headers });
        request.on('error', () => resolve());
        request.write(`${lines.join('\n')}\n`, () => setTimeout(() => request.destroy(), 1500));
        request.on('close', resolve);
      });
      await until(async () => statuses(await push([JSON.parse(lines[0] ?? '') as object]))[0] === 'DUPLICATE');
    });
  });

  describe('while PostgreSQL is lost', () => {
    it('503 and nothing half-stored; afterwards everything that was acknowledged is there', async () => {
      const acknowledged: object[][] = [];
      const refused = new Map<number, object[][]>();
      let minute = 0;
      let running = true;
      const entity = 'LOST/DB';
      const work = (async () => {
        while (running) {
          const from = minute;
          minute += 50;
          const events = Array.from({ length: 50 }, (_, i) =>
            candle(0, from + i, { entity, event_time: START + from + i }),
          );
          const reply = await push(events);
          if (reply.status === 200) acknowledged.push(events);
          else refused.set(reply.status, [...(refused.get(reply.status) ?? []), events]);
        }
      })();
      await until(() => Promise.resolve(acknowledged.length > 3));
      for (const { pid, kind } of processTree(server.pid)) if (kind === 'postgres') process.kill(pid, 'SIGKILL');
      await until(() => Promise.resolve((refused.get(503)?.length ?? 0) > 0));
      const before = acknowledged.length;
      await until(() => Promise.resolve(acknowledged.length > before + 3));
      running = false;
      await work;
      expect([...refused.keys()]).toEqual([503]);
      for (const events of acknowledged) expect(new Set(statuses(await push(events)))).toEqual(new Set(['DUPLICATE']));
      // Of what was refused all or nothing was stored.
      for (const events of refused.get(503) ?? []) {
        const found = new Set(statuses(await push(events)).map((status) => status === 'DUPLICATE'));
        expect(found.size).toBe(1);
      }
    });
  });
});
