import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { allProcesses, processTree } from '../support/processes.mjs';
import { sendRaw } from '../support/raw-http';
import { expectOrderlyEnd } from '../support/orderly-end';
import { RecordedClient } from '../support/recorded-client';
import { REPOSITORY, startServer, TestServer } from '../support/server.mjs';
import { allReady, connect, connectToEach, WorkerConnection } from '../support/worker-connections';

const ONE_MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
const TWO_MODELS = `${ONE_MODEL},${path.join(REPOSITORY, 'examples/models/momentum-1.3.0')}`;
const PREDICTION = { features: { price: 45000, volume: 1e6, rsi: 65.5 } };
const WAIT_MS = 60_000;

async function until(holds: () => boolean | Promise<boolean>, limitMs = WAIT_MS): Promise<void> {
  for (const deadline = Date.now() + limitMs; !(await holds()); await sleep(20))
    if (Date.now() > deadline) throw new Error('it never came to hold');
}

const pidsOf = (server: TestServer): number[] => processTree(server.pid).map(({ pid }) => pid);

async function gone(pids: readonly number[]): Promise<void> {
  await until(() => {
    const alive = new Set(
      allProcesses()
        .filter(({ state }) => state !== 'Z')
        .map(({ pid }) => pid),
    );
    return !pids.some((pid) => alive.has(pid));
  });
}

async function start(env: Record<string, string> = {}): Promise<TestServer> {
  const server = await startServer({ env: { SIBYL_WORKERS: '2', SIBYL_MODELS: TWO_MODELS, ...env } });
  await allReady(server);
  return server;
}

