// The machine under the bench: which cores to use, and what its disk needs to make a write durable.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { processTree } from '../support/processes.mjs';
import { REPOSITORY } from '../support/server.mjs';

const require = createRequire(import.meta.url);

const BLOCK_BYTES = 4096;
const FILE_BLOCKS = 256;

/**
 * Two cores that are not siblings where there is a choice, and all but the first (`others`, as taskset writes them);
 * undefined where processes cannot be pinned.
 */
export function chooseCores() {
  const shown = spawnSync('taskset', ['-pc', String(process.pid)], { encoding: 'utf8' });
  if (shown.status !== 0) return undefined;
  const list = shown.stdout.slice(shown.stdout.lastIndexOf(':') + 1).trim();
  const cores = list.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
  if (cores.length < 2) return undefined;
  const siblings = siblingsOf(cores[0]);
  const load = cores.slice(1).find((core) => !siblings.includes(core)) ?? cores[1];
  return { server: cores[0], load, others: cores.slice(1).join(',') };
}

function siblingsOf(core) {
  try {
    const list = fs.readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, 'utf8');
    return list.trim().split(/[,-]/).map(Number);
  } catch {
    return [core];
  }
}

/** Pins a process with all its threads to a core or a list of them; one that has just ended is nobody's loss. */
export function pin(pid, cores) {
  spawnSync('taskset', ['-a', '-p', '-c', String(cores), String(pid)], { stdio: 'ignore' });
}

/** The commit that is measured, with a + where files differ from it. */
function commitOf(folder) {
  const git = (...args) => spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
  const head = git('rev-parse', '--short=10', 'HEAD');
  if (head.status !== 0) return 'unknown';
  return head.stdout.trim() + (git('status', '--porcelain').stdout.trim() === '' ? '' : '+');
}

/** What figures depend on. */
export function describeMachine() {
  return {
    cpu: os.cpus()[0]?.model ?? os.arch(),
    cores: os.availableParallelism(),
    memoryGib: os.totalmem() / 2 ** 30,
    kernel: `${os.type()} ${os.release()}`,
    load: os.loadavg(),
    onnxruntime: require('onnxruntime-node/package.json').version,
    commit: commitOf(REPOSITORY),
  };
}

/** Durable writes as the audit spool makes them: 4 KiB blocks of a zero-filled file that was opened with O_DSYNC. */
export class DurableWrites {
  #handle;
  #next = 0;
  times = [];

  static async open(folder) {
    const writes = new DurableWrites();
    writes.file = path.join(folder, 'bench-fsync');
    fs.writeFileSync(writes.file, Buffer.alloc(BLOCK_BYTES * FILE_BLOCKS), { flush: true });
    writes.#handle = await fs.promises.open(writes.file, fs.constants.O_RDWR | fs.constants.O_DSYNC);
    return writes;
  }

  async measure(count) {
    const block = Buffer.alloc(BLOCK_BYTES, 0x5a);
    for (let i = 0; i < count; i++) {
      const begun = performance.now();
      await this.#handle.write(block, 0, BLOCK_BYTES, (this.#next++ % FILE_BLOCKS) * BLOCK_BYTES);
      this.times.push(performance.now() - begun);
    }
  }

  async close() {
    await this.#handle.close();
    fs.rmSync(this.file, { force: true });
  }
}

/** Servers and the load generator, each on its core where there are two. */
export function pinStand({ server, load, limit }, cores) {
  if (!cores) return;
  for (const one of processTree(server.pid)) pin(one.pid, one.kind === 'postgres' ? cores.load : cores.server);
  pin(load.pid, cores.load);
  if (limit) pin(limit.pid, cores.server);
}
