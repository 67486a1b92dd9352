import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const BTC = `
kind: FeatureView
name: btc_technical
entity: { name: symbol, type: string, pattern: "^[A-Z0-9]+/[A-Z0-9]+$" }
streams:
  - name: candles_1m
    identity: event_ts            # corrections replace; 'event_id' for ticks
    fields: { open: double, high: double, low: double, close: double, volume: double }
    allowed_lateness: 10m
    rules: [ {field: close, between: {min: 0, strict_min: true}, action: reject},
             {field: volume, between: {min: 0}, action: reject},
             {expression: "high >= low", action: reject} ]
features:
  - { name: price,  from: "candles_1m.close", op: last, ttl: 90s, required: true }
  - { name: volume, from: "candles_1m.volume", op: last, ttl: 90s }
  - { name: rsi,    op: rsi,  input: close, period: 14, rules: [{between: {min: 0, max: 100}}] }
  - { name: macd,   op: macd, input: close, fast: 12, slow: 26, signal: 9, outputs: [line, signal, hist] }
  - { name: std20,  op: std,  input: close, window: 20 }
  - { name: mean20, op: mean, input: close, window: 20 }
  - { name: z20,    expr: "(price - mean20) / std20", dtype: double, on_non_finite: null }
  - { name: range,  expr: "(candles_1m.high - candles_1m.low) / price" }
freshness_slo: 60s                # alert when p95 age of served values exceeds it
tags: { owner: quant, pii: none }
`;
const PROFILES = {
  name: 'profiles',
  entity: { name: 'card_id' },
  streams: [{ name: 'card_profile', table: true, fields: { home: 'string' } }],
  features: [{ name: 'home', source: 'static', table: 'card_profile' }],
};
const CARDS = `
kind: FeatureView
name: card_fraud
entity: { name: card_id, type: string }
streams:
  - { name: tx, identity: event_id, fields: { amount: double, merchant: string, country: string, ok: bool } }
features:
  - { name: n_10m,       op: count, input: tx, window: 10m }
  - { name: amt_1h,      op: sum,   input: amount, window: 1h, where: "ok" }
  - { name: merch_24h,   op: distinct_count, input: merchant, window: 24h }
  - { name: mean_30d,    op: mean,  input: amount, window: 30d, tile: 1h }
  - { name: since_last,  op: time_since_last, input: tx, unit: s }
  - { name: amount,      source: request, dtype: double, required: true }
  - { name: country_req, source: request, dtype: string }
  - { name: home,        source: static, table: card_profile, key: card_id, ttl: 1d, default: "??" }
  - { name: amt_ratio,   expr: "amount / max(mean_30d, 1.0)" }
  - { name: risky,       expr: "n_10m > 3.0 && country_req != home" }
`;
const SERVICE = `
kind: FeatureService            # what a model consumes: order, dtype, fill, contract
name: btc_direction_inputs
features: [btc_technical:price, btc_technical:volume, btc_technical:rsi, btc_technical:macd.hist, btc_technical:z20]
on_missing: error               # error | null | default
min_completeness: 1.0
baseline: model                 # drift baseline comes with the model version
`;
const MINUTE = 60_000;
/** The newest bar is some seconds old. */
const NEWEST = Math.floor(Date.now() / 1000) * 1000 - 5_000;
const bar = (i: number, close = 100 + (i % 7)): object => ({
  entity: 'BTC/USDT',
  event_ts: new Date(NEWEST - i * MINUTE).toISOString(),
  payload: { open: close, high: close + 1, low: close - 1, close, volume: 3 },
});

