import { examplePackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const view = (name: string, streams: object[], features: object[], more: object = {}): object => ({
  ...{ name, entity: { name: 'symbol' }, streams, features },
  ...more,
});
const BARS = {
  name: 'bars',
  identity: 'event_time',
  fields: { close: 'double', venue: 'string' },
  rules: [
    { field: 'venue', in_set: ['A', 'B'], action: 'warn' },
    { expression: 'venue != "" && close > 0', action: 'reject' },
  ],
};
const PRICE = { name: 'price', op: 'last', input: 'close' };
const NOW = Date.now();
const bar = (close: number, more: object = {}): object => ({
  entity: 'BTC',
  event_time: new Date(NOW - 60_000).toISOString(),
  values: { close, venue: 'A' },
  ...more,
});

describe('what features answer in corners', () => {
  let server: TestServer;
  let client: RecordedClient;
  let hash: string;

  const put = (route: string, body: object): Promise<Reply> =>
    client.call('PUT', `/v1/features/${route}`, { body, headers: { 'content-type': 'application/json' } });
  const push = (stream: string, ...events: object[]): Promise<Reply> =>
    client.post('/v1/features/push', { stream, events });
  const online = (body: object): Promise<Reply> => client.post('/v1/features/online', body);
  const price = async (symbol = 'BTC'): Promise<unknown> =>
    (await online({ features: ['market:price'], entities: [{ symbol }] })).body.results[0].values[0];

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_FEATURE_CLOCK_SKEW_MS: '60000' } });
    client = new RecordedClient(server, 'corners');
    const published = await put('views/market', view('market', [BARS], [PRICE]));
    expect(published).toMatchObject({ status: 200 });
    hash = published.body.hash;
    expect(await put('sets/inputs', { name: 'inputs', features: ['market:price'] })).toMatchObject({ status: 200 });
    expect(await push('bars', bar(7))).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  describe('names that are nearly right', () => {
    it.each([
      ['online', { featurs: ['market:price'], entities: [{ symbol: 'BTC' }] }, '/featurs', "did you mean 'features'?"],
      ['explain', { feature: 'market:price', entty: {} }, '/entty', "did you mean 'entity'?"],
      ['historical', { set: 'inputs', row: [] }, '/row', "did you mean 'rows'?"],
      [
        'historical',
        { set: 'inputs', generate: { stream: 'bars', form: 1 } },
        '/generate/form',
        "did you mean 'from'?",
      ],
      ['push', { stream: 'bars', evnts: [] }, '/evnts', "did you mean 'events'?"],
    ])('%s: unknown_field names what was meant', async (route, body, pointer, hint) => {
      const reply = await client.post(`/v1/features/${route}`, body);
      expect(reply).toMatchObject({ status: 400, body: { code: 'unknown_field', errors: [{ pointer, hint }] } });
    });

    it('of an event and of what a request gives too', async () => {
      const wrong = await push('bars', bar(1, { evnt_id: 'x' }));
      expect(wrong.body.errors).toMatchObject([{ pointer: '/events/0/evnt_id', hint: "did you mean 'event_id'?" }]);
      const given = await online({ set: 'inputs', entities: [{ symbol: 'BTC' }], given: { prise: 1 } });
      expect(given.body.errors).toMatchObject([{ pointer: '/given/prise', hint: "did you mean 'price'?" }]);
    });
  });

  it('versions go by the whole hash as records write them', async () => {
    expect(await client.get(`/v1/features/views/market@${hash}`)).toMatchObject({ status: 200, body: { hash } });
    const set = (await client.get('/v1/features/sets/inputs')).body.hash as string;
    expect(set).toMatch(/^sha256:/);
    expect(await client.get(`/v1/features/sets/inputs@${set}`)).toMatchObject({ status: 200, body: { hash: set } });
    const entities = [{ symbol: 'BTC' }];
    expect(await online({ set: `inputs@${set}`, entities })).toMatchObject({ status: 200 });
    expect(await online({ features: [`market@${hash}:price`], entities })).toMatchObject({ status: 200 });
    for (const query of [`view=market@${hash}`, `set=inputs@${set}`]) {
      const { body } = await client.get(`/v1/features/lineage?${query}`);
      expect(body.nodes.map(({ name }: { name: string }) => name)).toContain('market:price');
    }
    const again = { name: 'again', features: [`market@${hash}:price`] };
    expect(await put('sets/again?dry_run=true', again)).toMatchObject({ status: 200 });
    const service = { feature_service: `inputs@${set}`, entities: { symbol: ['BTC'] } };
    expect(await client.post('/get-online-features', service)).toMatchObject({ status: 200 });
  });

  describe('streams without events', () => {
    const typo = { name: 'ticks', fields: { pirce: 'string' } };
    const right = { name: 'ticks', fields: { price: 'double' } };
    const last = (input: string): object => ({ name: 'last_price', op: 'last', input });

    it('are changed at will, until the first event', async () => {
      expect(await put('views/ticker', view('ticker', [typo], [last('pirce')]))).toMatchObject({ status: 200 });
      const changed = await put('views/ticker', view('ticker', [right], [last('price')]));
      expect(changed).toMatchObject({ status: 200 });
      const event = { entity: 'BTC', event_time: new Date(NOW - 5000).toISOString(), values: { price: 3 } };
      expect(await push('ticks', event)).toMatchObject({ status: 200 });
      const read = await online({ features: ['ticker:last_price'], entities: [{ symbol: 'BTC' }] });
      expect(read.body.results[0].values).toEqual([3]);
      expect(await put('views/ticker', view('ticker', [typo], [last('pirce')]))).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/streams/0/fields' }] },
      });
    });

    it('are there for another view when theirs is deleted', async () => {
      const stream = { name: 'freed', fields: { a: 'double' } };
      const feature = { name: 'a', op: 'last', input: 'a' };
      expect(await put('views/first', view('first', [stream], [feature]))).toMatchObject({ status: 200 });
      expect(await client.call('DELETE', '/v1/features/views/first')).toMatchObject({ status: 200 });
      expect(await put('views/second', view('second', [stream], [feature]))).toMatchObject({ status: 200 });
      // With events it stays with its view.
      const event = { entity: 'BTC', event_time: new Date(NOW - 5000).toISOString(), values: { a: 3 } };
      expect(await push('freed', event)).toMatchObject({ status: 200 });
      expect(await client.call('DELETE', '/v1/features/views/second')).toMatchObject({ status: 200 });
      expect(await put('views/first', view('first', [stream], [feature]))).toMatchObject({ status: 422 });
    });

    it('stay as they are while somebody reads them as they were', async () => {
      const stream = { name: 'pinned', fields: { a: 'double' } };
      const feature = { name: 'a', op: 'last', input: 'a' };
      expect(await put('views/reader', view('reader', [stream], [feature]))).toMatchObject({ status: 200 });
      expect(await put('sets/pins', { name: 'pins', features: ['reader:a'] })).toMatchObject({ status: 200 });
      const other = view('reader', [{ name: 'pinned', fields: { a: 'string' } }], [feature]);
      const refused = await put('views/reader', other);
      expect(refused).toMatchObject({ status: 409, body: { code: 'in_use' } });
      expect(refused.body.detail).toContain("set 'pins'");
      expect(await client.call('DELETE', '/v1/features/sets/pins')).toMatchObject({ status: 200 });
      expect(await put('views/reader', other)).toMatchObject({ status: 200 });
      // The version of before has nothing to read any more.
      const { publications } = (await client.get('/v1/features/views/reader')).body;
      const old = publications.at(-1).hash as string;
      const read = await online({ features: [`reader@${old}:a`], entities: [{ symbol: 'BTC' }] });
      expect(read).toMatchObject({ status: 404, body: { code: 'feature_view_not_found' } });
    });
  });

  it('a retention that is lowered is told as what it is, before it happens and when it has', async () => {
    const kept = (retention: string): object =>
      view('kept', [{ name: 'kept_s', retention, fields: { close: 'double' } }], [PRICE]);
    const first = await put('views/kept', kept('30d'));
    expect(first.body).not.toHaveProperty('warnings');
    const warnings = [
      {
        ...{ pointer: '/streams/0/retention', code: 'retention_lowered', stream: 'kept_s', from: '30d', to: '36h' },
        gone_before: expect.stringMatching(/^\d{4}-.*Z$/),
        detail: expect.stringContaining('does not bring them back'),
      },
    ];
    const dry = await put('views/kept?dry_run=true', kept('36h'));
    expect(dry).toMatchObject({ status: 200, body: { dry_run: true, warnings } });
    const before = Date.parse(dry.body.warnings[0].gone_before);
    expect(Math.abs(Date.now() - 36 * 3_600_000 - before)).toBeLessThan(3_600_000);
    expect(await put('views/kept', kept('36h'))).toMatchObject({ status: 200, body: { dry_run: false, warnings } });
    const changes = { retention_lowered: [{ stream: 'kept_s', from: '30d', to: '36h' }] };
    expect(await client.lastEvent()).toMatchObject({ action: 'feature.publish', changes });
    expect((await put('views/kept', kept('30d'))).body).not.toHaveProperty('warnings');
  });

  it('the event of a publication says whether it published anything', async () => {
    const said = (close: string): object =>
      view('said', [{ name: 'said_s', fields: { close } }], [{ ...PRICE, input: 'close' }]);
    const changes = async (): Promise<unknown> => {
      const { action, changes: told } = await client.lastEvent();
      expect(action).toBe('feature.publish');
      return told;
    };
    const { body: dry } = await put('views/said?dry_run=true', said('double'));
    expect(await changes()).toEqual({ dry_run: true, hash: dry.hash });
    expect(await put('views/said?dry_run=true', said('none'))).toMatchObject({ status: 422 });
    expect(await changes()).toEqual({ dry_run: true });
    expect(await put('views/said', said('double'))).toMatchObject({ status: 200, body: { hash: dry.hash } });
    expect(await changes()).toEqual({ hash: dry.hash });
    expect(await put('views/said', said('double'))).toMatchObject({ status: 200, body: { unchanged: true } });
    expect(await changes()).toEqual({ hash: dry.hash, previous: dry.hash, breaking: false, unchanged: true });
    expect(await put('views/said?dry_run=true', said('double'))).toMatchObject({ status: 200 });
    expect(await changes()).toEqual({ dry_run: true, hash: dry.hash, unchanged: true });
  });

  it('a window that begins before its stream is kept is told', async () => {
    const stream = { name: 'brief', retention: '2h', fields: { close: 'double' } };
    const hour = { name: 'hour', op: 'mean', input: 'close', window: '1h' };
    expect(await put('views/brief_view', view('brief_view', [stream], [PRICE, hour]))).toMatchObject({ status: 200 });
    const read = async (feature: string, minutesAgo: number): Promise<unknown> => {
      const timestamp = new Date(Date.now() - minutesAgo * 60_000).toISOString();
      const reply = await online({ features: [`brief_view:${feature}`], entities: [{ symbol: 'BTC' }], timestamp });
      expect(reply).toMatchObject({ status: 200 });
      return reply.body.warnings;
    };
    expect(await read('hour', 90)).toEqual([{ pointer: '/timestamp', code: 'window_beyond_retention' }]);
    expect([await read('hour', 50), await read('price', 90)]).toEqual([undefined, undefined]);

    const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
    const made = async (feature: string, more: object): Promise<unknown> => {
      const begun = await client.post('/v1/features/historical', { features: [`brief_view:${feature}`], ...more });
      const { body } = await client.ended(begun.headers.get('location') ?? '');
      expect(body.status).toBe('succeeded');
      return body.result.warnings;
    };
    const rows = [50, 90, 100].map((minutes) => ({ symbol: 'BTC', timestamp: ago(minutes) }));
    const code = 'window_beyond_retention';
    expect(await made('hour', { rows })).toEqual([{ pointer: '/rows/1/timestamp', code, rows: 2 }]);
    expect([await made('hour', { rows: rows.slice(0, 1) }), await made('price', { rows })]).toEqual([
      undefined,
      undefined,
    ]);
    expect(await push('brief', bar(7, { values: { close: 7 } }))).toMatchObject({ status: 200 });
    const generate = { stream: 'brief', from: ago(90), to: ago(10), step: '20m' };
    expect(await made('hour', { generate })).toEqual([{ pointer: '/generate/from', code, rows: 2 }]);

    const member = (feature: string, name: string): object => ({ feature: `brief_view:${feature}`, name, default: 1 });
    const features = [
      member('hour', 'price'),
      member('price', 'volume'),
      member('price', 'rsi'),
      member('price', 'macd'),
    ];
    expect(await put('sets/brief_set', { name: 'brief_set', on_missing: 'default', features })).toMatchObject({
      status: 200,
    });
    const files = examplePackage('momentum-1.3.0', { name: 'brief_model', version: '1.0.0', feature_set: 'brief_set' });
    expect(await client.upload('brief_model', files)).toMatchObject({ status: 201 });
    const predict = async (minutesAgo: number): Promise<unknown> => {
      const ask = { symbol: 'BTC', timestamp: ago(minutesAgo), model_version: '1.0.0' };
      const reply = await client.post('/models/brief_model/predict', ask);
      expect(reply).toMatchObject({ status: 200 });
      return reply.body.degraded?.reasons;
    };
    expect(await predict(90)).toEqual(['features_defaulted', 'features_beyond_retention']);
    expect(await predict(50)).toEqual(['features_defaulted']);
  });

  it('a stream of another view goes with a key of the same type only', async () => {
    const number = { name: 'n', op: 'last', input: 'close' };
    const using = view('using', [{ name: 'bars', of: 'market' }], [number], { entity: { name: 'uid', type: 'int' } });
    expect(await put('views/using', using)).toMatchObject({
      status: 422,
      body: {
        code: 'invalid_definition',
        errors: [{ pointer: '/streams/0/of', expected: expect.stringContaining('string') }],
      },
    });
    const table = { name: 'venues', table: true, fields: { fee: 'double' } };
    const fee = { name: 'fee', source: 'static', table: 'venues' };
    expect(await put('views/venues', view('venues', [table], [fee], { entity: { name: 'venue' } }))).toMatchObject({
      status: 200,
    });
    // Rows of a table are looked up by a value: whose entity they are makes no difference.
    const venue = { name: 'venue', op: 'last', input: 'bars.venue' };
    const looked = view(
      'looked',
      [
        { name: 'bars', of: 'market' },
        { name: 'venues', of: 'venues' },
      ],
      [venue, { ...fee, key: 'venue' }],
    );
    expect(await put('views/looked?dry_run=true', looked)).toMatchObject({ status: 200 });
  });

  it('what breaks without a field: the rules that ask about it too', async () => {
    const { impact } = (await client.get('/v1/features/lineage?impact=bars.venue')).body;
    expect(impact.rules).toEqual([
      { view: 'market', target: 'bars.venue', rule: 'in_set', action: 'warn' },
      { view: 'market', target: 'bars', rule: 'expression', action: 'reject' },
    ]);
    expect((await client.get('/v1/features/lineage?impact=bars.close')).body.impact.rules).toMatchObject([
      { target: 'bars', rule: 'expression' },
    ]);
    expect((await client.get('/v1/features/lineage?impact=bars')).body.impact.rules).toHaveLength(2);
  });

  describe('clocks that run ahead', () => {
    it('within what is set: the answer is of now, and says so', async () => {
      const timestamp = new Date(Date.now() + 30_000).toISOString();
      const { status, body } = await online({ set: 'inputs', entities: [{ symbol: 'BTC' }], timestamp });
      expect(status).toBe(200);
      expect(Date.parse(body.as_of)).toBeLessThan(Date.parse(timestamp));
      expect(body.warnings).toEqual([{ pointer: '/timestamp', code: 'timestamp_clamped' }]);
      const past = await online({
        set: 'inputs',
        entities: [{ symbol: 'BTC' }],
        timestamp: new Date(NOW).toISOString(),
      });
      expect(past.body.warnings).toBeUndefined();
      expect(await push('bars', bar(9, { entity: 'AHEAD', event_time: timestamp }))).toMatchObject({ status: 200 });
    });

    it('the same of predictions', async () => {
      const names = ['price', 'volume', 'rsi'];
      const stream = { name: 'signals', fields: Object.fromEntries(names.map((name) => [name, 'double'])) };
      const last = names.map((name) => ({ name, op: 'last', input: name }));
      expect(await put('views/signalling', view('signalling', [stream], last))).toMatchObject({ status: 200 });
      const features = names.map((name) => `signalling:${name}`);
      expect(await put('sets/signals', { name: 'signals', features })).toMatchObject({ status: 200 });
      const files = examplePackage('momentum-1.3.0', { name: 'ahead', version: '1.0.0', feature_set: 'signals' });
      expect(await client.upload('ahead', files)).toMatchObject({ status: 201 });
      expect(await client.promote('ahead', 'production', '1.0.0')).toMatchObject({ status: 200 });
      const given = { price: 1, volume: 2, rsi: 3 };
      const predictIn = (seconds: number): Promise<Reply> => {
        const timestamp = new Date(Date.now() + seconds * 1000).toISOString();
        return client.post('/models/ahead/predict', { symbol: 'BTC', timestamp, features: given });
      };
      expect(await predictIn(30)).toMatchObject({ status: 200 });
      expect(await predictIn(90)).toMatchObject({ status: 422, body: { code: 'timestamp_in_future' } });
    });

    it('beyond it: refused', async () => {
      const timestamp = new Date(Date.now() + 90_000).toISOString();
      const reply = await online({ set: 'inputs', entities: [{ symbol: 'BTC' }], timestamp });
      expect(reply).toMatchObject({ status: 422, body: { code: 'timestamp_in_future' } });
      expect(await push('bars', bar(9, { entity: 'AHEAD', event_time: timestamp }))).toMatchObject({ status: 422 });
    });
  });

  it('an event that says again what another one has replaced is a repetition, and the answer says how to return to it', async () => {
    const of = (close: number, more: object = {}): object => bar(close, { entity: 'BACK', ...more });
    expect((await push('bars', of(1), of(5))).body.counts).toEqual({ ACCEPTED: 1, CORRECTED: 1 });
    const { body } = await push('bars', of(1));
    expect(body.results).toMatchObject([{ status: 'DUPLICATE', reason: expect.stringContaining('event_id') }]);
    expect(await price('BACK')).toBe(5);
    expect((await push('bars', of(5))).body.results[0]).not.toHaveProperty('reason');
    expect((await push('bars', of(1, { event_id: 'back-to-1' }))).body.counts).toEqual({ CORRECTED: 1 });
    expect(await price('BACK')).toBe(1);
  });
});
