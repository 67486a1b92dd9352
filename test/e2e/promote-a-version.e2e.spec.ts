import http from 'node:http';
import path from 'node:path';
import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const EXAMPLES = path.join(__dirname, '../../examples/models');
const CONNECTIONS = 8;
const MOVES = 20;
const PROMOTERS = 50;

describe('promoting a version', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    const models = ['momentum-1.2.3', 'momentum-1.3.0'].map((name) => path.join(EXAMPLES, name));
    server = await startServer({ env: { SIBYL_MODELS: models.join(',') } });
    client = new RecordedClient(server, 'promote');
    // Three versions of a model whose answer is the number of its version.
    for (const version of [1, 2, 3]) {
      const model = linearModel({ weights: [[0]], bias: [version] });
      const files = modelPackage(model, { name: 'steps', version: `${version}`, task: 'regression' });
      const reply = await client.upload('steps', files);
      if (reply.status !== 201) throw new Error(`registering answered ${reply.status}: ${JSON.stringify(reply.body)}`);
    }
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  const route = (alias: string, model = 'steps'): string => `/v1/models/${model}/aliases/${alias}`;

  const put = (
    alias: string,
    version: string,
    headers: Record<string, string>,
    reason: unknown = 'a test',
  ): Promise<Reply> => client.call('PUT', route(alias), { headers, body: { version, reason } });

  const rollback = (alias: string, etag: string, model = 'steps'): Promise<Reply> =>
    client.post(`${route(alias, model)}/rollback`, { reason: 'worse' }, { headers: { 'if-match': etag } });

  /** What the model answers under a version or alias: the number of the version that served. */
  async function servedBy(version?: string): Promise<unknown> {
    const { body } = await client.post('/models/steps/predict', {
      features: { features: 0 },
      ...(version && { model_version: version }),
    });
    return body.prediction?.value ?? body.code;
  }

  const etagOf = (reply: Reply): string => reply.headers.get('etag') ?? 'none';

  describe('the first time', () => {
    it('there is no alias, so that latest serves', async () => {
      expect(await client.get(route('production'))).toMatchObject({ status: 404, body: { code: 'alias_not_found' } });
      expect(await client.get('/v1/models/steps/history')).toMatchObject({ status: 200, body: { items: [] } });
      expect([await servedBy(), await servedBy('latest'), await servedBy('production')]).toEqual([
        3,
        3,
        'version_not_found',
      ]);
    });

    it('needs If-None-Match: *; If-Match is 412, neither is 428', async () => {
      expect(await put('production', '1', {})).toMatchObject({ status: 428, body: { code: 'precondition_required' } });
      expect(await put('production', '1', { 'if-match': '"1"' })).toMatchObject({
        status: 412,
        body: { code: 'etag_mismatch' },
      });
      const made = await put('production', '1', { 'if-none-match': '*' }, 'the first');
      expect(made).toMatchObject({
        status: 200,
        body: { model: 'steps', alias: 'production', version: '1', reason: 'the first' },
      });
      expect(etagOf(made)).toBe(etagOf(await client.get(route('production'))));
      expect([await servedBy(), await servedBy('production'), await servedBy('latest')]).toEqual([1, 1, 3]);
    });

    it('is one event with who, what and why', async () => {
      const events = await client.events('action=model.promote&model=steps&outcome=succeeded');
      expect(events).toMatchObject([
        {
          status: 200,
          reason: 'the first',
          model: { name: 'steps', version: '1', alias: 'production' },
          actor: { type: 'key', name: 'admin' },
        },
      ]);
    });

    it('is seen in every list', async () => {
      const { body } = await client.get('/models/steps/versions');
      expect(body.versions.map((row: Record<string, unknown>) => [row.version, row.status, row.aliases])).toEqual([
        ['1', 'active', ['production']],
        ['2', 'validated', []],
        ['3', 'validated', []],
      ]);
    });
  });

  describe('again', () => {
    it('needs the ETag that the alias has now', async () => {
      const stale = etagOf(await client.get(route('production')));
      expect(await put('production', '2', { 'if-none-match': '*' })).toMatchObject({
        status: 412,
        body: { code: 'etag_mismatch' },
      });
      expect((await put('production', '2', { 'if-match': stale })).body).toMatchObject({
        version: '2',
        previous_version: '1',
      });
      expect(await put('production', '3', { 'if-match': stale })).toMatchObject({
        status: 412,
        body: { code: 'etag_mismatch' },
      });
      expect(await put('production', '3', { 'if-match': 'nonsense' })).toMatchObject({ status: 412 });
      expect(await servedBy()).toBe(2);
    });

    it('of two clients with one ETag exactly one wins', async () => {
      for (let round = 0; round < 5; round++) {
        const etag = etagOf(await client.get(route('production')));
        const replies = await Promise.all(
          ['1', '3'].map((version) => put('production', version, { 'if-match': etag })),
        );
        expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 412]);
        const winner = replies.find(({ status }) => status === 200);
        expect((await client.get(route('production'))).body.version).toBe(winner?.body.version);
        await put('production', '2', { 'if-match': etagOf(winner as Reply) });
      }
    });

    it('of 50 clients at once with one ETag exactly one wins, and all others are told so', async () => {
      const before = await client.get(route('production'));
      const replies = await Promise.all(
        Array.from({ length: PROMOTERS }, (_, i) =>
          put('production', i % 2 === 0 ? '1' : '3', { 'if-match': etagOf(before) }, `promoter ${i}`),
        ),
      );
      const count = (status: number): number => replies.filter((reply) => reply.status === status).length;
      expect([count(200), count(412)]).toEqual([1, PROMOTERS - 1]);
      const now = await client.get(route('production'));
      expect(now.body).toMatchObject({ revision: before.body.revision + 1, previous_version: before.body.version });
      expect(await servedBy()).toBe(Number(now.body.version));
      await put('production', '2', { 'if-match': etagOf(now) });
    });

    it('of two clients that make one alias exactly one wins', async () => {
      const replies = await Promise.all(
        ['1', '2'].map((version) => put('champion', version, { 'if-none-match': '*' })),
      );
      expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 412]);
    });

    it.each([
      ['no reason', { version: '1' }, 400, 'invalid_parameter'],
      ['an empty reason', { version: '1', reason: ' ' }, 400, 'invalid_parameter'],
      ['a reason that is no text', { version: '1', reason: 7 }, 400, 'invalid_parameter'],
      ['a reason of 2,000 characters', { version: '1', reason: 'x'.repeat(2000) }, 400, 'invalid_parameter'],
      ['no version', { reason: 'x' }, 400, 'invalid_parameter'],
      ['an unknown field', { version: '1', reason: 'x', force: true }, 400, 'unknown_field'],
      ['a version that is not there', { version: '9', reason: 'x' }, 404, 'version_not_found'],
    ])('%s is refused', async (_what, body, status, code) => {
      const headers = { 'if-match': etagOf(await client.get(route('production'))) };
      expect(await client.call('PUT', route('production'), { headers, body })).toMatchObject({
        status,
        body: { code },
      });
      expect(await servedBy()).toBe(2);
    });

    it('of a model that is not there is 404 with near names', async () => {
      const reply = await client.call('PUT', route('production', 'stepz'), {
        headers: { 'if-none-match': '*' },
        body: { version: '1', reason: 'x' },
      });
      expect(reply).toMatchObject({
        status: 404,
        body: { code: 'model_not_found', detail: expect.stringContaining('steps') },
      });
    });

    it.each(['latest', 'LATEST', '1', 'a%20b', '-x', 'x'.repeat(65), '%2e%2e'])(
      '%s is no alias that can be moved',
      async (alias) => {
        const reply = await put(alias, '1', { 'if-none-match': '*' });
        expect([400, 404]).toContain(reply.status);
      },
    );

    it('a version that is named like an alias is refused', async () => {
      const model = linearModel({ weights: [[0]], bias: [0] });
      const reply = await client.upload('steps', modelPackage(model, { name: 'steps', version: 'champion' }));
      expect([409, 422]).toContain(reply.status);
    });

    it('to where it points already changes nothing', async () => {
      const before = await client.get(route('production'));
      const again = await put('production', before.body.version, { 'if-match': etagOf(before) });
      expect([again.status, etagOf(again), again.body.version]).toEqual([200, etagOf(before), before.body.version]);
    });
  });

  describe('back', () => {
    it('goes one version at a time, and history only grows', async () => {
      let etag = '*';
      for (const version of ['1', '2', '3']) {
        const reply = await put('walk', version, etag === '*' ? { 'if-none-match': '*' } : { 'if-match': etag });
        etag = etagOf(reply);
      }
      for (const version of ['2', '1']) {
        const reply = await rollback('walk', etag);
        expect(reply).toMatchObject({ status: 200, body: { version, kind: 'rollback', reason: 'worse' } });
        expect(await servedBy('walk')).toBe(Number(version));
        etag = etagOf(reply);
      }
      expect(await rollback('walk', etag)).toMatchObject({ status: 409, body: { code: 'version_not_servable' } });
      const { body } = await client.get('/v1/models/steps/history?limit=1000');
      const walk = body.items.filter((item: { alias: string }) => item.alias === 'walk');
      expect(walk.map((item: { version: string }) => item.version)).toEqual(['1', '2', '3', '2', '1'].reverse());
      expect(
        walk.every(
          (item: Record<string, unknown>) =>
            item.reason !== '' && item.moved_at !== undefined && item.moved_by !== undefined,
        ),
      ).toBe(true);
    });

    it('needs If-Match and a reason', async () => {
      expect(await client.post(`${route('walk')}/rollback`, { reason: 'x' })).toMatchObject({
        status: 428,
        body: { code: 'precondition_required' },
      });
      expect(await rollback('walk', '"stale"')).toMatchObject({ status: 412, body: { code: 'etag_mismatch' } });
      expect(await client.post(`${route('walk')}/rollback`, {}, { headers: { 'if-match': '"1"' } })).toMatchObject({
        status: 400,
      });
      expect(await rollback('nowhere', '"1"')).toMatchObject({ status: 404, body: { code: 'alias_not_found' } });
    });

    it('?at= says what an alias pointed at then', async () => {
      const { body } = await client.get('/v1/models/steps/history?limit=1000');
      const moves = body.items.filter((item: { alias: string }) => item.alias === 'walk') as {
        version: string;
        moved_at: string;
      }[];
      for (const [i, move] of moves.entries()) {
        // Two moves may fall into one millisecond; then the later one holds.
        if (moves[i - 1]?.moved_at === move.moved_at) continue;
        const then = await client.get(`${route('walk')}?at=${encodeURIComponent(move.moved_at)}`);
        expect(then).toMatchObject({ status: 200, body: { version: move.version } });
      }
      expect(await client.get(`${route('walk')}?at=2020-01-01T00:00:00Z`)).toMatchObject({
        status: 404,
        body: { code: 'alias_not_found' },
      });
      expect(await client.get(`${route('walk')}?at=yesterday`)).toMatchObject({
        status: 400,
        body: { code: 'invalid_parameter' },
      });
      expect((await client.get(`${route('walk')}?at=2020-01-01T00:00:00%2B02:00`)).status).toBe(404);
    });

    it('history has pages', async () => {
      const all = (await client.get('/v1/models/steps/history?limit=1000')).body.items as unknown[];
      const paged: unknown[] = [];
      for (let next: string | undefined = ''; next !== undefined;) {
        const { body } = await client.get(
          `/v1/models/steps/history?limit=4${next && `&cursor=${encodeURIComponent(next)}`}`,
        );
        paged.push(...body.items);
        next = body.next as string | undefined;
      }
      expect(paged).toEqual(all);
    });
  });

  describe('the life of a version', () => {
    const decide = (what: string, version: string, body: unknown = { reason: 'decided' }): Promise<Reply> =>
      client.post(`/v1/models/steps/versions/${version}/${what}`, body);

    beforeAll(async () => {
      const model = linearModel({ weights: [[0]], bias: [4] });
      await client.upload('steps', modelPackage(model, { name: 'steps', version: '4', task: 'regression' }));
    });

    it.each(['validate', 'approve', 'archive'])('%s needs a reason', async (what) => {
      expect(await decide(what, '4', {})).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
      expect(await decide(what, '9')).toMatchObject({ status: 404, body: { code: 'version_not_found' } });
    });

    it('approved, validated again, archived: each is told and recorded', async () => {
      expect(await decide('approve', '4')).toMatchObject({ status: 200, body: { status: 'approved' } });
      expect(await decide('validate', '4')).toMatchObject({ status: 200, body: { report: { passed: true } } });
      expect(await servedBy('latest')).toBe(4);
      expect(await decide('archive', '4')).toMatchObject({ status: 200, body: { status: 'archived' } });
      const events = await client.events('model=steps&version=4');
      expect(events.filter(({ reason }) => reason === 'decided').map(({ action }) => action)).toEqual([
        'model.approve',
        'model.validate',
        'model.archive',
      ]);
    });

    it('an archived version neither serves nor is promoted, until it is approved again', async () => {
      await until(async () => (await servedBy('latest')) === 3);
      expect(await servedBy('4')).toBe('version_not_servable');
      const etag = etagOf(await client.get(route('production')));
      expect(await put('production', '4', { 'if-match': etag })).toMatchObject({
        status: 409,
        body: { code: 'version_not_servable' },
      });
      expect((await decide('approve', '4')).status).toBe(200);
      expect((await put('production', '4', { 'if-match': etag })).status).toBe(200);
      expect(await servedBy()).toBe(4);
    });

    it('what an alias points at cannot be archived', async () => {
      const reply = await decide('archive', '4');
      expect(reply).toMatchObject({
        status: 409,
        body: { code: 'in_use', detail: expect.stringContaining('production') },
      });
    });
  });

  describe('who may', () => {
    it('models:promote, and nobody else', async () => {
      const etag = etagOf(await client.get(route('production')));
      const issue = async (scopes: string[], models?: string[]): Promise<string> =>
        (await client.post('/v1/keys', { name: 'x', scopes, ...(models && { models }) })).body.key as string;
      const writer = await issue(['models:read', 'models:write', 'predict']);
      const promoter = await issue(['models:promote']);
      const elsewhere = await issue(['models:promote'], ['momentum']);
      const attempt = (key: string): Promise<Reply> =>
        client.call('PUT', route('production'), {
          key,
          headers: { 'if-match': etag },
          body: { version: '2', reason: 'x' },
        });
      expect(await attempt(writer)).toMatchObject({
        status: 403,
        body: { code: 'scope_missing', detail: expect.stringContaining('models:promote') },
      });
      expect(await attempt(elsewhere)).toMatchObject({ status: 403, body: { code: 'model_forbidden' } });
      expect((await attempt(promoter)).status).toBe(200);
      for (const what of ['approve', 'archive']) {
        const reply = await client.post(`/v1/models/steps/versions/3/${what}`, { reason: 'x' }, { key: writer });
        expect(reply).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
      }
    });
  });

  it('under load costs no request, and every answer names one of the two versions', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    const body = JSON.stringify({ features: { price: 45000, volume: 1e6, rsi: 65.5 } });
    const answers = new Map<string, number>();
    let moving = true;
    const predicting = Array.from({ length: CONNECTIONS }, async () => {
      while (moving) {
        const answer = await predict(server, agent, body);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
    });
    const versions: string[] = [];
    let etag = etagOf(await client.get(route('production', 'momentum')));
    try {
      for (let move = 0; move < MOVES; move++) {
        const version = move % 2 === 0 ? '1.3.0' : '1.2.3';
        const request = { headers: { 'if-match': etag }, body: { version, reason: `move ${move}` } };
        const reply = await client.call('PUT', route('production', 'momentum'), request);
        expect([move, reply.status]).toEqual([move, 200]);
        etag = etagOf(reply);
        // The switch is done when the answer is there.
        versions.push(await predict(server, agent, body));
      }
      for (let back = 0; back < MOVES; back++) {
        const reply = await rollback('production', etag, 'momentum');
        expect([back, reply.status]).toEqual([back, 200]);
        etag = etagOf(reply);
      }
    } finally {
      moving = false;
      await Promise.all(predicting);
      agent.destroy();
    }
    expect([...answers.keys()].sort()).toEqual(['200 1.2.3', '200 1.3.0']);
    expect(versions).toEqual(Array.from({ length: MOVES }, (_, move) => (move % 2 === 0 ? '200 1.3.0' : '200 1.2.3')));
    expect((await client.get(route('production', 'momentum'))).body.version).toBe('1.2.3');
  }, 60_000);

  it('each of all these requests has exactly one event with the status of its answer', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});

/** One prediction over a connection of the agent: status and the version that answered. */
function predict(server: TestServer, agent: http.Agent, body: string): Promise<string> {
  return new Promise((resolve) => {
    const headers = { 'x-api-key': server.adminKey, 'content-type': 'application/json', 'content-length': body.length };
    const request = http.request(`${server.url}/predict`, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += String(chunk)));
      response.once('end', () =>
        resolve(
          `${response.statusCode} ${(JSON.parse(text) as { model_info?: { version: string } }).model_info?.version}`,
        ),
      );
    });
    request.once('error', (error) => resolve(error.message));
    request.end(body);
  });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > deadline) throw new Error('it never came to hold');
}
