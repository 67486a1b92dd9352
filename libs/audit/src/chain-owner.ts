import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const OWNER_FILE = 'owner.json';
/** Well below the time after which silence counts as death. */
const HEARTBEAT_MS = 5000;

/** A process, told apart from a later one with the same number. Empty where the system does not say. */
interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
  readonly host: string;
  readonly boot: string;
  readonly pidNamespace: string;
}

/** Says in a chain's folder which process writes it, and goes on saying so while the process lives. */
export class ChainOwner {
  private readonly file: string;
  private readonly heartbeat: NodeJS.Timeout;

  /** `onLost` is called when the folder was taken away, so that nothing more is written where nobody reads. */
  constructor(folder: string, onLost: (error: Error) => void) {
    this.file = path.join(folder, OWNER_FILE);
    fs.writeFileSync(this.file, JSON.stringify(thisProcess()), { mode: 0o600 });
    this.heartbeat = setInterval(() => {
      const now = new Date();
      fs.utimes(this.file, now, now, (error) => {
        if (error?.code === 'ENOENT') onLost(error);
      });
    }, HEARTBEAT_MS).unref();
  }

  /** Leaves the folder to whoever adopts it, or to be deleted. */
  release(): void {
    clearInterval(this.heartbeat);
    fs.rmSync(this.file, { force: true });
  }
}

/** Whether the chain in `folder` has no living writer any more. Never true for one whose writer might still live. */
export function isAbandoned(folder: string, nowMs: number, abandonedAfterMs: number): boolean {
  const file = path.join(folder, OWNER_FILE);
  let owner: Partial<ProcessIdentity>;
  let silentMs: number;
  try {
    silentMs = nowMs - fs.statSync(file).mtimeMs;
    owner = JSON.parse(fs.readFileSync(file, 'utf8')) as Partial<ProcessIdentity>;
  } catch (error) {
    // Released by its writer. A folder of which the owner file is half-written is a moment old, or was cut by a crash.
    return hasCode(error, 'ENOENT') || olderThan(folder, nowMs, abandonedAfterMs);
  }
  const self = thisProcess();
  const comparable = owner.host === self.host && owner.boot === self.boot && owner.pidNamespace === self.pidNamespace;
  if (!comparable || typeof owner.pid !== 'number') return silentMs > abandonedAfterMs;
  if (!isAlive(owner.pid)) return true;
  const startedAt = startOf(owner.pid);
  if (startedAt !== '' && owner.startedAt !== '') return startedAt !== owner.startedAt;
  return silentMs > abandonedAfterMs;
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}

function olderThan(folder: string, nowMs: number, ageMs: number): boolean {
  try {
    return nowMs - fs.statSync(folder).mtimeMs > ageMs;
  } catch {
    return false;
  }
}

let own: ProcessIdentity | undefined;

function thisProcess(): ProcessIdentity {
  own ??= {
    pid: process.pid,
    startedAt: startOf(process.pid),
    host: os.hostname(),
    boot: firstLine('/proc/sys/kernel/random/boot_id'),
    pidNamespace: linkTarget('/proc/self/ns/pid'),
  };
  return own;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, under another user.
    return hasCode(error, 'EPERM');
  }
}

/** Start time in ticks since boot, from /proc: number 22 of the fields, counted after the name in parentheses. */
function startOf(pid: number): string {
  const line = firstLine(`/proc/${pid}/stat`);
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function firstLine(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').split('\n')[0] ?? '';
  } catch {
    return '';
  }
}

function linkTarget(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}
