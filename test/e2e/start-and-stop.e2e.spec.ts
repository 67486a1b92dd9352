import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { EMBEDDED_SUPERUSER, EmbeddedPostgres, silentLog } from '@sibyl/database/testing';
import { loopModel } from '@sibyl/onnx/testing';
import { Client } from 'pg';
import { modelPackage } from '../support/model-packages';
import { allProcesses, processTree } from '../support/processes.mjs';
import { expectOrderlyEnd } from '../support/orderly-end';
import { RecordedClient } from '../support/recorded-client';
import { freePort, REPOSITORY, startServer, TestServer } from '../support/server.mjs';

const MAIN = path.join(REPOSITORY, 'dist/apps/api/main.js');
const ONE_MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
const TWO_MODELS = `${ONE_MODEL},${path.join(REPOSITORY, 'examples/models/momentum-1.3.0')}`;
const FEATURES = { price: 45000, volume: 1e6, rsi: 65.5 };
const WAIT_MS = 60_000;
/** The longest deadline that there is: what is measured here is not how fast this machine is. */
const PATIENT = { 'x-request-timeout-ms': String(WAIT_MS) };

interface End {
  readonly code: number | null;
  readonly output: string;
}

/** Runs the server in an empty folder until it ends by itself. */
async function run(folder: string, env: Record<string, string>): Promise<End> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [MAIN], {
    cwd: folder,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
  const timer = setTimeout(() => child.kill('SIGKILL'), 40_000);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, output };
}

/** Everything that a server has started, itself included. */
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

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (Date.now() > deadline) throw new Error('it never came to hold');
}

const mode = (file: string): string => (fs.statSync(file).mode & 0o777).toString(8);

// A server waits for its database for 20 s, as in a compose file; the other tests go on meanwhile.
let unreachable: Promise<End>;
beforeAll(async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-unreachable-'));
  const DATABASE_URL = `postgres://sibyl:hunter2@127.0.0.1:${await freePort()}/sibyl`;
  unreachable = run(folder, { SIBYL_PORT: '0', SIBYL_MODELS: '', DATABASE_URL });
  void unreachable.then(() => fs.rmSync(folder, { recursive: true }));
});
afterAll(() => unreachable);

