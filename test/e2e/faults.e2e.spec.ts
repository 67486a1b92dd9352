import http from 'node:http';
import path from 'node:path';
import { loopModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { postmasterOf, processTree } from '../support/processes.mjs';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const ONE_MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
const FEATURES = { price: 45000, volume: 1e6, rsi: 65.5 };
const CONNECTIONS = 4;
/** Room for a few segments of the spool. */
const SPOOL_BYTES = 128 * 2 ** 20;
/** What the contract promises, and what a busy machine may add. */
const ADMIN_LIMIT_MS = 2_000 + 500;

async function until(holds: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > deadline) throw new Error('it never came to hold');
}

const postgresOf = (server: TestServer): number[] =>
  processTree(server.pid)
    .filter(({ kind }) => kind === 'postgres')
    .map(({ pid }) => pid);

/** Lets stopped processes go on; one that has ended in between needs nothing. */
function thaw(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGCONT');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Predicts continuously over a few connections and keeps what was answered. */
class Load {
  readonly ids: string[] = [];
  readonly failures: string[] = [];
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  private running = true;
  private readonly loops: Promise<void>[];

  constructor(private readonly server: TestServer) {
    this.loops = Array.from({ length: CONNECTIONS }, async () => {
      while (this.running) await this.predict();
    });
  }

  /** Waits until so many more were answered. */
  async goesOn(answers = 50): Promise<void> {
    const goal = this.ids.length + this.failures.length + answers;
    await until(() => this.ids.length + this.failures.length >= goal);
  }

  async end(): Promise<void> {
    this.running = false;
    await Promise.all(this.loops);
    this.agent.destroy();
  }

  private predict(): Promise<void> {
    return new Promise((resolve) => {
      const body = JSON.stringify({ features: FEATURES });
      const headers = {
        'x-api-key': this.server.adminKey,
        'content-type': 'application/json',
        'content-length': body.length,
      };
      const request = http.request(
        `${this.server.url}/predict`,
        { method: 'POST', agent: this.agent, headers },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += String(chunk)));
          response.once('end', () => {
            if (response.statusCode === 200) this.ids.push((JSON.parse(text) as { id: string }).id);
            else this.failures.push(`${response.statusCode} ${text}`);
            resolve();
          });
        },
      );
      request.once('error', (error) => (this.failures.push(error.message), resolve()));
      request.end(body);
    });
  }
}

/** Ids that have not exactly one event. */
async function unrecorded(client: RecordedClient, ids: readonly string[]): Promise<string[]> {
  const counts = new Map<string, number>();
  for (const { prediction_id: id } of await client.events('action=prediction.create'))
    counts.set(id, (counts.get(id) ?? 0) + 1);
  return ids.filter((id) => counts.get(id) !== 1);
}