describe('two workers', () => {
  let server: TestServer;
  let client: RecordedClient;
  let first: WorkerConnection;
  let second: WorkerConnection;

  beforeAll(async () => {
    server = await start();
    client = new RecordedClient(server, 'workers');
    [first, second] = (await connectToEach(server, 2)) as [WorkerConnection, WorkerConnection];
  }, 120_000);
  afterAll(async () => {
    for (const connection of [first, second]) connection.close();
    await server.stop();
  }, 30_000);

  async function issue(parts: Record<string, unknown>): Promise<{ id: string; key: string }> {
    const { status, body } = await client.post('/v1/keys', { name: 'a key', role: 'team', ...parts });
    expect(status).toBe(201);
    return body as { id: string; key: string };
  }

  /** The statuses of predictions that go to one worker and the other in turns. */
  async function alternately(key: string, requests: number): Promise<number[]> {
    const statuses: number[] = [];
    for (let i = 0; i < requests; i++) {
      const connection = i % 2 === 0 ? first : second;
      statuses.push((await connection.ask('POST', '/predict', { key, body: PREDICTION })).status);
    }
    return statuses;
  }

  const sample = async (connection: WorkerConnection, name: string): Promise<number> => {
    const { status, body } = await connection.ask('GET', '/metrics');
    expect(status).toBe(200);
    const line = String(body)
      .split('\n')
      .find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length));
  };

  it('share the port and one PostgreSQL, and say that the server is ready once', () => {
    const tree = processTree(server.pid);
    expect(tree.filter(({ kind }) => kind === 'api')).toHaveLength(3);
    expect(tree.filter(({ command }) => /^(?!\/bin\/sh )[^\n]*\/bin\/postgres -D /.test(command))).toHaveLength(1);
    expect(server.log.match(/Sibyl is ready at/g)).toHaveLength(1);
    expect(server.log.match(/"msg":"listening"/g)).toHaveLength(1);
    const migrated = server.log.match(/"migration":"[^"]+"/g) ?? [];
    expect(migrated.length).toBeGreaterThan(2);
    expect(new Set(migrated).size).toBe(migrated.length);
  });

  it('have as many connections each', async () => {
    // Those of this test's own clients, which come and go and may be seen to have gone late, are part of it: until they are.
    let difference = 64;
    for (let attempt = 0; attempt < 5 && difference > 16; attempt++) {
      const connections = await connect(server, 64);
      const shares = [1, 2].map((index) => connections.filter((one) => one.index === index).length);
      for (const connection of connections) connection.close();
      difference = Math.abs((shares[0] ?? 0) - (shares[1] ?? 0));
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(difference).toBeLessThanOrEqual(16);
  });

  it('cut off what is no HTTP, and go on', async () => {
    const answers = await Promise.all(['\0\0\0\r\n\r\n', 'GET\r\n\r\n'].map((bytes) => sendRaw(server.url, [bytes])));
    expect(answers.map(({ status }) => status)).toEqual([400, 400]);
    expect((await first.ask('GET', '/health')).status).toBe(200);
  });

  it('keep one rate limit of a key, and not one each', async () => {
    const { key } = await issue({ rate_limit: { requests: 10, seconds: 3600 } });
    const allowed = (await alternately(key, 30)).filter((status) => status === 200).length;
    // What one has granted reaches the other in a moment: on a busy machine a request may be faster.
    expect(allowed).toBeGreaterThanOrEqual(10);
    expect(allowed).toBeLessThanOrEqual(12);
    for (const connection of [first, second]) {
      const refused = await connection.ask('POST', '/predict', { key, body: PREDICTION });
      expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
      expect(refused.headers.ratelimit).toMatch(/^"key";r=0;/);
    }
  });

  it('keep one limit when all requests come at once, but for what they grant before they hear of each other', async () => {
    const { key } = await issue({ rate_limit: { requests: 20, seconds: 3600 } });
    const connections = await connect(server, 16);
    const statuses: number[] = [];
    await Promise.all(
      connections.map(async (connection) => {
        for (let i = 0; i < 20; i++)
          statuses.push((await connection.ask('POST', '/predict', { key, body: PREDICTION })).status);
        connection.close();
      }),
    );
    const allowed = statuses.filter((status) => status === 200).length;
    // 320 requests; two limits would be 40.
    expect(allowed).toBeGreaterThanOrEqual(20);
    expect(allowed).toBeLessThan(40);
  });

  it('keep one quota of a key', async () => {
    const { key } = await issue({ quota: { requests: 10, period: 'day' } });
    const allowed = (await alternately(key, 30)).filter((status) => status === 200).length;
    expect(allowed).toBeGreaterThanOrEqual(10);
    expect(allowed).toBeLessThanOrEqual(12);
  });

  it('count failed authentications of an address together', async () => {
    const asked = ['127.0.0.9', '127.0.0.9'].map(async (localAddress) => {
      let refused = 0;
      for (let i = 0; i < 75; i++) {
        const { status } = await sendRaw(
          server.url,
          ['GET /info HTTP/1.1\r\nHost: x\r\nX-API-Key: sk_no\r\nConnection: close\r\n\r\n'],
          {
            localAddress,
          },
        );
        if (status === 401) refused++;
      }
      return refused;
    });
    const [one = 0, other = 0] = await Promise.all(asked);
    // The limit is 100 in 10 s, and 10 more come back with each second of those that this takes.
    expect(one + other).toBeLessThan(150);
  });

  it('know an answer by its Idempotency-Key, whoever gave it', async () => {
    const ask = { body: { name: 'twice', role: 'team' }, headers: { 'idempotency-key': 'one-and-the-same' } };
    const made = await first.ask('POST', '/v1/keys', ask);
    const again = await second.ask('POST', '/v1/keys', ask);
    expect([made.status, again.status, again.body.id]).toEqual([201, 201, made.body.id]);
  });

  it('refuse a key at once that the other has revoked', async () => {
    for (const [revoker, other] of [
      [first, second],
      [second, first],
    ] as const) {
      const { id, key } = await issue({});
      expect((await other.ask('POST', '/predict', { key, body: PREDICTION })).status).toBe(200);
      expect((await revoker.ask('DELETE', `/v1/keys/${id}`)).status).toBe(200);
      const refused = await other.ask('POST', '/predict', { key, body: PREDICTION });
      expect([refused.status, refused.body.code]).toEqual([401, 'key_revoked']);
    }
  });

  it('take a key at once that the other has issued', async () => {
    for (let i = 0; i < 5; i++) {
      const made = await first.ask('POST', '/v1/keys', { body: { name: 'new', role: 'team' } });
      expect((await second.ask('POST', '/predict', { key: made.body.key, body: PREDICTION })).status).toBe(200);
    }
  });

  it('serve at once what was registered and promoted through the other', async () => {
    for (const version of [1, 2]) {
      const model = linearModel({ weights: [[0]], bias: [version] });
      const files = modelPackage(model, { name: 'steps', version: `${version}`, task: 'regression' });
      expect((await client.upload('steps', files)).status).toBe(201);
    }
    const serves = async (connection: WorkerConnection): Promise<unknown> =>
      (await connection.ask('POST', '/models/steps/predict', { body: { features: { features: 0 } } })).body.prediction
        ?.value;
    const alias = '/v1/models/steps/aliases/production';
    let condition: Record<string, string> = { 'if-none-match': '*' };
    for (const [version, mover] of [
      [1, first],
      [2, second],
      [1, second],
      [2, first],
    ] as const) {
      const body = { version: String(version), reason: 'a test' };
      const moved = await mover.ask('PUT', alias, { headers: condition, body });
      expect([moved.status, moved.body]).toEqual([200, moved.body]);
      condition = { 'if-match': String(moved.headers.etag) };
      expect([await serves(first), await serves(second)]).toEqual([version, version]);
    }
    const back = await first.ask('POST', `${alias}/rollback`, { headers: condition, body: { reason: 'worse' } });
    expect(back.status).toBe(200);
    expect([await serves(first), await serves(second)]).toEqual([1, 1]);
  });

  it('load and unload together', async () => {
    const loaded = async (): Promise<boolean[]> => {
      const answers = await Promise.all([first, second].map((one) => one.ask('GET', '/models?loaded=true')));
      const versions = answers.map(({ body }) => body.models as { readonly version: string }[]);
      return versions.map((list) => list.some(({ version }) => version === '1.3.0'));
    };
    const unload = await first.ask('DELETE', '/v1/models/momentum/1.3.0');
    expect([unload.status, await loaded()]).toEqual([200, [false, false]]);
    const load = await second.ask('POST', '/v1/models/load', { body: { model_id: 'momentum', version: '1.3.0' } });
    expect([load.status, await loaded()]).toEqual([200, [true, true]]);
  });

  it('tell of an operation and cancel it, whoever runs it', async () => {
    const body = { model_id: 'momentum', version: '1.3.0' };
    const begun = await first.ask('POST', '/v1/models/load', { body, headers: { prefer: 'respond-async' } });
    expect(begun.status).toBe(202);
    const location = String(begun.headers.location);
    await until(async () => (await second.ask('GET', location)).body.status === 'succeeded');
    expect(await second.ask('DELETE', location)).toMatchObject({ status: 200, body: { status: 'succeeded' } });
    const { key } = await issue({});
    for (const connection of [first, second])
      expect(await connection.ask('GET', location, { key })).toMatchObject({
        status: 404,
        body: { code: 'operation_not_found' },
      });
  });

  it('show at once what the other has recorded', async () => {
    for (let i = 0; i < 5; i++) {
      const { body } = await first.ask('POST', '/predict', { body: PREDICTION });
      expect((await second.ask('GET', `/v1/predictions/${body.id}`)).status).toBe(200);
    }
  });

  it('are scraped as one server', async () => {
    const name = 'sibyl_predictions_total{model="momentum",version="1.2.3",outcome="succeeded"}';
    const before = await sample(first, name);
    const { key } = await issue({});
    await alternately(key, 10);
    expect([(await sample(first, name)) - before, (await sample(second, name)) - before]).toEqual([10, 10]);
    expect(await sample(first, 'sibyl_workers')).toBe(2);
    // As many as there are, and not as many in each worker.
    const { body } = await first.ask('GET', '/models?loaded=true');
    expect(await sample(second, 'sibyl_models_loaded')).toBe(body.models.length);
  });

  it('leave one event a request, whoever answered', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});

