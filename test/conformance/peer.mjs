// What the conformance runs share: programs of others on loopback, ended with the run, and checks that are counted.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 90_000;
const running = new Set();
// Each is the first of a group of its own: servers of Python start others.
const end = (child) => {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    running.delete(child);
  }
};
process.on('exit', () => running.forEach(end));

/** Starts a program that listens on `port`, and waits until it does. */
export async function startPeer(program, args, { port, env = {}, cwd }) {
  const log = fs.openSync(path.join(cwd, `${path.basename(program)}.log`), 'a');
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, ...env },
    stdio: ['ignore', log, log],
    detached: true,
  });
  fs.closeSync(log);
  running.add(child);
  child.once('exit', () => running.delete(child));
  const begun = performance.now();
  while (!(await listens(port))) {
    if (child.exitCode !== null || performance.now() - begun > START_MS)
      throw new Error(
        `${program} did not start:\n${fs.readFileSync(path.join(cwd, `${path.basename(program)}.log`), 'utf8')}`,
      );
    await sleep(200);
  }
  return { child, stop: () => stopPeer(child) };
}

async function stopPeer(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  end(child);
  await gone;
}

async function listens(port) {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await Promise.race([once(socket, 'connect'), sleep(1000).then(() => Promise.reject(new Error('late')))]);
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Runs a program to its end and returns what it printed. */
export async function run(program, args, { env = {}, cwd }) {
  const child = spawn(program, args, { cwd, env: { PATH: process.env.PATH, HOME: cwd, ...env } });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${path.basename(program)} ended with ${code}:\n${errors.slice(-3000)}`);
  return output;
}

export function temporaryFolder(name) {
  return fs.mkdtempSync(path.join(os.tmpdir(), `sibyl-${name}-`));
}

/** A program that its setup script has made. */
export function needed(file, setup) {
  if (fs.existsSync(file)) return file;
  console.error(`${file} is missing: run ${setup} first`);
  process.exit(1);
}

/** Checks that are printed one by one; the last line counts them. */
export class Checks {
  #failed = 0;
  #passed = 0;

  check(what, holds, detail = '') {
    console.log(`${holds ? 'ok    ' : 'MISSED'}  ${what}${holds ? '' : `  ${detail}`}`);
    if (holds) this.#passed += 1;
    else this.#failed += 1;
  }

  /** Registers from a URI and checks the status; returns the body. */
  async imports(server, model, body, expected, what) {
    const answer = await server.call('POST', `/v1/models/${model}/versions`, { body, timeoutMs: 60_000 });
    const { status, body: found } = answer.status === 202 ? await ended(server, answer.body.id) : answer;
    // What takes longer than a request waits is an operation; whether it had created something it does not say.
    const met = status === expected || (answer.status === 202 && status === 200 && expected === 201);
    this.check(what, met, `${status} ${JSON.stringify(found).slice(0, 600)}`);
    return found;
  }

  finish() {
    console.log(`${this.#passed} passed, ${this.#failed} missed`);
    process.exitCode = this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }
}

/** What became of an operation, as if it had been answered at once. */
async function ended(server, id) {
  for (;;) {
    const { body } = await server.call('GET', `/v1/operations/${id}`);
    if (body.status === 'succeeded') return { status: 200, body: body.result };
    if (body.status !== 'running') return { status: body.error?.status ?? 500, body: body.error ?? body };
    await sleep(200);
  }
}