describe('when something breaks', () => {
  let server: TestServer;
  let client: RecordedClient;
  const answered: string[] = [];

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_MODELS: ONE_MODEL } });
    client = new RecordedClient(server, 'faults');
    const files = modelPackage(loopModel(), { name: 'counting', version: '1' });
    const reply = await client.upload('counting', files);
    if (reply.status !== 201) throw new Error(`registering answered ${reply.status}`);
  }, 90_000);
  afterAll(() => server.stop(), 30_000);

  /** Runs something under load; every prediction must be answered 200 meanwhile. */
  async function underLoad(work: (load: Load) => Promise<void>): Promise<void> {
    const load = new Load(server);
    try {
      await load.goesOn();
      await work(load);
      await load.goesOn();
    } finally {
      await load.end();
    }
    expect(load.failures).toEqual([]);
    answered.push(...load.ids);
  }

  const runners = (): number[] =>
    processTree(server.pid)
      .filter(({ kind }) => kind === 'runner')
      .map(({ pid }) => pid);

  /** A 503 in time that says why and when to come again. */
  function expectUnavailable(reply: Reply, tookMs: number): void {
    expect(reply).toMatchObject({ status: 503, body: { code: 'database_unavailable' } });
    expect(reply.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(JSON.stringify(reply.body)).not.toMatch(/postgres|ECONN|ENOENT|SELECT|\.s\.PGSQL/i);
    expect(tookMs).toBeLessThan(ADMIN_LIMIT_MS);
  }

  async function timed(work: () => Promise<Reply>): Promise<[Reply, number]> {
    const began = performance.now();
    return [await work(), performance.now() - began];
  }

  it('PostgreSQL killed: predictions go on, admin calls are 503 or served, it is started again', async () => {
    await underLoad(async (load) => {
      const old = postmasterOf(server.pid)?.pid ?? 0;
      process.kill(old, 'SIGKILL');
      const refused: Reply[] = [];
      await until(async () => {
        const [reply, tookMs] = await timed(() => client.get('/v1/keys'));
        if (reply.status !== 200) {
          expectUnavailable(reply, tookMs);
          refused.push(reply);
        }
        const present = postmasterOf(server.pid)?.pid;
        return reply.status === 200 && present !== undefined && present !== old;
      });
      await load.goesOn();
      // A server that has just recovered may still be slow: a refusal in time is as good until it writes again.
      await until(async () => {
        const [reply, tookMs] = await timed(() => client.post('/v1/keys', { name: 'after', role: 'team' }));
        if (reply.status !== 201) expectUnavailable(reply, tookMs);
        return reply.status === 201;
      });
    });
  }, 60_000);

  const calls: readonly (readonly [string, () => Promise<Reply>])[] = [
    ['list keys', () => client.get('/v1/keys')],
    ['issue a key', () => client.post('/v1/keys', { name: 'frozen', role: 'team' })],
    ['list models', () => client.get('/models')],
    ['show a version', () => client.get('/v1/models/momentum/versions/1.2.3')],
    [
      'move an alias',
      () =>
        client.call('PUT', '/v1/models/momentum/aliases/new', {
          headers: { 'if-none-match': '*' },
          body: { version: '1.2.3', reason: 'x' },
        }),
    ],
    ['upload a version', () => client.upload('late', modelPackage(loopModel(), { name: 'late', version: '1' }))],
    ['archive a version', () => client.post('/v1/models/counting/versions/1/archive', { reason: 'x' })],
    ['read the audit log', () => client.get('/v1/audit/events')],
    ['reload', () => client.post('/health/model/reload', {})],
    [
      'issue a key once',
      () => client.post('/v1/keys', { name: 'frozen', role: 'team' }, { headers: { 'idempotency-key': 'frozen' } }),
    ],
  ];

  it('PostgreSQL frozen: predictions go on, each admin call is 503 within 2 s, all recovers by itself', async () => {
    await underLoad(async (load) => {
      const frozen = postgresOf(server);
      for (const pid of frozen) process.kill(pid, 'SIGSTOP');
      try {
        const replies = await Promise.all(calls.map(async ([what, call]) => [what, ...(await timed(call))] as const));
        for (const [what, reply, tookMs] of replies) {
          expect([what, reply.status]).toEqual([what, 503]);
          expectUnavailable(reply, tookMs);
        }
        await load.goesOn();
        // Once it is known to be down, nobody waits any more.
        const [again, tookMs] = await timed(() => client.get('/v1/keys'));
        expectUnavailable(again, tookMs);
        // Health and documentation need no database, and the server stays ready.
        expect((await client.get('/ready', { key: null })).status).toBe(200);
        expect((await client.get('/health/detailed')).body).toMatchObject({ ready: true, database: { up: false } });
        expect((await client.get('/v1/whoami')).status).toBe(200);
      } finally {
        thaw(frozen);
      }
      await until(async () => (await client.get('/v1/keys')).status === 200);
    });
  }, 60_000);

  it('what was refused meanwhile did not happen, and can be done now', async () => {
    const { body } = await client.get('/v1/keys?limit=1000');
    expect(body.items.filter(({ name }: { name: string }) => name === 'frozen')).toEqual([]);
    expect((await client.get('/v1/models/late/versions/1')).status).toBe(404);
    expect((await client.get('/v1/models/counting/versions/1')).body.status).toBe('validated');
    const [, issue] = calls.find(([what]) => what === 'issue a key once') ?? [];
    expect((await issue?.())?.status).toBe(201);
  });

  it('a runner killed under load costs no request', async () => {
    await underLoad(async (load) => {
      for (let round = 0; round < 3; round++) {
        const before = runners();
        expect(before.length).toBeGreaterThan(0);
        for (const pid of before) process.kill(pid, 'SIGKILL');
        await load.goesOn();
        await until(() => runners().some((pid) => !before.includes(pid)));
      }
    });
  }, 60_000);

  it('a model that runs for ever is 504 at its deadline; its runner is replaced and the others are served', async () => {
    const ask = (trips: string, timeoutMs: number): Promise<Reply> =>
      client.post(
        '/models/counting/predict',
        { inputs: { x: 0, trips }, model_version: '1' },
        { headers: { 'x-request-timeout-ms': `${timeoutMs}` } },
      );
    expect(await ask('3', 5000)).toMatchObject({ status: 200, body: { outputs: { y: 3 } } });
    await underLoad(async (load) => {
      const before = runners();
      const [reply, tookMs] = await timed(() => ask('4611686018427387904', 700));
      expect(reply).toMatchObject({ status: 504, body: { code: 'deadline_exceeded' } });
      expect(tookMs).toBeLessThan(3_000);
      await until(() => !before.every((pid) => runners().includes(pid)));
      await load.goesOn();
      // It is the request that was at fault, not the version.
      await until(async () => (await ask('5', 10_000)).status === 200);
    });
  }, 60_000);

  it('requests that wait behind it for longer than they may are 504 too, and counted once', async () => {
    const endless = client.post('/models/counting/predict', {
      inputs: { x: 0, trips: '4611686018427387904' },
      model_version: '1',
    });
    const impatient = Array.from({ length: 5 }, () =>
      client.post('/predict', { features: FEATURES }, { headers: { 'x-request-timeout-ms': '20' } }),
    );
    for (const reply of await Promise.all(impatient)) {
      expect([200, 504]).toContain(reply.status);
      if (reply.status === 504) expect(reply.body.code).toBe('deadline_exceeded');
    }
    expect((await endless).status).toBe(504);
  }, 60_000);

  it('a version that ends runner after runner is 503 for a while and says so in its health; the others are served', async () => {
    const endless = { inputs: { x: 0, trips: '4611686018427387904' }, model_version: '1' };
    await underLoad(async () => {
      const replies = await Promise.all([1, 2, 3].map(() => client.post('/models/counting/predict', endless)));
      for (const { status } of replies) expect([503, 504]).toContain(status);
      const refused = await client.post('/models/counting/predict', { inputs: { x: 0, trips: '1' } });
      expect(refused).toMatchObject({ status: 503, body: { code: 'model_not_ready' } });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(1);
    });
    expect(await client.get('/v1/models/counting/health?version=1')).toMatchObject({
      status: 200,
      body: { ready: false, state: 'unavailable', reason: expect.stringContaining('tried again') as string },
    });
    expect(await client.get('/v1/models/momentum/health')).toMatchObject({ body: { ready: true, state: 'ready' } });
  }, 60_000);

  it('in all of this each prediction that was answered is recorded once', async () => {
    expect(answered.length).toBeGreaterThan(400);
    expect(await unrecorded(client, answered)).toEqual([]);
  }, 60_000);

  it('and so is every other request, refused or not', async () => {
    expect(await client.unrecorded()).toEqual([]);
  }, 60_000);
});

