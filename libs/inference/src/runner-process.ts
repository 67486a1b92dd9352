import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Linux counts /proc/<pid>/statm in pages, of 4 KiB on every platform that the runtime has a build for. */
const PAGE_BYTES = 4096;
/** Of -1000 to 1000: when memory runs out the kernel ends a runner, never the server or its database. */
const RUNNER_OOM_SCORE = 900;

/** Resident memory of a process; undefined where the system does not tell, or the process is gone. */
export function memoryOf(pid: number | undefined): number | undefined {
  if (pid === undefined) return undefined;
  try {
    const pages = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1];
    return Number(pages) * PAGE_BYTES;
  } catch {
    // No /proc on this system, or the process ended meanwhile: there is nothing to measure.
    return undefined;
  }
}

/** When a process began, in ticks since the machine did: with its number it names a process for good. */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    // No /proc on this system, or there is no such process.
    return undefined;
  }
}

/** Whether the process of this number still is the one that began then. */
export function isProcess(pid: number, begun: string | undefined): boolean {
  return begun !== undefined && startOf(pid) === begun;
}

/** Whether a process has been suspended by a signal, or by a debugger: what it does not do then is no fault of its own. */
export function isSuspended(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[Tt]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    // No /proc on this system, or the process ended meanwhile.
    return false;
  }
}

/** Makes a runner the first to suffer when memory or processor time is short. */
export function shieldServer(pid: number | undefined, niceness: number): void {
  if (pid === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(RUNNER_OOM_SCORE));
  } catch {
    // Only Linux has it; elsewhere nothing replaces it.
  }
  if (niceness !== 0) renice(pid, niceness);
}

/** Of CAP_SYS_NICE in the sets of capabilities that Linux shows. */
const SYS_NICE = 1n << 23n;
const YIELDING = 10;

/** Has a process yield to all others while it does some work; only where this one may undo that afterwards. */
export async function whileYielding<T>(pid: number | undefined, niceness: number, work: () => Promise<T>): Promise<T> {
  if (pid === undefined || !mayRaisePriority()) return work();
  renice(pid, Math.max(niceness, YIELDING));
  try {
    return await work();
  } finally {
    renice(pid, niceness);
  }
}

function mayRaisePriority(): boolean {
  try {
    const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? [];
    return effective !== undefined && (BigInt(`0x${effective}`) & SYS_NICE) !== 0n;
  } catch {
    // Not Linux: nobody knows, so nothing is lowered.
    return false;
  }
}

/** Linux gives each thread a priority of its own, which it has from the one that began it: so the main thread is first. */
function renice(pid: number, niceness: number): void {
  reniceThread(pid, niceness);
  for (const thread of threadsOf(pid)) reniceThread(thread, niceness);
}

function reniceThread(thread: number, niceness: number): void {
  try {
    setPriority(thread, niceness);
  } catch {
    // It has ended already; of a whole process its exit tells.
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    // No /proc on this system, or the process ended meanwhile.
    return [];
  }
}

/** Makes the runners' working folder if need be. Relative names in a model find nothing there. */
export function prepareWorkFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o500 });
  const [stray] = readdirSync(folder);
  if (stray !== undefined) throw new Error(`the working folder of the runners must be empty: ${folder} holds ${stray}`);
}