describe('wrong settings', () => {
  let folder: string;
  beforeAll(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-settings-'))));
  afterAll(() => fs.rmSync(folder, { recursive: true }));

  it('are all listed at once, with the nearest name of an unknown one, and end the start with 78', async () => {
    fs.writeFileSync(path.join(folder, '.env'), 'SIBYL_PORT=eight\nSIBYL_WORKERS=0\n');
    const { code, output } = await run(folder, {
      SIBYL_LOG_LEVEL: 'loud',
      SIBYL_PROT: '1',
      SIBYL_ADMIN_KEY: 'sk_hunter2',
    });
    fs.rmSync(path.join(folder, '.env'));
    expect(code).toBe(78);
    for (const name of ['SIBYL_PORT', 'SIBYL_WORKERS', 'SIBYL_LOG_LEVEL', 'SIBYL_PROT', 'SIBYL_ADMIN_KEY']) {
      expect([name, output.includes(`${name}:`)]).toEqual([name, true]);
    }
    expect(output).toMatch(/SIBYL_PROT: .*SIBYL_PORT/);
    expect(output).toContain('5 settings');
    expect(output).not.toContain('hunter2');
    expect(output).not.toMatch(/^\s+at /m);
    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it('that are unsafe are refused in production, each by its name', async () => {
    const { code, output } = await run(folder, {
      ...{ SIBYL_ENV: 'production', SIBYL_LOG_LEVEL: 'trace', SIBYL_IMPORT_FOLDERS: '/' },
      ...{ SIBYL_CORS_ORIGINS: '*', DATABASE_URL: 'postgres://sibyl:hunter2@db.example.org/sibyl?sslmode=disable' },
    });
    expect(code).toBe(78);
    for (const name of ['SIBYL_LOG_LEVEL', 'SIBYL_IMPORT_FOLDERS', 'SIBYL_CORS_ORIGINS']) {
      expect([name, output.includes(name)]).toEqual([name, true]);
    }
    expect(output).not.toContain('hunter2');
  });

  it('a data folder that is none ends the start with a clear message', async () => {
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, '');
    const { code, output } = await run(folder, { SIBYL_DATA_DIR: file, SIBYL_PORT: '0' });
    expect(code).not.toBe(0);
    expect(output).toContain(file);
  });
});

describe('the first start and the next', () => {
  let server: TestServer;
  let client: RecordedClient;
  let home: string;
  let prediction: string;

  beforeAll(async () => {
    home = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl with spaces '));
    server = new TestServer({ dataDir: path.join(home, 'data of Sibyl'), env: { SIBYL_MODELS: TWO_MODELS } });
    await server.start();
    client = new RecordedClient(server, 'start');
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    server.remove();
    fs.rmSync(home, { recursive: true, force: true });
  }, 30_000);

  it('works in a folder with spaces', async () => {
    const reply = await client.post('/predict', { features: FEATURES });
    expect(reply).toMatchObject({ status: 200, body: { model_info: { version: '1.2.3' } } });
    prediction = reply.body.id;
  });

  it('gives the alias production to the first version, and latest is the last', async () => {
    expect((await client.get('/v1/models/momentum/aliases/production')).body.version).toBe('1.2.3');
    expect(
      (await client.post('/predict', { features: FEATURES, model_version: 'latest' })).body.model_info.version,
    ).toBe('1.3.0');
  });

  it('keeps the data folder 0700, the key and all secrets 0600', () => {
    expect(mode(server.dataDir)).toBe('700');
    expect(mode(path.join(server.dataDir, 'admin-key'))).toBe('600');
    const open = (fs.readdirSync(path.join(server.dataDir, 'keys'), { recursive: true }) as string[])
      .map((name) => path.join(server.dataDir, 'keys', name))
      .filter((file) => (fs.statSync(file).mode & 0o077) !== 0);
    expect(open).toEqual([]);
  });

  it('never prints the admin key', () => {
    expect(server.adminKey).toMatch(/^sk_\w+_\w+$/);
    expect(server.log).not.toContain(server.adminKey);
    expect(server.log).not.toContain(server.adminKey.split('_')[2]);
    // What it prints is a request that works as pasted.
    expect(server.log).toContain(`curl -s ${server.url}/predict`);
    expect(server.log).toContain('admin-key');
  });

  it('the request that it prints works as pasted', () => {
    const pasted = /^ {2}curl -s[\s\S]*?'\n$/m.exec(server.log)?.[0] ?? '';
    const answer = JSON.parse(String(execFileSync('sh', ['-c', pasted], { cwd: server.dataDir }))) as Record<
      string,
      unknown
    >;
    expect(answer).toMatchObject({ prediction: { signal: expect.any(String) }, model_info: { version: '1.3.0' } });
  });

  it('a server on a port that is taken says so and ends, the other goes on', async () => {
    const other = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-taken-'));
    const { code, output } = await run(other, { SIBYL_PORT: String(server.port), SIBYL_MODELS: '' });
    removeElsewhere(path.join(other, '.sibyl'));
    fs.rmSync(other, { recursive: true });
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(`EADDRINUSE|address already in use`));
    expect(output).toContain(String(server.port));
    expect((await client.get('/ready')).status).toBe(200);
  });

  it('SIGINT stops everything, and the next start finds everything', async () => {
    const key = server.adminKey;
    const before = (await client.get('/models')).body;
    const events = (await client.events('action=model.register')).length;
    const pids = pidsOf(server);
    expect(pids.length).toBeGreaterThan(2);
    process.kill(server.pid, 'SIGINT');
    await gone(pids);
    await server.start();
    expect(server.adminKey).toBe(key);
    expect((await client.get('/models')).body).toEqual(before);
    expect((await client.events('action=model.register')).length).toBe(events);
    expect((await client.get(`/v1/predictions/${prediction}`)).status).toBe(200);
    expect((await client.post('/predict', { features: FEATURES })).status).toBe(200);
  }, 120_000);

  it('kill -9 leaves no process behind, and the next start loses nothing', async () => {
    const answered: string[] = [];
    for (let i = 0; i < 20; i++) answered.push((await client.post('/predict', { features: FEATURES })).body.id);
    const pids = pidsOf(server);
    await server.kill9();
    await gone(pids);
    await server.start();
    const events = await client.events('action=prediction.create');
    const recorded = events.map((event) => event.prediction_id as string);
    expect(answered.filter((id) => recorded.filter((other) => other === id).length !== 1)).toEqual([]);
  }, 120_000);

  it('a signal before it is ready stops it too', async () => {
    await server.terminate();
    await server.launch();
    await until(() => pidsOf(server).length > 1);
    const pids = pidsOf(server);
    const end = await server.terminate();
    expectOrderlyEnd(server, end);
    await gone(pids);
  }, 120_000);
});

describe('a preset key and older names', () => {
  let server: TestServer;
  let key: string;
  let port: number;

  beforeAll(async () => {
    key = String(execFileSync(process.execPath, [path.join(REPOSITORY, 'scripts/key.mjs')])).trim();
    port = await freePort();
    server = new TestServer({
      env: {
        ...{ SIBYL_MODELS: ONE_MODEL, SIBYL_ADMIN_KEY: key, SIBYL_PORT: '', SIBYL_HOST: '' },
        ...{
          MODEL_SERVER_PORT: String(port),
          MODEL_SERVER_HOST: '127.0.0.1',
          MODEL_SERVER_LOG_LEVEL: 'warn',
          MODEL_SERVER_WORKERS: '1',
        },
      },
    });
    server.port = port;
    await server.start();
  }, 120_000);
  afterAll(() => server.stop(), 30_000);

  it('are taken: address, port, level of the log', async () => {
    expect((await server.call('GET', '/v1/whoami', { key })).status).toBe(200);
    expect(server.url).toBe(`http://127.0.0.1:${port}`);
    expect(server.log).not.toContain('"level":"info"');
  });

  it('the key stays where the operator keeps it: in no file, no log, no answer', async () => {
    expect(fs.existsSync(path.join(server.dataDir, 'admin-key'))).toBe(false);
    const { body } = await server.call('GET', '/v1/keys', { key });
    expect(JSON.stringify(body)).not.toContain(key);
    expect(server.log).not.toContain(key);
    const written = (fs.readdirSync(server.dataDir, { recursive: true, withFileTypes: true }) as fs.Dirent[])
      .filter((entry) => entry.isFile())
      .filter((entry) =>
        fs.readFileSync(path.join(entry.parentPath, entry.name)).includes(key.split('_')[2] as string),
      );
    expect(written).toEqual([]);
  });

  it('another preset key takes its place at the next start', async () => {
    const next = String(execFileSync(process.execPath, [path.join(REPOSITORY, 'scripts/key.mjs')])).trim();
    await server.terminate();
    server.options.env = { ...server.options.env, SIBYL_ADMIN_KEY: next };
    await server.start();
    expect((await server.call('GET', '/v1/whoami', { key: next })).status).toBe(200);
  }, 120_000);
});

describe('an orderly end', () => {
  it('answers what is under way, refuses readiness at once, and leaves no process', async () => {
    const server = await startServer({ env: { SIBYL_MODELS: ONE_MODEL, SIBYL_DRAIN_DELAY_MS: '1200' } });
    const client = new RecordedClient(server, 'end');
    try {
      await client.upload('slow', modelPackage(loopModel(), { name: 'slow', version: '1' }));
      const ask = (trips: number): ReturnType<RecordedClient['post']> =>
        client.post('/models/slow/predict', { inputs: { x: 0, trips }, model_version: '1' }, { headers: PATIENT });
      await ask(1000);
      // As many trips as take about a second on this machine, now.
      const began = performance.now();
      await ask(50_000);
      const trips = Math.round((50_000 * 1200) / (performance.now() - began));
      const pids = pidsOf(server);
      const slow = ask(trips);
      await new Promise((resolve) => setTimeout(resolve, 100));
      const ending = server.terminate();
      await until(async () => (await client.get('/ready', { key: null })).status === 503);
      const ready = await client.get('/ready', { key: null });
      expect(ready).toMatchObject({ status: 503, body: { ready: false, code: 'shutting_down' } });
      expect(ready.headers.get('retry-after')).toMatch(/^\d+$/);
      // Connections are still taken for the delay, and what comes is answered.
      const late = await client.post('/predict', { features: FEATURES });
      expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
      expect((await slow).status).toBe(200);
      const end = await ending;
      expectOrderlyEnd(server, end);
      await gone(pids);
      await server.start();
      expect(await client.unrecorded()).toEqual([]);
    } finally {
      await server.stop();
    }
  }, 120_000);

  it('keeps connections that are open, until they have had their answer', async () => {
    const server = await startServer({ env: { SIBYL_MODELS: ONE_MODEL } });
    try {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
      const statuses: (number | string)[] = [];
      let stopped = false;
      const asking = Array.from({ length: 4 }, async () => {
        while (!stopped) {
          const status = await request(server, agent);
          if (status === 'closed') return;
          statuses.push(status);
        }
      });
      await until(() => statuses.length > 50);
      const end = await server.terminate();
      stopped = true;
      await Promise.all(asking);
      agent.destroy();
      expect(end.code).toBe(0);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
    } finally {
      await server.stop();
    }
  }, 120_000);

  it('leaves nothing on the disk where a test wants that', async () => {
    const server = await startServer({ env: { SIBYL_MODELS: '' } });
    const elsewhere = /"folder":"([^"]+)"/.exec(server.log)?.[1];
    await server.stop();
    expect([server.dataDir, elsewhere].filter((folder) => folder !== undefined && fs.existsSync(folder))).toEqual([]);
  }, 120_000);
});