describe('features by the names of the design', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'designed');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const put = (path: string, body: unknown): Promise<Reply> =>
    client.call('PUT', `/v1/features/${path}`, {
      body,
      headers: { 'content-type': typeof body === 'string' ? 'application/yaml' : 'application/json' },
    });
  const push = (body: object): Promise<Reply> => client.post('/v1/features/push', body);
  const online = (body: object, headers: Record<string, string> = {}): Promise<Reply> =>
    client.call('POST', '/v1/features/online', { body, headers });
  const refusal = (status: number, code: string, pointer: string): object => ({
    status,
    body: { code, errors: expect.arrayContaining([expect.objectContaining({ pointer })]) },
  });

  describe('definitions', () => {
    it('a dry run by either name, and not by both', async () => {
      for (const name of ['dry_run', 'dryRun']) {
        const reply = await put(`views/btc_technical?${name}=true`, BTC);
        expect(reply).toMatchObject({ status: 200, body: { dry_run: true } });
      }
      const both = await put('views/btc_technical?dryRun=true&dry_run=true', BTC);
      expect(both).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
      expect(await put('views/btc_technical?dryRun=maybe', BTC)).toMatchObject({ status: 400 });
    });

    it('a view: its hash, inferred types, how far it looks back', async () => {
      const { status, body } = await put('views/btc_technical', BTC);
      expect(status).toBe(200);
      expect(body.hash).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(body.outputs).toContainEqual({ name: 'z20', type: 'double', list: false });
      expect(body.outputs.map(({ name }: { name: string }) => name)).toEqual(
        expect.arrayContaining(['macd.line', 'macd.signal', 'macd.hist']),
      );
      expect(body.history).toMatchObject([{ stream: 'candles_1m', events: expect.any(Number) }]);
      const other = await put('views/btc_technical', BTC.replace('event_ts', 'event_time'));
      expect(other.body).toMatchObject({ hash: body.hash, unchanged: true });
    });

    it('the next version of a view: what changes from which fields', async () => {
      const next = BTC.replace('from: "candles_1m.volume"', 'from: "candles_1m.open"');
      const { body } = await put('views/btc_technical?dryRun=true', next);
      expect(body.lineage).toEqual({
        added: [{ from: 'candles_1m.open', to: 'volume' }],
        removed: [{ from: 'candles_1m.volume', to: 'volume' }],
      });
    });

    it('a view that looks rows up in a table of another view', async () => {
      expect(await put('views/card_fraud', CARDS)).toMatchObject(
        refusal(422, 'invalid_definition', '/features/7/table'),
      );
      expect(await put('views/profiles', PROFILES)).toMatchObject({ status: 200 });
      const reply = await put('views/card_fraud', CARDS);
      expect(reply).toMatchObject({ status: 200 });
      expect(reply.body.outputs).toContainEqual({ name: 'home', type: 'string', list: false });
    });

    it('names that nothing defines are faults with their position', async () => {
      const wrong = BTC.replace('candles_1m.high - ', 'candle.high - ');
      const reply = await put('views/btc_technical?dry_run=true', wrong);
      expect(reply).toMatchObject(refusal(422, 'invalid_definition', '/features/7/expr'));
      expect(reply.body.errors[0]).toMatchObject({ position: 1 });
    });

    it('a service is a set', async () => {
      const reply = await put('sets/btc_direction_inputs', SERVICE);
      expect(reply).toMatchObject({ status: 200, body: { members: [{ name: 'price' }, {}, {}, {}, { name: 'z20' }] } });
      expect(await put('sets/btc_direction_inputs', SERVICE.replace('baseline: model', ''))).toMatchObject({
        body: { unchanged: true },
      });
      expect(await put('sets/btc_direction_inputs', SERVICE.replace('baseline: model', 'baseline: set'))).toMatchObject(
        refusal(422, 'invalid_definition', '/baseline'),
      );
    });
  });

  describe('pushes', () => {
    it('event_ts, payload and ack; the answer says how far the stream has come', async () => {
      const events = Array.from({ length: 60 }, (_, i) => bar(59 - i));
      const reply = await push({ stream: 'candles_1m', events, ack: 'durable' });
      expect(reply).toMatchObject({ status: 200, body: { watermark: new Date(NEWEST).toISOString() } });
      expect(reply.body.results[0]).toMatchObject({ status: 'ACCEPTED' });
      const again = await push({ stream: 'candles_1m', events: events.slice(0, 2) });
      expect(again.body).toMatchObject({ counts: { DUPLICATE: 2 }, watermark: new Date(NEWEST).toISOString() });
    });

    it('and as lines', async () => {
      const reply = await client.call('POST', '/v1/features/push?stream=candles_1m', {
        body: JSON.stringify(bar(3)),
        headers: { 'content-type': 'application/x-ndjson' },
      });
      expect(reply).toMatchObject({
        status: 200,
        body: { counts: { DUPLICATE: 1 }, watermark: new Date(NEWEST).toISOString() },
      });
    });

    it.each([
      ['both times', { event_time: '2026-01-01T00:00:00Z' }, '/events/0/event_ts'],
      ['both values', { values: {} }, '/events/0/payload'],
      ['a wrong time', { event_ts: 'today' }, '/events/0/event_ts'],
      ['a value that is missing', { payload: { open: 1 } }, '/events/0/payload/close'],
    ])('%s is refused', async (_what, more, pointer) => {
      const reply = await push({ stream: 'candles_1m', events: [{ ...bar(1), ...more }] });
      expect(reply).toMatchObject(refusal(422, 'event_invalid', pointer));
    });

    it('another ack is refused', async () => {
      const reply = await push({ stream: 'candles_1m', events: [bar(1)], ack: 'memory' });
      expect(reply).toMatchObject(refusal(400, 'invalid_parameter', '/ack'));
    });
  });

  describe('reads', () => {
    const NOW = { service: 'btc_direction_inputs', entities: [{ symbol: 'BTC/USDT' }], include: ['meta'] };
    const QUERY = {
      ...NOW,
      entities: [{ symbol: 'BTC/USDT' }, { symbol: 'XX/YY' }],
      timestamp: new Date(NEWEST + 2000).toISOString(),
      known_at: 'now',
      features: { volume: 12.5 },
      max_staleness: { price: '30s' },
    };

    it('the query of the design', async () => {
      const { status, body } = await online(QUERY);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        service: expect.stringMatching(/^btc_direction_inputs@[0-9a-f]{12}$/),
        as_of: QUERY.timestamp,
        names: ['price', 'volume', 'rsi', 'macd.hist', 'z20'],
        partial: true,
        timing: { total_ms: expect.any(Number), storage_ms: expect.any(Number) },
      });
      expect(body.set).toBeUndefined();
      const [known, unknown] = body.results;
      expect(known).toMatchObject({
        entity: { symbol: 'BTC/USDT' },
        status: 'OK',
        statuses: ['PRESENT', 'PRESENT', 'PRESENT', 'PRESENT', 'PRESENT'],
        meta: {
          event_time: new Date(NEWEST).toISOString(),
          age_ms: 2000,
          sources: ['stream', 'request', 'stream', 'stream', 'expression'],
          cache: 'log',
        },
      });
      expect(known.values[1]).toBe(12.5);
      expect(Date.parse(known.meta.ingested_at)).toBeGreaterThan(NEWEST);
      expect(unknown).toMatchObject({
        entity: { symbol: 'XX/YY' },
        status: 'NOT_FOUND',
        // A row has one value a name, and an unknown entity is no exception.
        values: [null, 12.5, null, null, null],
        error: { code: 'entity_not_found' },
        meta: { event_time: null, ingested_at: null, age_ms: null },
      });
    });

    it('says where a row came from: the log, the events in memory, or the vector that was there already', async () => {
      const caches = async (body: object): Promise<string[]> =>
        (await online(body)).body.results.map(({ meta }: { meta: { cache: string } }) => meta.cache);
      await caches(NOW);
      await push({ stream: 'candles_1m', events: [bar(0, 111)] });
      expect(await caches(NOW)).toEqual(['state']);
      expect(await caches(NOW)).toEqual(['vector']);
      expect(await caches({ ...NOW, entities: [{ symbol: 'NEVER/SEEN' }] })).toEqual(['log']);
    });

    it('says nothing of it unless asked', async () => {
      expect((await online({ ...QUERY, include: [] })).body.results[0].meta).toBeUndefined();
      expect((await online({ ...QUERY, include: undefined })).body.results[0].meta).toBeUndefined();
    });

    it('max_staleness: older is STALE, whatever the ttl allows, and never younger', async () => {
      const statuses = async (most: object): Promise<string[]> =>
        (await online({ ...QUERY, features: {}, entities: [{ symbol: 'BTC/USDT' }], max_staleness: most })).body
          .results[0].statuses;
      expect(await statuses({ price: '2s' })).toEqual(['PRESENT', 'PRESENT', 'PRESENT', 'PRESENT', 'PRESENT']);
      expect(await statuses({ price: '1999ms', rsi: '1s' })).toEqual([
        ...['STALE', 'PRESENT', 'STALE', 'PRESENT', 'PRESENT'],
      ]);
      const list = await online({
        features: ['btc_technical:rsi', 'btc_technical:price'],
        entities: [{ symbol: 'BTC/USDT' }],
        max_staleness: { 'btc_technical:rsi': '1ms', price: '1h' },
      });
      expect(list.body.results[0]).toMatchObject({ values: [null, expect.any(Number)] });
      expect(list.body.results[0].statuses).toEqual(['STALE', 'PRESENT']);
    });

    it('207 for answers that are partial, where the caller would know by the status', async () => {
      const multi = await online(QUERY, { prefer: 'status=multi' });
      expect(multi).toMatchObject({ status: 207, body: { partial: true } });
      expect(multi.headers.get('preference-applied')).toBe('status=multi');
      const whole = await online({ ...QUERY, entities: [{ symbol: 'BTC/USDT' }] }, { prefer: 'status=multi' });
      expect(whole).toMatchObject({ status: 200, body: { partial: false } });
      expect((await online(QUERY, { prefer: 'respond-async, Status="multi"; x=1' })).status).toBe(207);
      expect((await online(QUERY, { prefer: 'status=single' })).status).toBe(200);
    });

    it.each([
      ['two sets', { set: 'btc_direction_inputs' }, '/service'],
      ['values twice', { given: { volume: 1 } }, '/features'],
      ['a duration that is none', { max_staleness: { price: 30 } }, '/max_staleness/price'],
      ['a staleness of nothing', { max_staleness: { prise: '30s' } }, '/max_staleness/prise'],
      ['a staleness that is no object', { max_staleness: '30s' }, '/max_staleness'],
      ['something else to include', { include: ['metadata'] }, '/include/0'],
      ['no list to include', { include: 'meta' }, '/include'],
    ])('%s is refused', async (_what, more, pointer) => {
      expect(await online({ ...QUERY, ...more })).toMatchObject(refusal(400, 'invalid_parameter', pointer));
    });

    it('explains by service too', async () => {
      const asked = { service: 'btc_direction_inputs', feature: 'rsi', entity: { symbol: 'BTC/USDT' } };
      expect(await client.post('/v1/features/explain', asked)).toMatchObject({ status: 200, body: { feature: 'rsi' } });
    });
  });
});
