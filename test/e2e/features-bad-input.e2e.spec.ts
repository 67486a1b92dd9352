import fs from 'node:fs';
import path from 'node:path';
import { generator, mutilated } from '../support/mutilated';
import { processTree } from '../support/processes.mjs';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { freePort, REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const START = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000;
const PUSH = '/v1/features/push';
const VIEW = {
  kind: 'FeatureView',
  name: 'card_risk',
  entity: { name: 'card_id', type: 'string', max_length: 64 },
  streams: [
    {
      name: 'payments',
      identity: 'event_id',
      fields: { amount: 'double', items: 'int', merchant: 'string', ok: 'bool' },
      allowed_lateness: '1h',
      retention: '30d',
    },
  ],
  features: [
    { name: 'last_amount', op: 'last', input: 'amount' },
    { name: 'spent', op: 'sum', input: 'amount', window: '1h', where: 'ok' },
    { name: 'merchants', op: 'distinct_count', input: 'merchant', window: '1h' },
    { name: 'share', expr: 'last_amount / max(spent, 1.0)' },
  ],
};
const SET = { kind: 'FeatureSet', name: 'card_risk_inputs', features: ['card_risk:last_amount', 'card_risk:share'] };

const payment = (values: object = {}, more: object = {}): object => ({
  entity: 'card-1',
  event_time: START,
  values: { amount: 12.5, items: 1, merchant: 'm', ok: true, ...values },
  ...more,
});

describe('bad input of the feature service', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    // A Redis that is never there: nothing may depend on it.
    const redis = `redis://127.0.0.1:${await freePort()}`;
    server = await startServer({ env: { SIBYL_MODELS: '', REDIS_URL: redis } });
    client = new RecordedClient(server, 'features-bad');
    expect(await put('views/card_risk', VIEW)).toMatchObject({ status: 200 });
    expect(await put('sets/card_risk_inputs', SET)).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const put = (what: string, body: unknown, type = 'application/json'): Promise<Reply> =>
    client.call('PUT', `/v1/features/${what}`, { body, headers: { 'content-type': type } });
  const push = (events: unknown, more: object = {}): Promise<Reply> =>
    client.post(PUSH, { stream: 'payments', events }, more);
  const lines = (body: string | Buffer): Promise<Reply> =>
    client.call('POST', `${PUSH}?stream=payments`, { body, headers: { 'content-type': 'application/x-ndjson' } });
  const statuses = ({ body }: Reply): string[] => body.results.map(({ status }: { status: string }) => status);
  /** A view of a name of its own that nobody has published. */
  const viewWith = (name: string, features: readonly unknown[], more: object = {}): object => ({
    ...VIEW,
    streams: [{ ...VIEW.streams[0], name: `${name}_events` }],
    ...more,
    name,
    features,
  });

  describe('definitions', () => {
    it.each<[string, readonly unknown[], object]>([
      [
        'a cycle, with its way',
        [
          { name: 'a', expr: 'b + 1' },
          { name: 'b', expr: 'c * 2' },
          { name: 'c', expr: 'a - 1' },
        ],
        { pointer: '/features/0/expr', hint: 'cycle: a → b → c → a' },
      ],
      [
        'an unknown field, with the near one',
        [{ name: 'a', op: 'sum', input: 'amuont', window: '1h' }],
        { pointer: '/features/0/input', hint: "did you mean 'amount'?" },
      ],
      [
        'an unknown name in an expression',
        [{ name: 'a', op: 'sum', input: 'amount', window: '1h', where: 'ok && itens > 1' }],
        { pointer: '/features/0/where', position: 6, hint: "there is no 'itens': did you mean 'items'?" },
      ],
      [
        'a type error, with its position',
        [{ name: 'a', expr: '1.0 + (broken_events.amount + broken_events.merchant)' }],
        { pointer: '/features/0/expr', position: 7, hint: expect.stringContaining('double and string') as string },
      ],
      ['a result of another type', [{ name: 'a', expr: '1.5', dtype: 'bool' }], { pointer: '/features/0/expr' }],
      [
        'an operator on text',
        [{ name: 'a', op: 'mean', input: 'merchant', window: 5 }],
        { pointer: '/features/0/input' },
      ],
    ])('422: %s', async (_, features, fault) => {
      const reply = await put('views/broken', viewWith('broken', features));
      expect(reply).toMatchObject({ status: 422, body: { code: 'invalid_definition', errors: [fault] } });
      expect(await client.get('/v1/features/views/broken')).toMatchObject({ status: 404 });
    });

    it.each([
      ['too long', `${'1.0 + '.repeat(700)}1.0`],
      ['of too many parts', `${'1+'.repeat(1000)}1`],
      ['too deep', `${'('.repeat(1500)}1${')'.repeat(1500)}`],
      ['too deep in conditions', `${'true ? '.repeat(300)}1${' : 2'.repeat(300)}`],
      ['too deep in signs', `${'-'.repeat(3000)}1`],
      ['a macro in a macro', '[1,2].map(x, [1,2].map(y, x * y).size()).size()'],
      ['a pattern that never ends', '"aaaa".matches("(a+)+$")'],
      ['a pattern that unrolls', 're2_matches("a", "((a{50}){50}){50}")'],
      ['of a host', 'constructor.constructor("return process")()'],
      ['of a prototype', '__proto__.polluted == 1'],
      ['a text that is never closed', '"'],
      ['of a map', '{"a": 1}["a"]'],
      ['of nothing', ''],
    ])('422: an expression bomb: %s', async (_, expr) => {
      const reply = await put('views/bomb', viewWith('bomb', [{ name: 'a', expr }]));
      expect(reply).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
      expect(reply.body.errors[0].pointer).toBe('/features/0/expr');
    });

    it('200: a view may be as large as views may be, and others are answered while it is read', async () => {
      const expr = `large_events.amount${' + large_events.amount'.repeat(20)}`;
      const large = viewWith(
        'large',
        Array.from({ length: 512 }, (_, i) => ({ name: `f${i}`, expr })),
      );
      const [reply, other] = await Promise.all([
        put('views/large?dry_run=true', large),
        client.get('/v1/features/views/card_risk'),
      ]);
      expect([reply.status, other.status]).toEqual([200, 200]);
    });

    it.each([
      ['YAML that multiplies itself', 'a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n'],
      ['YAML with a tag', 'kind: !!js/function "return 1"\n'],
      ['YAML that says a member twice', 'kind: FeatureView\nkind: FeatureSet\n'],
      ['YAML that is too deep', `${'['.repeat(5000)}${']'.repeat(5000)}`],
      ['YAML that is nothing', ''],
    ])('422: %s', async (_, text) => {
      const reply = await put('views/broken', text, 'application/yaml');
      expect(reply).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
    });

    it('413: more than a definition may be', async () => {
      const reply = await put('views/broken', `# ${'x'.repeat(2 * 1024 * 1024)}`, 'application/yaml');
      expect(reply).toMatchObject({ status: 413 });
    });

    it.each([
      ['a description', { description: 'a\0b' }],
      ['half a character', { description: 'a\ud800b' }],
      ['a tag', { tags: { owner: '\0' } }],
    ])('422 or 200, and no fault of ours: what PostgreSQL cannot store in %s', async (_, more) => {
      const reply = await put('views/odd', viewWith('odd', [{ name: 'a', op: 'last', input: 'amount' }], more));
      expect([200, 422]).toContain(reply.status);
    });

    it.each(['views/a%00b', 'views/..%2f..', 'sets/__proto__', `views/${'x'.repeat(300)}`, 'views/constructor'])(
      'no name: %s',
      async (what) => {
        expect([404, 422, 400]).toContain((await put(what, VIEW)).status);
        expect([404, 400]).toContain((await client.get(`/v1/features/${what}`)).status);
      },
    );

    it('422: a set of what is not there, or of one thing twice', async () => {
      for (const features of [
        ['card_risk:nothing'],
        ['nothing:share'],
        ['card_risk:share', 'card_risk:share'],
        [],
        [7],
      ])
        expect(await put('sets/broken', { ...SET, name: 'broken', features })).toMatchObject({
          status: 422,
          body: { code: 'invalid_definition' },
        });
    });
  });

  describe('events', () => {
    const written = (values: string): string =>
      `{"stream":"payments","events":[{"entity":"card-1","event_time":${START},"values":${values}}]}`;
    const raw = (body: string): Promise<Reply> =>
      client.call('POST', PUSH, { body, headers: { 'content-type': 'application/json' } });

    it.each([
      ['infinity', '{"amount":1e999,"items":1,"merchant":"m","ok":true}', '/events/0/values/amount'],
      ['minus infinity', '{"amount":-1e999,"items":1,"merchant":"m","ok":true}', '/events/0/values/amount'],
      ['NaN as text', '{"amount":"NaN","items":1,"merchant":"m","ok":true}', '/events/0/values/amount'],
      ['text for a number', '{"amount":"12.5","items":1,"merchant":"m","ok":true}', '/events/0/values/amount'],
      ['a list for a number', '{"amount":[12.5],"items":1,"merchant":"m","ok":true}', '/events/0/values/amount'],
      ['half a thing', '{"amount":1,"items":1.5,"merchant":"m","ok":true}', '/events/0/values/items'],
      [
        'more than a double counts',
        '{"amount":1,"items":9007199254740993,"merchant":"m","ok":true}',
        '/events/0/values/items',
      ],
      ['a number for text', '{"amount":1,"items":1,"merchant":7,"ok":true}', '/events/0/values/merchant'],
      ['text with a NUL', '{"amount":1,"items":1,"merchant":"\\u0000","ok":true}', '/events/0/values/merchant'],
      ['half a character', '{"amount":1,"items":1,"merchant":"\\ud800","ok":true}', '/events/0/values/merchant'],
      ['a number for a truth', '{"amount":1,"items":1,"merchant":"m","ok":1}', '/events/0/values/ok'],
      ['null', '{"amount":null,"items":1,"merchant":"m","ok":true}', '/events/0/values/amount'],
      ['a prototype', '{"amount":1,"items":1,"merchant":"m","ok":true,"__proto__":{}}', '/events/0/values/__proto__'],
    ])('422: %s', async (_, values, pointer) => {
      expect(await raw(written(values))).toMatchObject({
        status: 422,
        body: { code: 'event_invalid', errors: [{ pointer }] },
      });
    });

    it.each(['NaN', 'Infinity', '-Infinity', '0x10', '.5', '1e'])('400: %s, which is no JSON', async (number) => {
      const reply = await raw(written(`{"amount":${number},"items":1,"merchant":"m","ok":true}`));
      expect(reply).toMatchObject({ status: 400, body: { code: 'malformed_json' } });
    });

    it.each<[string, object, string]>([
      ['of the future', { event_time: Date.now() + 3_600_000 }, '/events/0/event_time'],
      ['ancient', { event_time: Date.now() - 31 * 86_400_000 }, '/events/0/event_time'],
      ['before time began', { event_time: -1 }, '/events/0/event_time'],
      ['after time ends', { event_time: 8.64e15 + 1 }, '/events/0/event_time'],
      ['in seconds', { event_time: Math.floor(START / 1000) }, '/events/0/event_time'],
      ['without a time', { event_time: null }, '/events/0/event_time'],
      ['of nobody', { entity: '' }, '/events/0/entity'],
      ['of a NUL', { entity: 'a\0' }, '/events/0/entity'],
      ['of somebody without end', { entity: 'x'.repeat(300) }, '/events/0/entity'],
      ['of more bytes than characters', { entity: '😀'.repeat(33) }, '/events/0/entity'],
      ['of a list', { entity: ['card-1'] }, '/events/0/entity'],
      ['of somebody by another name', { entity: { card: 'card-1' } }, '/events/0/entity/card_id'],
      ['of two names', { entity: { card_id: 'card-1', other: 1 } }, '/events/0/entity/other'],
      ['of somebody who is an object, and nobody', { entity: { card_id: '' } }, '/events/0/entity/card_id'],
      ['provisional where nothing replaces it', { final: false }, '/events/0/final'],
      ['with an empty id', { event_id: '' }, '/events/0/event_id'],
    ])('422: an event %s', async (_, more, pointer) => {
      expect(await push([payment({}, more)])).toMatchObject({
        status: 422,
        body: { code: 'event_invalid', errors: [{ pointer }] },
      });
    });

    it('200: duplicates count once, in a push and over pushes, and a bad row does not take the good ones along', async () => {
      const one = payment({}, { event_id: 'dup' });
      const rows = [
        one,
        one,
        payment({ amount: 'x' }),
        payment({}, { event_id: 'dup2' }),
        payment({ amount: 1 }, { event_id: 'dup' }),
      ];
      const reply = await push(rows);
      expect(statuses(reply)).toEqual(['ACCEPTED', 'DUPLICATE', 'INVALID', 'ACCEPTED', 'CONFLICT']);
      expect(statuses(await push([one]))).toEqual(['DUPLICATE']);
    });

    it('200: an event names its entity by itself or as reads do, which is the same event', async () => {
      const one = payment({}, { entity: 'named' });
      expect(statuses(await push([one]))).toEqual(['ACCEPTED']);
      const again = payment({}, { entity: { card_id: 'named' } });
      expect(statuses(await push([again]))).toEqual(['DUPLICATE']);
      expect((await lines(JSON.stringify(again))).body.counts).toEqual({ DUPLICATE: 1 });
    });

    it('200: what a line cannot say is a fault of that line alone', async () => {
      const good = JSON.stringify(payment({}, { event_id: 'line', entity: 'lines' }));
      const odd = [
        '{',
        '[]',
        'null',
        '"text"',
        'NaN',
        '\u0000',
        '{"entity":"a"}',
        `${'['.repeat(10_000)}`,
        '{}'.repeat(2),
      ];
      const reply = await lines([...odd, good, ''].join('\r\n'));
      expect(reply).toMatchObject({ status: 200, body: { counts: { ACCEPTED: 1, INVALID: odd.length } } });
      const latin = Buffer.concat([
        Buffer.from('{"entity":"'),
        Buffer.from([0xff, 0xfe, 0x0a]),
        Buffer.from(`${good}\n`),
      ]);
      expect((await lines(latin)).body.counts).toMatchObject({ INVALID: 1, DUPLICATE: 1 });
    });

    it('4xx: one line that does not end', async () => {
      const reply = await lines(`{"entity":"${'x'.repeat(8 * 1024 * 1024)}"}`);
      expect(reply.status === 200 ? reply.body.counts : {}).not.toHaveProperty('ACCEPTED');
      expect(reply.status).toBeLessThan(500);
    });

    it('200: a hot entity that eight callers push at once has each of its events once', async () => {
      const hot = (i: number): object =>
        payment({ amount: i }, { entity: 'hot', event_id: `hot-${i}`, event_time: START + i });
      const pushes = Array.from({ length: 50 }, (_, n) => Array.from({ length: 500 }, (__, i) => hot(n * 500 + i)));
      const counts: Record<string, number> = {};
      await Promise.all(
        Array.from({ length: 8 }, async (_, lane) => {
          for (let n = lane; n < pushes.length; n += 8)
            for (const status of statuses(await push(pushes[n]))) counts[status] = (counts[status] ?? 0) + 1;
        }),
      );
      const { ACCEPTED = 0, LATE_APPLIED = 0 } = counts;
      expect([Object.keys(counts).length <= 2, ACCEPTED + LATE_APPLIED]).toEqual([true, 25_000]);
      for (const again of [pushes[0], pushes[49]])
        expect(new Set(statuses(await push(again)))).toEqual(new Set(['DUPLICATE']));
    }, 60_000);
  });

  describe('reads', () => {
    const ask = (body: object): Promise<Reply> =>
      client.post('/v1/features/online', { set: 'card_risk_inputs', entities: [{ card_id: 'card-1' }], ...body });

    it.each<[string, object, number, string]>([
      ['a set that nobody published', { set: 'nothing' }, 404, 'feature_set_not_found'],
      ['a set and a list', { features: ['card_risk:share'] }, 400, 'invalid_parameter'],
      ['a view that is not there', { set: undefined, features: ['card:share'] }, 404, 'feature_view_not_found'],
      ['a feature that is not there', { set: undefined, features: ['card_risk:shar'] }, 400, 'invalid_parameter'],
      ['nobody', { entities: [] }, 400, 'invalid_parameter'],
      ['an entity by another name', { entities: [{ card: 'card-1' }] }, 400, 'invalid_parameter'],
      ['an entity that is a number', { entities: [{ card_id: 7 }] }, 400, 'invalid_parameter'],
      ['an entity without end', { entities: [{ card_id: 'x'.repeat(300) }] }, 400, 'invalid_parameter'],
      ['a prototype', { entities: [{ __proto__: null, constructor: 'x' }] }, 400, 'invalid_parameter'],
      [
        'more than a thousand',
        { entities: Array.from({ length: 1001 }, (_, i) => ({ card_id: `c${i}` })) },
        422,
        'batch_too_large',
      ],
      ['the future', { timestamp: Date.now() + 3_600_000 }, 422, 'timestamp_in_future'],
      ['ancient times', { timestamp: Date.now() - 40 * 86_400_000 }, 422, 'timestamp_before_retention'],
      ['a time in seconds', { timestamp: Math.floor(START / 1000) }, 400, 'invalid_parameter'],
      ['a member that is not there', { entity: {} }, 400, 'unknown_field'],
      ['a wait without end', { timeout_ms: 1e9 }, 400, 'invalid_parameter'],
    ])('%s', async (_, body, status, code) => {
      expect(await ask(body)).toMatchObject({ status, body: { code } });
    });

    it('200: somebody whom nobody knows has no values, and takes none from others', async () => {
      const reply = await ask({ entities: [{ card_id: 'stranger' }, { card_id: 'card-1' }] });
      expect(reply).toMatchObject({ status: 200, body: { partial: true, results: [{ status: 'NOT_FOUND' }, {}] } });
      expect(reply.body.results[0].values).toEqual([null, null]);
      expect(reply.body.results[1].values[0]).toEqual(expect.any(Number));
    });
  });

  it('429: a key with a limit is limited here too', async () => {
    const made = await client.post('/v1/keys', {
      name: 'limited producer',
      scopes: ['features:write'],
      rate_limit: { requests: 2, seconds: 60 },
    });
    const { key } = made.body as { key: string };
    const replies = [];
    for (let i = 0; i < 4; i++) replies.push((await push([payment({}, { event_id: `limit-${i}` })], { key })).status);
    expect(replies).toContain(429);
    expect(replies[0]).toBe(200);
  });

  it('mutilated bodies, a few hundred: always a coded answer, never a fault of ours', async () => {
    const random = generator(6);
    const examples = ['trading', 'card_fraud'].map((name) =>
      fs.readFileSync(path.join(REPOSITORY, `examples/features/${name}.yaml`), 'utf8').split('\n---\n'),
    );
    const seeds: readonly (() => Promise<Reply>)[] = [
      () =>
        client.call('POST', PUSH, {
          body: mutilated(JSON.stringify({ stream: 'payments', events: [payment()] }), random),
          headers: { 'content-type': 'application/json' },
        }),
      () => put('views/card_risk?dry_run=true', mutilated(JSON.stringify(VIEW), random)),
      () => put('sets/card_risk_inputs?dry_run=true', mutilated(JSON.stringify(SET), random)),
      () => put('views/btc_technical?dry_run=true', mutilated(examples[0]?.[0] ?? '', random), 'application/yaml'),
      () => put('views/card_fraud?dry_run=true', mutilated(examples[1]?.[0] ?? '', random), 'application/yaml'),
      () => lines(mutilated(JSON.stringify(payment()), random)),
      () =>
        client.call('POST', '/v1/features/online', {
          body: mutilated(
            '{"set":"card_risk_inputs","entities":[{"card_id":"card-1"}],"timestamp":null,"given":{"amount":1}}',
            random,
          ),
          headers: { 'content-type': 'application/json' },
        }),
    ];
    const seen = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const batch = Array.from({ length: 20 }, () => seeds[Math.floor(random() * seeds.length)]);
      for (const { status } of await Promise.all(batch.flatMap((send) => (send ? [send()] : [])))) seen.add(status);
    }
    expect([...seen].filter((status) => status >= 500)).toEqual([]);
    expect(seen).toContain(422);
  }, 60_000);

  it('503 while PostgreSQL is lost and Redis is not there: each push whole or not at all, definitions as they were', async () => {
    const pushes: { readonly events: object[]; status: number }[] = [];
    let running = true;
    const work = (async () => {
      while (running) {
        const from = pushes.length * 20;
        const events = Array.from({ length: 20 }, (_, i) =>
          payment(
            { amount: from + i },
            { entity: `lost-${i}`, event_id: `lost-${from + i}`, event_time: START + from },
          ),
        );
        pushes.push({ events, status: (await push(events)).status });
      }
    })();
    const until = async (holds: () => boolean): Promise<void> => {
      for (let tries = 0; !holds(); tries++) {
        if (tries > 600) throw new Error('it never came to hold');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await until(() => pushes.length > 3);
    for (const { pid, kind } of processTree(server.pid)) if (kind === 'postgres') process.kill(pid, 'SIGKILL');
    await until(() => pushes.some(({ status }) => status === 503));
    const lost = pushes.length;
    await until(() => pushes.slice(lost).some(({ status }) => status === 200));
    running = false;
    await work;
    expect(new Set(pushes.map(({ status }) => status))).toEqual(new Set([200, 503]));
    for (const { events, status } of pushes) {
      const found = new Set(statuses(await push(events)).map((one) => one === 'DUPLICATE'));
      expect(found.size).toBe(1);
      if (status === 200) expect(found).toEqual(new Set([true]));
    }
    expect(await client.get('/v1/features/views/card_risk')).toMatchObject({ status: 200 });
  }, 90_000);

  it('after all this the server answers, and nothing failed that it did not expect', async () => {
    expect(statuses(await push([payment({}, { entity: 'after' })]))).toEqual(['ACCEPTED']);
    expect(await server.call('GET', '/ready')).toMatchObject({ status: 200, body: { ready: true } });
    expect(server.log).not.toMatch(/failed unexpectedly|unhandled/i);
  });
});
