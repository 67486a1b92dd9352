import { endlessModel, encodeModel, attribute, linearModel, node, value } from '@sibyl/onnx/testing';
import { json, modelPackage, type PackageFiles } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

/** Answers random numbers: the same input, other bytes. */
function randomModel(): Buffer {
  return encodeModel({
    nodes: [node('RandomNormalLike', ['x'], ['y'], { attributes: [attribute('dtype', { i: 1 })] })],
    inputs: [value('x', 'FP32', [-1, 2])],
    outputs: [value('y', 'FP32', [-1, 2])],
  });
}

describe('the policy of a model', () => {
  let server: TestServer;
  let client: RecordedClient;
  let author: string;
  let risk: string;
  let riskToo: string;
  let board: string;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: '', SIBYL_VALIDATION_SECONDS: '600' } });
    client = new RecordedClient(server, 'policies');
    author = await issue('author', 'Ann');
    risk = await issue('risk laptop', 'Rita');
    riskToo = await issue('risk phone', 'rita');
    board = await issue('board', 'Bo');
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  async function issue(name: string, owner: string): Promise<string> {
    const scopes = ['models:read', 'models:write', 'models:promote', 'predict'];
    const reply = await client.post('/v1/keys', { name, owner, scopes });
    if (reply.status !== 201) throw new Error(`no key: ${JSON.stringify(reply.body)}`);
    return reply.body.key;
  }

  const policyOf = (model: string): string => `/v1/models/${model}/policy`;
  const versionOf = (model: string, version = '1'): string => `/v1/models/${model}/versions/${version}`;

  /** Sets the policy of a model, whatever it is now. */
  async function setPolicy(model: string, policy: object, key?: string): Promise<Reply> {
    const present = await client.get(policyOf(model));
    const headers: Record<string, string> =
      present.status === 200 ? { 'if-match': present.headers.get('etag') ?? '' } : { 'if-none-match': '*' };
    const body = { reason: 'the rules of the board', ...policy };
    return client.call('PUT', policyOf(model), { headers, body, ...(key === undefined ? {} : { key }) });
  }

  /** A version whose answer is its number. */
  function stepPackage(name: string, version: string, metrics: object = {}): PackageFiles {
    const model = linearModel({ weights: [[0]], bias: [Number(version)] });
    const golden = {
      source: 'a test',
      samples: [{ inputs: { features: [[1]] }, outputs: { variable: [[Number(version)]] } }],
    };
    return modelPackage(model, { name, version, task: 'regression', metrics }, { 'golden.json': json(golden) });
  }

  const register = (name: string, version: string, metrics: object = {}, headers = {}): Promise<Reply> =>
    client.upload(name, stepPackage(name, version, metrics), {}, { key: author, headers });

  const approve = (name: string, key: string, version = '1'): Promise<Reply> =>
    client.post(`${versionOf(name, version)}/approve`, { reason: 'reviewed' }, { key });

  async function promote(name: string, version: string, key: string, alias = 'production'): Promise<Reply> {
    const route = `/v1/models/${name}/aliases/${alias}`;
    const present = await client.get(route);
    const headers: Record<string, string> =
      present.status === 200 ? { 'if-match': present.headers.get('etag') ?? '' } : { 'if-none-match': '*' };
    return client.call('PUT', route, { headers, key, body: { version, reason: 'a test' } });
  }

  describe('as a document', () => {
    it('404: of a model that nobody has heard of', async () => {
      expect(await client.get(policyOf('unheard'))).toMatchObject({ status: 404, body: { code: 'model_not_found' } });
    });

    it('200: is set before the first version, and read as it was set', async () => {
      const body = {
        metrics: ['accuracy >= 0.7', { metric: 'rmse', op: '<', value: 2 }],
        no_worse_than_current: [{ metric: 'accuracy', better: 'higher' }],
        approvals: 2,
        protected_aliases: ['production'],
        promoters: ['owner:Bo', 'role:admin'],
        keep_warm: 1,
        auto_archive: 5,
      };
      const set = await setPolicy('early', body);
      const shown = {
        ...body,
        metrics: ['accuracy >= 0.7', 'rmse < 2'],
        no_worse_than_current: [{ metric: 'accuracy', better: 'higher', margin: 0 }],
      };
      expect(set).toMatchObject({ status: 200, body: { model: 'early', revision: 1, etag: '"1"', ...shown } });
      expect((await client.get(policyOf('early'))).body).toEqual(set.body);
    });

    it('is one event that says what changed', async () => {
      await setPolicy('evented', { approvals: 1 });
      expect(await client.lastEvent()).toMatchObject({
        action: 'policy.set',
        outcome: 'succeeded',
        reason: 'the rules of the board',
        resource: { type: 'model_policy', id: 'evented' },
        changes: { revision: 1, approvals: { from: 0, to: 1 } },
      });
    });

    it.each([
      ['approvals', { approvals: 3 }, '/approvals'],
      ['a rule', { metrics: ['accuracy'] }, '/metrics/0'],
      ['a comparison', { no_worse_than_current: ['accuracy'] }, '/no_worse_than_current/0'],
      ['a promoter', { promoters: ['Bo'] }, '/promoters/0'],
      ['protection by nobody', { protected_aliases: ['production'] }, '/promoters'],
      ['a reason', { reason: '' }, '/reason'],
      ['a registry that nobody knows', { sync: { name: 'churn' } }, '/sync/registry_uri'],
    ])('400: wrong in %s', async (_, policy, pointer) => {
      const reply = await setPolicy('wrong', policy);
      expect(reply).toMatchObject({ status: 400, body: { code: 'invalid_parameter', errors: [{ pointer }] } });
    });

    it('400: with a member that does not exist', async () => {
      const reply = await setPolicy('wrong', { aprovals: 1 });
      expect(reply).toMatchObject({
        status: 400,
        body: { code: 'unknown_field', detail: expect.stringContaining("'approvals'") as string },
      });
    });

    it('403: without the scope', async () => {
      const { body } = await client.post('/v1/keys', { name: 'reader', role: 'team' });
      expect(await setPolicy('early', {}, body.key)).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
    });

    it('403: by somebody who is not among its promoters', async () => {
      expect(await setPolicy('early', {}, author)).toMatchObject({ status: 403, body: { code: 'policy_forbidden' } });
    });

    it('412: from one that is not that of now; 428: from none', async () => {
      const put = (headers: Record<string, string>): Promise<Reply> =>
        client.call('PUT', policyOf('early'), { headers, body: { reason: 'x' } });
      expect(await put({ 'if-none-match': '*' })).toMatchObject({ status: 412, body: { code: 'etag_mismatch' } });
      expect(await put({ 'if-match': '"0"' })).toMatchObject({ status: 412, body: { code: 'etag_mismatch' } });
      expect(await put({})).toMatchObject({ status: 428, body: { code: 'precondition_required' } });
    });
  });

  describe('asking for metrics', () => {
    beforeAll(() => setPolicy('measured', { metrics: ['accuracy >= 0.7'] }), 30_000);

    it('422: rejects a version that falls short, and says why in report and event', async () => {
      const reply = await register('measured', '1', { accuracy: 0.65 });
      const reasons = [{ pointer: '/metrics/accuracy', expected: '>= 0.7', received: '0.65' }];
      expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected', errors: reasons } });
      const event = await client.lastEvent();
      expect(event).toMatchObject({
        action: 'model.register',
        status: 422,
        changes: { validation: { passed: false, reasons, steps: { golden: true, metrics: false } } },
      });
      const { body } = await client.get(versionOf('measured'));
      expect(body).toMatchObject({ status: 'rejected', report: { passed: false, reasons, policy_revision: 1 } });
    });

    it('409: what was rejected is promoted by no later policy, until it is validated again', async () => {
      await setPolicy('measured', {});
      const refused = { status: 409, body: { code: 'version_not_servable' } };
      expect(await promote('measured', '1', author)).toMatchObject(refused);
      expect(await approve('measured', risk)).toMatchObject(refused);
      const again = await client.post(`${versionOf('measured')}/validate`, { reason: 'other rules' }, { key: author });
      expect(again).toMatchObject({ status: 200, body: { status: 'validated' } });
      expect(await promote('measured', '1', author)).toMatchObject({ status: 200 });
    });

    it('409: what was validated before is held to the policy of now', async () => {
      await register('measured', '2', { accuracy: 0.6 });
      await setPolicy('measured', { no_worse_than_current: [{ metric: 'accuracy', better: 'higher' }] });
      expect(await promote('measured', '2', author)).toMatchObject({
        status: 409,
        body: {
          code: 'version_not_servable',
          errors: [{ pointer: '/metrics/accuracy', expected: 'no worse than the 0.65 of version 1', received: '0.6' }],
        },
      });
    });
  });

  describe('asking for two approvals', () => {
    beforeAll(async () => {
      await setPolicy('watched', { approvals: 2 });
      const reply = await register('watched', '1');
      if (reply.status !== 201) throw new Error(JSON.stringify(reply.body));
    }, 30_000);

    it('404: there is no latest before them', async () => {
      const reply = await client.post('/models/watched/predict', { features: { features: 0 } });
      expect(reply).toMatchObject({ status: 404, body: { code: 'version_not_found' } });
    });

    it('403: by who registered the version', async () => {
      expect(await approve('watched', author)).toMatchObject({ status: 403, body: { code: 'policy_forbidden' } });
    });

    it('409: a person with two keys is one person, and the version not approved', async () => {
      expect(await approve('watched', risk)).toMatchObject({ status: 200, body: { status: 'validated' } });
      const { body } = await approve('watched', riskToo);
      expect(body).toMatchObject({
        status: 'validated',
        approvals: [{ approved_by: { owner: 'Rita' }, policy_revision: 1 }],
      });
      expect(await promote('watched', '1', board)).toMatchObject({
        status: 409,
        body: { code: 'version_not_servable', errors: [{ pointer: '/approvals', received: '1' }] },
      });
    });

    it('200: by a second person it is approved, latest, and may be promoted', async () => {
      expect(await approve('watched', board)).toMatchObject({ status: 200, body: { status: 'approved' } });
      const { body } = await client.post('/models/watched/predict', { features: { features: 0 } });
      expect(body).toMatchObject({ prediction: { value: 1 }, model_info: { version: '1' } });
      expect(await promote('watched', '1', author)).toMatchObject({ status: 200 });
    });

    it('outlives kill -9', async () => {
      await server.kill9();
      await server.start();
      const { body } = await client.get(versionOf('watched'));
      expect(body.approvals.map((approval: Record<string, unknown>) => approval['digest'])).toEqual([
        body.digest,
        body.digest,
      ]);
      expect((await client.get(policyOf('watched'))).body).toMatchObject({ approvals: 2, revision: 1 });
    }, 90_000);
  });

  describe('protecting an alias', () => {
    beforeAll(async () => {
      await setPolicy('guarded', { protected_aliases: ['production'], promoters: ['owner:Bo', 'role:admin'] });
      for (const version of ['1', '2']) await register('guarded', version);
    }, 30_000);

    it('403: from all but its promoters', async () => {
      expect(await promote('guarded', '1', author)).toMatchObject({ status: 403, body: { code: 'policy_forbidden' } });
    });

    it('200: and leaves the others free', async () => {
      expect(await promote('guarded', '1', author, 'staging')).toMatchObject({ status: 200 });
      expect(await promote('guarded', '1', board)).toMatchObject({ status: 200 });
    });

    it('403: a rollback is a move', async () => {
      const moved = await promote('guarded', '2', board);
      const headers = { 'if-match': moved.headers.get('etag') ?? '' };
      const route = '/v1/models/guarded/aliases/production/rollback';
      const reply = await client.post(route, { reason: 'worse' }, { headers, key: author });
      expect(reply).toMatchObject({ status: 403, body: { code: 'policy_forbidden' } });
    });
  });

  describe('keeping the newest', () => {
    it('archives older ones after a promotion, each with an event of its own', async () => {
      await setPolicy('kept', { auto_archive: 1 });
      for (const version of ['1', '2', '3', '4']) await register('kept', version);
      for (const version of ['1', '4']) await promote('kept', version, author);
      const { body } = await client.get('/models/kept/versions');
      // The first one is what a rollback leads to.
      expect(body.versions.map((row: Record<string, unknown>) => row['status'])).toEqual([
        'validated',
        'archived',
        'archived',
        'active',
      ]);
      expect(await client.events('action=model.archive&model=kept')).toMatchObject([
        { actor: { type: 'system', name: 'policy' }, model: { version: '2' } },
        { actor: { type: 'system', name: 'policy' }, model: { version: '3' } },
      ]);
    });
  });

  describe('and what a version is tried for', () => {
    it('201: is told step by step', async () => {
      const { status, body } = await register('stepped', '1');
      expect(status).toBe(201);
      const names = ['scan', 'load', 'signature', 'golden', 'determinism', 'rows', 'latency', 'metrics'];
      expect(body.report.steps.map((step: Record<string, unknown>) => step['name'])).toEqual(names);
      expect(body.report.trial).toMatchObject({
        batchable: true,
        deterministic: true,
        batches: [{ rows: 1 }, { rows: 8 }, { rows: 32 }],
      });
      for (const { median_ms: ms, memory_bytes: bytes } of body.report.trial.batches)
        expect([ms > 0, bytes >= 0]).toEqual([true, true]);
    });

    it('202: goes on as an operation that says how far it is', async () => {
      const request = { key: author, headers: { prefer: 'respond-async' } };
      const begun = await client.post(`${versionOf('stepped')}/validate`, { reason: 'again' }, request);
      expect(begun).toMatchObject({
        status: 202,
        body: { kind: 'model.validate', progress: { done: expect.any(Number) } },
      });
      const ended = await client.ended(begun.headers.get('location') ?? '');
      expect(ended.body).toMatchObject({
        status: 'succeeded',
        progress: { done: 8, total: 8 },
        result: { version: '1', report: { passed: true } },
      });
    });

    it('422: an answer that differs from the same input', async () => {
      const files = modelPackage(randomModel(), { name: 'random', version: '1' });
      expect(await client.upload('random', files)).toMatchObject({
        status: 422,
        body: { errors: [{ pointer: '/model.onnx', expected: 'the same bytes for the same input' }] },
      });
    });

    it('is stopped when its operation is cancelled', async () => {
      const golden = { source: 'a test', samples: [{ inputs: { x: 1 }, outputs: { y: 1 } }] };
      const files = modelPackage(endlessModel(), { name: 'endless', version: '1' }, { 'golden.json': json(golden) });
      const begun = await client.upload('endless', files, {}, { headers: { prefer: 'respond-async' } });
      const location = begun.headers.get('location') ?? '';
      const what = async (): Promise<unknown> => (await client.get(location)).body.progress.what;
      while ((await what()) !== 'golden') await new Promise((resolve) => setTimeout(resolve, 20));
      // The trial itself would go on for ten minutes.
      await client.call('DELETE', location);
      expect((await client.ended(location)).body).toMatchObject({
        status: 'cancelled',
        progress: { done: 3, total: 8 },
      });
      expect((await client.get(versionOf('endless'))).body.status).toBe('registered');
    }, 60_000);
  });

  it('has one event for each request', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