describe('a worker that ends', () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await start({ SIBYL_MODELS: ONE_MODEL });
  }, 120_000);
  afterAll(() => server.stop(), 30_000);

  it('takes only its own connections with it, is replaced, and its events are not lost', async () => {
    const connections = await connect(server, 8);
    const victim = connections[0] as WorkerConnection;
    const children = processTree(victim.pid).map(({ pid }) => pid);
    const answered: string[] = [];
    const broken: WorkerConnection[] = [];
    const refused: number[] = [];
    let stopped = false;
    const load = connections.map(async (connection) => {
      while (!stopped) {
        // After its end the connection is opened anew, and must not meet a worker that is not ready yet.
        const { status, body } = await connection.ask('POST', '/predict', { body: PREDICTION });
        if (status === 200) answered.push(body.id);
        else if (status === 0) broken.push(connection);
        else refused.push(status);
      }
    });
    await until(() => answered.length > 200);
    const restarts = server.log.match(/the worker is ready/g)?.length ?? 0;
    process.kill(victim.pid, 'SIGKILL');
    await gone(children);
    const before = answered.length;
    await until(() => answered.length > before + 200);
    await until(() => (server.log.match(/the worker is ready/g)?.length ?? 0) > restarts, 30_000);
    stopped = true;
    await Promise.all(load);
    expect(broken.map(({ pid }) => pid).filter((pid) => pid !== victim.pid)).toEqual([]);
    // One request was under way on each, and none was lost on the way to another worker.
    expect(new Set(broken).size).toBe(broken.length);
    expect(refused).toEqual([]);
    const events = await new RecordedClient(server, 'ended').events('action=prediction.create');
    const counts = new Map<string, number>();
    for (const { prediction_id: id } of events) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(answered.filter((id) => counts.get(id) !== 1)).toEqual([]);
    for (const connection of connections) connection.close();
    for (const connection of await connectToEach(server, 2)) connection.close();
  }, 120_000);

  it('at its start, again and again, is started again less and less often, while the others serve', async () => {
    const [first, second] = (await connectToEach(server, 2)) as [WorkerConnection, WorkerConnection];
    const stray = path.join(server.dataDir, 'runners/stray');
    fs.chmodSync(path.dirname(stray), 0o700);
    fs.writeFileSync(stray, '');
    const failures = (): number => server.log.match(/the working folder of the runners must be empty/g)?.length ?? 0;
    const ready = server.log.match(/the worker is ready/g)?.length ?? 0;
    process.kill(second.pid, 'SIGKILL');
    await until(() => failures() > 2, 30_000);
    expect((await first.ask('POST', '/predict', { body: PREDICTION })).status).toBe(200);
    fs.rmSync(stray);
    await until(() => (server.log.match(/the worker is ready/g)?.length ?? 0) > ready, 30_000);
    for (const connection of [first, second, ...(await connectToEach(server, 2))]) connection.close();
  }, 120_000);
});