describe('a PostgreSQL of the operator’s', () => {
  let postgres: EmbeddedPostgres;
  let folder: string;
  let server: TestServer;
  let url: string;

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-postgres-'));
    postgres = await EmbeddedPostgres.start({ folder }, silentLog);
    const admin = new Client({ connectionString: postgres.url(EMBEDDED_SUPERUSER, 'postgres') });
    await admin.connect();
    await admin.query('CREATE DATABASE shared');
    await admin.end();
    url = postgres.url(EMBEDDED_SUPERUSER, 'shared');
    server = await startServer({ env: { SIBYL_MODELS: ONE_MODEL, DATABASE_URL: url } });
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await postgres.stop();
    for (const place of [postgres.folder, folder]) fs.rmSync(place, { recursive: true, force: true });
  }, 30_000);

  it('is used, and none is started', async () => {
    expect(processTree(server.pid).map(({ kind }) => kind)).not.toContain('postgres');
    const { body } = await server.call<{ database: unknown }>('GET', '/health/detailed');
    expect(body.database).toMatchObject({ up: true, embedded: false });
    expect((await server.call('POST', '/predict', { body: { features: FEATURES } })).status).toBe(200);
    expect((await server.call<{ items: unknown[] }>('GET', '/v1/audit/events')).body.items.length).toBeGreaterThan(1);
    expect(fs.readdirSync(server.dataDir)).not.toContain('postgres');
  });

  it('keeps everything over a restart, and is left running', async () => {
    const { body } = await server.call('GET', '/models');
    expect((await server.terminate()).code).toBe(0);
    await server.start();
    expect((await server.call('GET', '/models')).body).toEqual(body);
  }, 120_000);

  it('that nobody answers at ends the start with a clear message, without the password', async () => {
    const { code, output } = await unreachable;
    expect(code).toBe(1);
    expect(output).toMatch(/ECONNREFUSED|cannot be reached/);
    expect(output).not.toContain('hunter2');
  }, 120_000);
});

/** One prediction over a connection of the agent; `closed` when the server takes no more. */
function request(server: TestServer, agent: http.Agent): Promise<number | string> {
  return new Promise((resolve) => {
    const body = JSON.stringify({ features: FEATURES });
    const headers = { 'x-api-key': server.adminKey, 'content-type': 'application/json', 'content-length': body.length };
    const sent = http.request(`${server.url}/predict`, { method: 'POST', agent, headers }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', ({ code }: NodeJS.ErrnoException) => {
      // The kernel resets a connection that it took and nobody accepted before the port was closed.
      const refused = code === 'ECONNREFUSED' || (code === 'ECONNRESET' && !sent.reusedSocket);
      resolve(refused ? 'closed' : String(code));
    });
    sent.end(body);
  });
}

/** Started as root, the database of a data folder lies where a file in it says. */
function removeElsewhere(dataDir: string): void {
  const pointer = path.join(dataDir, 'postgres/elsewhere');
  if (fs.existsSync(pointer)) fs.rmSync(fs.readFileSync(pointer, 'utf8').trim(), { recursive: true, force: true });
}
