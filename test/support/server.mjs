// Starts the real server in a folder of its own, as an operator would: one process, the environment, nothing shared.
// Bench, drills and end-to-end tests use it; it needs a built tree (npm run build).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000; // longer than any limit of the server itself, which it tells of in its log
const POLL_MS = 15;
const KEPT_FROM_CALLER = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS'];

/** A port that was free a moment ago. */
export async function freePort() {
  const probe = net.createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

// A server that a crashed test leaves behind would keep a port, a PostgreSQL and the CPU for ever.
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

async function waitUntilReady(url, child, begun, timeoutMs) {
  while (child.exitCode === null && child.signalCode === null) {
    if (performance.now() - begun > timeoutMs) throw new Error(`the server was not ready after ${timeoutMs} ms`);
    const ready = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(2_000) }).then(
      async (answer) => {
        await answer.arrayBuffer();
        return answer.ok;
      },
      () => false,
    );
    if (ready) return performance.now() - begun;
    await sleep(POLL_MS);
  }
  throw new Error(`the server ended with ${child.signalCode ?? child.exitCode} before it was ready`);
}

function environment(dataDir, ports, extra) {
  const kept = KEPT_FROM_CALLER.filter((name) => process.env[name] !== undefined).map((name) => [
    name,
    process.env[name],
  ]);
  return {
    ...Object.fromEntries(kept),
    SIBYL_HOST: '127.0.0.1',
    SIBYL_PORT: String(ports.http),
    SIBYL_GRPC_PORT: String(ports.grpc),
    SIBYL_DATA_DIR: dataDir,
    SIBYL_MODELS: path.join(REPOSITORY, 'examples/models/*'),
    ...extra,
  };
}

/** The folder that was made for this server's database outside its data folder; it is named before anything is in it. */
function databaseElsewhere(dataDir) {
  const pointer = path.join(dataDir, 'postgres/elsewhere');
  const named = fs.existsSync(pointer) ? fs.readFileSync(pointer, 'utf8').trim() : '';
  return path.basename(named).startsWith('postgres-') ? named : undefined;
}

/** One server: where it is, how to talk to it, how to end it, gently or not, and how to start it again on its data. */
export class TestServer {
  #child;

  constructor(options) {
    this.options = options;
    this.ownsDataDir = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-test-'));
    this.logFile = `${this.dataDir.replace(/[\\/]+$/, '')}.log`;
  }

  get pid() {
    return this.#child?.pid;
  }

  /** The first administrator's key, as the server made it or was given it. */
  get adminKey() {
    return this.options.env?.SIBYL_ADMIN_KEY ?? fs.readFileSync(path.join(this.dataDir, 'admin-key'), 'utf8').trim();
  }

  /** What the server wrote to stdout and stderr, all runs of it. */
  get log() {
    return fs.existsSync(this.logFile) ? fs.readFileSync(this.logFile, 'utf8') : '';
  }

  /** Starts the process and returns without waiting for it to be ready. */
  async launch() {
    const { nodeArguments = [], env } = this.options;
    this.port ??= Number(env?.SIBYL_PORT ?? (await freePort())); // the same one after a restart, as for a real client
    this.url = `http://127.0.0.1:${this.port}`;
    fs.mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    const output = fs.openSync(this.logFile, 'a');
    this.begun = performance.now();
    const child = spawn(process.execPath, [...nodeArguments, path.join(REPOSITORY, 'dist/apps/api/main.js')], {
      cwd: this.dataDir, // not the repository: a developer's .env there must not reach a test
      env: environment(this.dataDir, { http: this.port, grpc: await freePort() }, env),
      stdio: ['ignore', output, output],
    });
    fs.closeSync(output);
    running.add(child);
    child.once('exit', () => running.delete(child));
    this.#child = child;
    await once(child, 'spawn');
    return this;
  }

  /** Waits for /ready and returns the milliseconds since the process was started. */
  async ready() {
    try {
      const timeoutMs = this.options.readyTimeoutMs ?? READY_TIMEOUT_MS;
      return await waitUntilReady(this.url, this.#child, this.begun, timeoutMs);
    } catch (error) {
      const tail = this.log.split('\n').slice(-40).join('\n');
      await this.kill9();
      throw new Error(`${error.message}; its last lines:\n${tail}`, { cause: error });
    }
  }

  async start() {
    await this.launch();
    this.readyMs = await this.ready();
    return this;
  }

  /** SIGKILL: no warning, no clean-up. Returns when the process is gone; what it started may live a little longer. */
  async kill9() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** SIGTERM, as an orchestrator would; returns `{code, signal, ms}` and leaves the data where it is. */
  async terminate() {
    const child = this.#child;
    if (!child) return { code: null, signal: null, ms: 0 };
    const begun = performance.now();
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(timer);
    }
    return { code: child.exitCode, signal: child.signalCode, ms: performance.now() - begun };
  }

  /** SIGTERM, then everything that this server left on the disk goes, unless the caller named the folder. */
  async stop() {
    const end = await this.terminate();
    if (this.ownsDataDir) this.remove();
    return end;
  }

  /** Removes data folder, log and the database's folder where that lies outside (servers started as root). */
  remove() {
    const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 };
    const elsewhere = databaseElsewhere(this.dataDir);
    if (elsewhere) fs.rmSync(elsewhere, options);
    fs.rmSync(this.dataDir, options);
    fs.rmSync(this.logFile, options);
  }

  /** One request; `body` is sent as JSON, `key` defaults to the admin key (null: none). Answers status, headers and body. */
  async call(method, route, { body, key = this.adminKey, headers = {}, timeoutMs = 30_000 } = {}) {
    const answer = await fetch(this.url + route, {
      method,
      headers: {
        ...(key === null ? {} : { 'x-api-key': key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.text();
    const json = /\bjson\b/.test(answer.headers.get('content-type') ?? '') && text !== '';
    return { status: answer.status, headers: answer.headers, body: json ? JSON.parse(text) : text };
  }
}

/**
 * Starts a server and waits until it is ready. Options: `env` (added to a clean environment), `dataDir` (kept at the end;
 * left out: a temporary one), `nodeArguments` (for profiling), `readyTimeoutMs`.
 */
export async function startServer(options = {}) {
  const server = new TestServer(options);
  try {
    return await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
}
