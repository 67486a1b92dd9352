import { createHash } from 'node:crypto';
import os from 'node:os';

const HOST = createHash('sha256').update(os.hostname()).digest('hex').slice(0, 8);

/** Begins the names of what this process has under way on a disk that others use too. */
export function processMark(): string {
  return `${HOST}-${process.pid}`;
}

/** Whose a name is that begins with such a mark, as far as this machine can tell. */
export function ownerOf(name: string): 'here' | 'gone' | 'elsewhere' {
  const [host, pid] = name.split('-');
  if (host !== HOST) return 'elsewhere';
  // What carries this process's own number and is not its own comes from a predecessor: in a container it is always 1.
  return Number(pid) !== process.pid && isAlive(Number(pid)) ? 'here' : 'gone';
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
