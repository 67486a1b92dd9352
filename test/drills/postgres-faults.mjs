// What can befall the embedded PostgreSQL of a server.
import { processTree } from '../support/processes.mjs';

/** Sends a signal; a process that has ended in between needs none. */
export function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function postgresOf(serverPid) {
  return processTree(serverPid).filter((one) => one.kind === 'postgres');
}

/** Stops all its processes where they stand. The postmaster comes first in the tree, so it can make no new ones. */
export function freeze(serverPid) {
  for (const one of postgresOf(serverPid)) signal(one.pid, 'SIGSTOP');
}

export function thaw(serverPid) {
  for (const one of postgresOf(serverPid)) signal(one.pid, 'SIGCONT');
}