describe('when events can neither be shipped nor kept', () => {
  it('nothing is answered that is not recorded, and all recovers without a restart', async () => {
    const server = await startServer({
      env: { SIBYL_MODELS: ONE_MODEL, SIBYL_AUDIT_SPOOL_BYTES: String(SPOOL_BYTES) },
    });
    const client = new RecordedClient(server, 'full');
    const large = { requests: Array.from({ length: 1000 }, () => ({ symbol: 'x'.repeat(200), features: FEATURES })) };
    const frozen = postgresOf(server);
    const ids: string[] = [];
    try {
      for (const pid of frozen) process.kill(pid, 'SIGSTOP');
      // What a large batch takes with it fills the spool in seconds.
      let refused: Reply | undefined;
      for (const deadline = Date.now() + 60_000; refused === undefined && Date.now() < deadline;) {
        const replies = await Promise.all([1, 2].map(() => client.post('/predict/batch', large)));
        refused = replies.find(({ status }) => status !== 200);
      }
      expect(refused).toMatchObject({ status: 503, body: { code: 'audit_unavailable' } });
      expect(refused?.headers.get('retry-after')).toMatch(/^\d+$/);
      await until(async () => (await client.get('/ready', { key: null })).status === 503);
      expect(await client.get('/ready', { key: null })).toMatchObject({
        body: { ready: false, code: 'audit_unavailable' },
      });
      expect((await client.get('/health', { key: null })).status).toBe(200);
      expect(await client.post('/predict', { features: FEATURES })).toMatchObject({
        status: 503,
        body: { code: 'audit_unavailable' },
      });
      thaw(frozen);
      await until(async () => {
        const { status, body } = await client.post('/predict', { features: FEATURES });
        if (status === 200) ids.push(body.id as string);
        return status === 200;
      }, 30_000);
      await until(async () => (await client.get('/ready', { key: null })).status === 200);
      // Every call that was answered with a prediction is in the log once; what was refused may be missing.
      const batches = [...client.sent].filter(([, { what, status }]) => what.includes('predict') && status === 200);
      await until(async () => (await client.get('/health/detailed')).body.audit.backlog_events === 0, 60_000);
      const counts = new Map<string, number>();
      for (const { request_id: id } of await client.events('action=prediction.create&outcome=succeeded'))
        counts.set(id, (counts.get(id) ?? 0) + 1);
      expect(batches.filter(([id]) => counts.get(id) !== 1)).toEqual([]);
      expect(await unrecorded(client, ids)).toEqual([]);
    } finally {
      thaw(frozen);
      await server.stop();
    }
  }, 150_000);
});
