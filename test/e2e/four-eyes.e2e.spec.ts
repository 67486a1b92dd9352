import path from 'node:path';
import { linearModel } from '@sibyl/onnx/testing';
import { json, modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const STARTED = path.resolve('examples/models/momentum-1.2.3');

describe('four eyes', () => {
  let server: TestServer;
  let client: RecordedClient;
  let ann: string;
  let forged: string;
  let ben: string;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: STARTED } });
    client = new RecordedClient(server, 'four-eyes');
    ann = await issue('Ann');
    // Whoever may issue keys writes what they like into them.
    forged = await issue('Bo of the risk board', ann);
    ben = await issue('Ben');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  async function issue(owner: string, key?: string): Promise<string> {
    const scopes = ['models:read', 'models:write', 'models:promote', 'keys:write', 'predict'];
    const reply = await client.post('/v1/keys', { name: owner, owner, scopes }, key === undefined ? {} : { key });
    if (reply.status !== 201) throw new Error(`no key: ${JSON.stringify(reply.body)}`);
    return reply.body.key;
  }

  const put = (model: string, policy: object, etag: string, key: string): Promise<Reply> =>
    client.call('PUT', `/v1/models/${model}/policy`, {
      key,
      headers: etag === '' ? { 'if-none-match': '*' } : { 'if-match': etag },
      body: { ...policy, reason: 'the rules of the board' },
    });
  const approvePolicy = (model: string, key: string, etag?: string): Promise<Reply> =>
    client.post(
      `/v1/models/${model}/policy/approve`,
      { reason: 'agreed' },
      { key, headers: etag === undefined ? {} : { 'if-match': etag } },
    );
  const approve = (model: string, version: string, key?: string): Promise<Reply> =>
    client.post(
      `/v1/models/${model}/versions/${version}/approve`,
      { reason: 'reviewed' },
      key === undefined ? {} : { key },
    );
  const register = (name: string, version: string): Promise<Reply> => {
    const model = linearModel({ weights: [[0]], bias: [Number(version)] });
    const golden = {
      source: 'a test',
      samples: [{ inputs: { features: [[1]] }, outputs: { variable: [[Number(version)]] } }],
    };
    const files = modelPackage(model, { name, version, task: 'regression' }, { 'golden.json': json(golden) });
    return client.upload(name, files, {}, { key: ann });
  };
  const forbidden = { status: 403, body: { code: 'policy_forbidden' } };

  describe('on a version', () => {
    it('are those of two persons, whatever owner one of them writes into a second key', async () => {
      await put('seen', { approvals: 1 }, '', ann);
      expect((await register('seen', '1')).status).toBe(201);
      for (const key of [ann, forged]) expect(await approve('seen', '1', key)).toMatchObject(forbidden);
      expect(await approve('seen', '1', ben)).toMatchObject({ status: 200, body: { status: 'approved' } });
    });

    it('that the server took in at its start are not those of the operator', async () => {
      await put('momentum', { approvals: 1 }, '', ann);
      expect(await approve('momentum', '1.2.3')).toMatchObject(forbidden);
      expect(await approve('momentum', '1.2.3', ben)).toMatchObject({ status: 200 });
    });
  });

  describe('on a weaker policy', () => {
    it('202: it is proposed, and the one in force stays', async () => {
      await put('kept', { approvals: 1, metrics: ['accuracy >= 0.7'] }, '', ann);
      const reply = await put('kept', {}, '"1"', ann);
      expect(reply).toMatchObject({
        status: 202,
        body: {
          revision: 1,
          approvals: 1,
          proposed: {
            etag: '"1.1"',
            policy: { approvals: 0, metrics: [] },
            weakens: ['metrics', 'approvals'],
            proposed_by: { owner: 'Ann' },
            approvals: [],
          },
        },
      });
      expect(reply.headers.get('etag')).toBe('"1"');
      expect(await client.lastEvent()).toMatchObject({
        action: 'policy.propose',
        outcome: 'succeeded',
        status: 202,
        changes: { proposal: 1, weakens: ['metrics', 'approvals'] },
      });
      expect((await client.get('/v1/models/kept/policy')).body).toEqual(reply.body);
    });

    it('403: are not those of who proposed it, whichever key they use', async () => {
      for (const key of [ann, forged]) expect(await approvePolicy('kept', key, '"1.1"')).toMatchObject(forbidden);
    });

    it('428 without the ETag of what was read; 412 with that of another', async () => {
      expect(await approvePolicy('kept', ben)).toMatchObject({ status: 428, body: { code: 'precondition_required' } });
      expect(await approvePolicy('kept', ben, '*')).toMatchObject({ status: 428 });
      expect(await approvePolicy('kept', ben, '"1"')).toMatchObject({ status: 412, body: { code: 'etag_mismatch' } });
      expect(await approvePolicy('seen', ben, '"1.1"')).toMatchObject({ status: 412 });
    });

    it('outlive kill -9', async () => {
      await server.kill9();
      await server.start();
      expect((await client.get('/v1/models/kept/policy')).body.proposed.etag).toBe('"1.1"');
    }, 90_000);

    it('200: bring it into force, and it says whose they were', async () => {
      const reply = await approvePolicy('kept', ben, '"1.1"');
      expect(reply).toMatchObject({
        status: 200,
        body: {
          revision: 2,
          approvals: 0,
          set_by: { owner: 'Ann' },
          set_approvals: [{ approved_by: { owner: 'Ben' } }],
        },
      });
      expect(reply.body).not.toHaveProperty('proposed');
      expect(await client.lastEvent()).toMatchObject({
        action: 'policy.approve',
        changes: { proposal: 1, given: 1, revision: 2, approvals: { from: 1, to: 0 } },
      });
    });

    it('200: a stricter one needs none', async () => {
      expect(await put('seen', { approvals: 2 }, '"1"', ann)).toMatchObject({ status: 200, body: { revision: 2 } });
    });

    it('404: of a model that nobody has heard of', async () => {
      expect(await approvePolicy('unheard', ben, '"1.1"')).toMatchObject({
        status: 404,
        body: { code: 'model_not_found' },
      });
    });
  });

  it('428: an alias is moved by nobody who has not looked where it is', async () => {
    await register('moved', '1');
    await client.promote('moved', 'production', '1');
    const body = { version: '1', reason: 'whatever it is now' };
    const route = '/v1/models/moved/aliases/production';
    expect(await client.call('PUT', route, { headers: { 'if-match': '*' }, body })).toMatchObject({
      status: 428,
      body: { code: 'precondition_required' },
    });
    const back = await client.post(`${route}/rollback`, { reason: 'x' }, { headers: { 'if-match': '*' } });
    expect(back).toMatchObject({ status: 428 });
  });

  it('404: names no model that the key may not use, whoever answers', async () => {
    for (const name of ['churna', 'xhurna']) await register(name, '1');
    const scopes = ['models:read', 'models:write', 'models:promote', 'predict'];
    const { body } = await client.post('/v1/keys', { name: 'churn team', scopes, models: ['churn*'] });
    const replies = await Promise.all([
      client.get('/v1/models/churnaa/versions', { key: body.key }),
      client.get('/v1/models/churnaa/policy', { key: body.key }),
      client.post('/models/churnaa/predict', { features: { features: 1 } }, { key: body.key }),
      client.post('/predict', { model: 'churnaa', features: { features: 1 } }, { key: body.key }),
      client.post('/v1/models/churnaa/versions/1/approve', { reason: 'x' }, { key: body.key }),
    ]);
    for (const reply of replies) {
      expect(reply).toMatchObject({ status: 404, body: { code: 'model_not_found' } });
      expect(reply.body.detail).toContain("'churna'");
      expect(JSON.stringify(reply.body)).not.toContain('xhurna');
    }
    const all = await client.get('/v1/models/churnaa/versions');
    expect(all.body.detail).toContain("'xhurna'");
  });
});