describe('the end of a server with workers', () => {
  it('comes with Ctrl-C, which reaches every process of the group: what is under way is answered', async () => {
    const server = await start({ SIBYL_MODELS: ONE_MODEL });
    try {
      const connections = await connect(server, 8);
      const statuses: number[] = [];
      const load = connections.map(async (connection) => {
        for (let last = 200; last === 200;) {
          const reply = await connection.ask('POST', '/predict', { body: PREDICTION });
          last = reply.headers.connection === 'close' ? 0 : reply.status;
          statuses.push(reply.status);
        }
      });
      await until(() => statuses.length > 100);
      const pids = pidsOf(server);
      for (const { pid, kind } of processTree(server.pid)) if (kind !== 'postgres') process.kill(pid, 'SIGINT');
      const end = await server.terminate();
      await Promise.all(load);
      for (const connection of connections) connection.close();
      expectOrderlyEnd(server, end);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
      await gone(pids);
    } finally {
      await server.stop();
    }
  }, 120_000);

  it('by kill -9 of the primary leaves no process behind, and the next start loses nothing', async () => {
    const server = await start({ SIBYL_MODELS: ONE_MODEL });
    try {
      const connections = await connect(server, 4);
      const answered: string[] = [];
      for (let i = 0; i < 40; i++)
        for (const connection of connections)
          answered.push((await connection.ask('POST', '/predict', { body: PREDICTION })).body.id);
      const pids = pidsOf(server);
      await server.kill9();
      await gone(pids);
      for (const connection of connections) connection.close();
      await server.start();
      const events = await new RecordedClient(server, 'killed').events('action=prediction.create');
      const recorded = events.map((event) => event.prediction_id);
      expect(answered.filter((id) => recorded.filter((other) => other === id).length !== 1)).toEqual([]);
    } finally {
      await server.stop();
    }
  }, 120_000);

  it('comes before it is ready too', async () => {
    const server = new TestServer({ env: { SIBYL_WORKERS: '2', SIBYL_MODELS: ONE_MODEL } });
    try {
      await server.launch();
      await until(() => processTree(server.pid).filter(({ kind }) => kind === 'api').length === 3, 30_000);
      const pids = pidsOf(server);
      const end = await server.terminate();
      expectOrderlyEnd(server, end);
      await gone(pids);
    } finally {
      await server.stop();
    }
  }, 120_000);

  it('comes at once where the port is taken, with the same words as without workers', async () => {
    const holder = net.createServer().listen(0, '127.0.0.1');
    await until(() => holder.listening);
    const { port } = holder.address() as net.AddressInfo;
    const env = { SIBYL_WORKERS: '2', SIBYL_MODELS: '', SIBYL_PORT: String(port) };
    const server = new TestServer({ env });
    try {
      await server.launch();
      await until(() => processTree(server.pid).length > 1, 30_000);
      const pids = pidsOf(server);
      await until(() => processTree(server.pid).length === 0, 30_000);
      expect((await server.terminate()).code).toBe(1);
      expect(server.log).toMatch(/EADDRINUSE/);
      expect(server.log).toContain('the server could not start');
      await gone(pids);
    } finally {
      await server.stop();
      holder.close();
    }
  }, 120_000);
});
