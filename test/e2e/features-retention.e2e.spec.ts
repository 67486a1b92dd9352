import { examplePackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const HOUR = 60;
const DAY = 24 * HOUR;
const BEYOND = { pointer: '/timestamp', code: 'window_beyond_retention' };
const ago = (minutes: number): string => new Date(Date.now() - minutes * 60_000).toISOString();
const view = (name: string, stream: object, features: object[]): object => ({
  ...{ name, entity: { name: 'symbol' }, streams: [stream], features },
});
const PRICE = { name: 'price', op: 'last', input: 'close' };
const BEFORE = { name: 'before', op: 'lag', input: 'close' };
const mean = (name: string, window: string | number): object => ({ name, op: 'mean', input: 'close', window });

describe('how long the events of a stream count', () => {
  let server: TestServer;
  let client: RecordedClient;

  const put = async (route: string, body: object): Promise<Reply> => {
    const headers = { 'content-type': 'application/json' };
    const reply = await client.call('PUT', `/v1/features/${route}`, { body, headers });
    expect(reply).toMatchObject({ status: 200 });
    return reply;
  };
  const push = async (
    stream: string,
    closes: readonly (readonly [minutes: number, close: number])[],
  ): Promise<void> => {
    const events = closes.map(([minutes, close]) => ({
      ...{ entity: 'BTC', event_time: ago(minutes), values: { close } },
    }));
    expect(await client.post('/v1/features/push', { stream, events })).toMatchObject({ status: 200 });
  };
  const online = async (features: readonly string[], more: object = {}): Promise<Reply['body']> => {
    const reply = await client.post('/v1/features/online', { features, entities: [{ symbol: 'BTC' }], ...more });
    expect(reply).toMatchObject({ status: 200 });
    return reply.body;
  };
  const trained = async (features: readonly string[], more: object): Promise<Reply['body']> => {
    const begun = await client.post('/v1/features/historical', { features, ...more });
    const { body } = await client.ended(begun.headers.get('location') ?? '');
    expect(body.status).toBe('succeeded');
    return body.result;
  };

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '' } });
    client = new RecordedClient(server, 'retention');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  it.each([
    ['lowered', '30d', '1d', ['NOT_FOUND', 'NOT_FOUND']],
    ['raised', '1d', '30d', ['PRESENT', 'PRESENT']],
  ])('%s, it is the same for reads of now and for the log at once', async (name, before, after, statuses) => {
    const of = (retention: string): object =>
      view(name, { name: `${name}_bars`, retention, fields: { close: 'double' } }, [PRICE, BEFORE]);
    await put(`views/${name}`, of('30d'));
    await push(`${name}_bars`, [
      [1.4 * DAY, 1],
      [1.3 * DAY, 2],
    ]);
    await put(`views/${name}`, of(before));
    const features = [`${name}:price`, `${name}:before`];
    // In memory with what counts until then.
    await online(features);
    await put(`views/${name}`, of(after));
    const now = await online(features, { include: ['meta'] });
    expect(now.results[0].statuses).toEqual(statuses);
    const log = await online(features, { timestamp: ago(0), known_at: 'now' });
    expect(log.results[0].statuses).toEqual(statuses);
    const { statuses: counts } = await trained(features, { rows: [{ symbol: 'BTC', timestamp: ago(0) }] });
    expect(counts).toEqual({ [statuses[0] as string]: 2 });
  });

  it('a set that pins a version of before reads by it, from memory and from the log, beside the one of now', async () => {
    const of = (retention: string): object =>
      view('pinned', { name: 'pinned_bars', retention, fields: { close: 'double' } }, [PRICE]);
    await put('views/pinned', of('30d'));
    await put('sets/pinned_set', { name: 'pinned_set', features: ['pinned:price'] });
    await push('pinned_bars', [[1.3 * DAY, 2]]);
    await put('views/pinned', of('1d'));
    const ofSet = async (more: object): Promise<unknown> => {
      const reply = await client.post('/v1/features/online', {
        set: 'pinned_set',
        entities: [{ symbol: 'BTC' }],
        ...more,
      });
      return reply.body.results[0].values;
    };
    const known = { timestamp: ago(0), known_at: 'now' };
    expect([await ofSet({}), await ofSet(known)]).toEqual([[2], [2]]);
    for (const more of [{}, known, {}])
      expect((await online(['pinned:price'], more)).results[0].statuses).toEqual(['NOT_FOUND']);
  });

  it('a window by time that begins before its stream is kept is told', async () => {
    const stream = { name: 'brief', retention: '2h', fields: { close: 'double' } };
    await put('views/brief_view', view('brief_view', stream, [PRICE, mean('hour', '1h')]));
    await push('brief', [
      [115, 6],
      [1, 7],
    ]);
    const read = async (feature: string, minutes: number): Promise<unknown> =>
      (await online([`brief_view:${feature}`], { timestamp: ago(minutes), known_at: 'now' })).warnings;
    expect(await read('hour', 90)).toEqual([BEYOND]);
    expect([await read('hour', 50), await read('price', 90)]).toEqual([undefined, undefined]);

    const made = async (feature: string, more: object): Promise<unknown> =>
      (await trained([`brief_view:${feature}`], { known_at: 'now', ...more })).warnings;
    const rows = [50, 90, 100].map((minutes) => ({ symbol: 'BTC', timestamp: ago(minutes) }));
    const { code } = BEYOND;
    expect(await made('hour', { rows })).toEqual([{ pointer: '/rows/1/timestamp', code, rows: 2 }]);
    expect(await made('hour', { rows: rows.slice(0, 1) })).toBeUndefined();
    expect(await made('price', { rows })).toBeUndefined();
    const generate = { stream: 'brief', from: ago(90), to: ago(10), step: '20m' };
    expect(await made('hour', { generate })).toEqual([{ pointer: '/generate/from', code, rows: 2 }]);

    const names = ['price', 'volume', 'rsi', 'macd'];
    const features = names.map((name) => ({ feature: 'brief_view:hour', name, default: 1 }));
    await put('sets/brief_set', { name: 'brief_set', on_missing: 'default', features });
    const files = examplePackage('momentum-1.3.0', { name: 'brief_model', version: '1.0.0', feature_set: 'brief_set' });
    expect(await client.upload('brief_model', files)).toMatchObject({ status: 201 });
    const predict = async (minutes: number): Promise<unknown> => {
      const ask = { symbol: 'BTC', timestamp: ago(minutes), model_version: '1.0.0' };
      const reply = await client.post('/models/brief_model/predict', ask);
      expect(reply).toMatchObject({ status: 200 });
      return reply.body.degraded?.reasons;
    };
    expect(await predict(90)).toEqual(['features_defaulted', 'features_beyond_retention']);
    expect(await predict(50)).toEqual(['features_defaulted']);
  });

  it('who names the stream of a view that keeps it for a shorter time since is told, now too, and by which window', async () => {
    const owner = (retention: string): object =>
      view('owner', { name: 'shrunk', retention, fields: { close: 'double' } }, [PRICE]);
    await put('views/owner', owner('30d'));
    const features = [PRICE, mean('week', '7d'), mean('three', 3)];
    await put('views/reader', view('reader', { name: 'shrunk', of: 'owner' }, features));
    await push('shrunk', [
      [5 * DAY, 1],
      [2 * HOUR, 2],
      [HOUR, 3],
    ]);
    const read = async (feature: string, more: object = {}): Promise<unknown> =>
      (await online([`reader:${feature}`], more)).warnings;
    const all = ['price', 'three', 'week'];
    for (const feature of all) expect(await read(feature)).toBeUndefined();
    await put('views/owner', owner('1d'));
    const past = { timestamp: ago(1), known_at: 'now' };
    for (const more of [past, {}]) {
      expect([await read('price', more), await read('week', more)]).toEqual([undefined, [BEYOND]]);
      expect(await read('three', more)).toEqual([BEYOND]);
    }
    const rows = [{ symbol: 'BTC', timestamp: ago(1) }];
    const made = await trained(['reader:three'], { rows, known_at: 'now' });
    expect(made.warnings).toEqual([{ pointer: '/rows/0/timestamp', code: BEYOND.code, rows: 1 }]);

    const names = ['price', 'volume', 'rsi', 'macd'];
    const members = names.map((name) => ({ feature: 'reader:three', name }));
    await put('sets/three_set', { name: 'three_set', features: members });
    const files = examplePackage('momentum-1.3.0', { name: 'three', version: '1.0.0', feature_set: 'three_set' });
    expect(await client.upload('three', files)).toMatchObject({ status: 201 });
    const reply = await client.post('/models/three/predict', { symbol: 'BTC', model_version: '1.0.0' });
    expect(reply).toMatchObject({ status: 200, body: { degraded: { reasons: ['features_beyond_retention'] } } });
  });
});
