import { processTree } from './processes.mjs';
import type { TestServer } from './server.mjs';

/** While it works the server's own PostgreSQL stands still: it takes connections and answers nothing. */
export async function whileFrozen(server: TestServer, work: () => Promise<void>): Promise<void> {
  const frozen = processTree(server.pid ?? 0)
    .filter(({ kind }) => kind === 'postgres')
    .map(({ pid }) => pid);
  expect(frozen.length).toBeGreaterThan(0);
  for (const pid of frozen) signal(pid, 'SIGSTOP');
  try {
    await work();
  } finally {
    for (const pid of frozen) signal(pid, 'SIGCONT');
  }
}

/** Processes of PostgreSQL come and go. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
