import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const cache = path.resolve(__dirname, '../../../.cache');

/** A new folder that PostgreSQL's own user may reach, as a data folder is when Sibyl is not started as root. */
export function openFolder(name = 'database'): string {
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(path.join(cache, `${name}-`));
  chmodSync(folder, 0o755);
  return folder;
}

export function remove(...folders: readonly string[]): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

/** The postmaster and everything that it has started. */
export function processesOf(postmaster: number): number[] {
  return [postmaster, ...parents().flatMap(([pid, parent]) => (parent === postmaster ? [pid] : []))];
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Stops the whole server in its tracks, as a hung disk does; the result wakes it again. */
export function freeze(postmaster: number): () => void {
  const frozen = processesOf(postmaster).filter((pid) => programOf(pid) === 'postgres');
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  return () => frozen.filter(isRunning).forEach((pid) => process.kill(pid, 'SIGCONT'));
}

/** Asks again and again until the answer is yes; the test's own time limit ends it. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

function programOf(pid: number): string {
  if (existsSync('/proc/self/comm')) return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  return path.basename(execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim());
}

function parents(): (readonly [number, number])[] {
  if (!existsSync('/proc/self/stat')) {
    const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
    return rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number]);
  }
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const parent = /\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
      return [[Number(pid), Number(parent)] as const];
    } catch {
      return [];
    }
  });
}
