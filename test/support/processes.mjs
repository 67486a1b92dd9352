// What Linux says about a running server and everything that it started: who they are, their CPU time and their memory.
import fs from 'node:fs';

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return ''; // the process ended between two looks, or there is no /proc
  }
}

/** Every process as `{pid, parent, command, state}`; `command` is the whole command line. */
export function allProcesses() {
  const found = [];
  let names = [];
  try {
    names = fs.readdirSync('/proc');
  } catch {
    return found;
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    if (!stat) continue;
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
    const short = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    found.push({ pid: Number(name), parent: Number(parent), state, command: command || short });
  }
  return found;
}

function kindOf(process, kinds) {
  if (/postgres/.test(process.command) || kinds.get(process.parent) === 'postgres') return 'postgres';
  return /runner[\\/]main/.test(process.command) ? 'runner' : 'api';
}

/** The living descendants of a process and itself, each with its kind: `api`, `runner` or `postgres`. */
export function processTree(root) {
  const all = allProcesses().filter((one) => one.state !== 'Z');
  const kinds = new Map();
  const tree = [];
  let level = all.filter((one) => one.pid === root);
  while (level.length > 0) {
    for (const one of level) {
      const kind = kindOf(one, kinds);
      kinds.set(one.pid, kind);
      tree.push({ ...one, kind });
    }
    const parents = new Set(level.map((one) => one.pid));
    level = all.filter((one) => parents.has(one.parent));
  }
  return tree;
}

/** The postmaster of a server's embedded PostgreSQL, or undefined with an external one. */
export function postmasterOf(root) {
  return processTree(root).find((one) => one.kind === 'postgres' && /bin\/postgres\b/.test(one.command));
}

/** The scheduler's own account of a process, summed over its threads, in nanoseconds: field 0 ran, field 1 waited for a core. */
function scheduled(pid, field) {
  let threads = [];
  try {
    threads = fs.readdirSync(`/proc/${pid}/task`);
  } catch {
    return 0;
  }
  let sum = 0;
  for (const thread of threads) sum += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[field] || 0);
  return sum;
}

/** How long one process could have run and had no core to run on, in microseconds: what its neighbours took. */
export function starvedMicros(pid) {
  return scheduled(pid, 1) / 1e3;
}

/** CPU time of one process, in microseconds: the scheduler's own account, else the coarser ticks. */
export function cpuMicros(pid) {
  const nanoseconds = scheduled(pid, 0);
  if (nanoseconds > 0) return nanoseconds / 1e3;
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1e4;
}

/** Memory of one process in KiB: PSS shares what processes share among them, RSS counts it in each. */
export function memoryKib(pid) {
  const rollup = read(`/proc/${pid}/smaps_rollup`);
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
  return { pss: field('Pss'), rss: field('Rss') };
}
