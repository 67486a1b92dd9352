import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { InferenceLog } from './inference-log';
import { ownHierarchy, type MemoryHierarchy } from './memory-hierarchy';
import { isProcess, startOf } from './runner-process';

/** What holds a process to its memory: a control group of the kernel, beside the watch that is always there. */
export type MemoryLimit = MemoryHierarchy['kind'] | 'watched';

/**
 * Beside the resident memory that is watched a group counts page tables, sockets and the kernel's stacks: where memory grows
 * slowly the watch is first, which spares the kernel the search for a victim.
 */
const HEADROOM_BYTES = 64 * 1024 * 1024;
/** The largest piece in which memory is taken: with less left than that the limit is reached. */
const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
const PROBE_BYTES = 64 * 1024 * 1024;
/** The process that made it, when that began (numbers of processes are used again), and which of its groups it is. */
const NAME = /^sibyl-runner-(\d{1,10})-(\d{1,20})-\d{1,15}$/;

/** The group of one process. */
export class MemoryGroup {
  /** Resolves when its process is in it, or has turned out not to come. */
  joined: Promise<void> = Promise.resolve();

  constructor(
    private readonly hierarchy: MemoryHierarchy,
    readonly name: string,
  ) {}

  limit(bytes: number): void {
    if (this.hierarchy.kind === 'cgroup_v2') {
      this.set('memory.max', bytes);
      this.try('memory.swap.max', 0);
      return;
    }
    this.set('memory.limit_in_bytes', bytes);
    this.try('memory.memsw.limit_in_bytes', bytes);
    // A group inherits whether processes are halted instead of ended: a halted runner would only be noticed by its time.
    this.try('memory.oom_control', 0);
  }

  /** In the background: the kernel takes ten milliseconds and more to move a process, in which the event loop would stand. */
  add(pid: number, onFailed: (error: unknown) => unknown): void {
    this.joined = writeFile(path.join(this.folder, 'cgroup.procs'), String(pid)).catch(
      (error: unknown) => void onFailed(error),
    );
  }

  /** Whether the kernel has ended a process of it for the limit of this group, and not for want of memory elsewhere. */
  get exceeded(): boolean {
    if (this.hierarchy.kind === 'cgroup_v2')
      return this.count('memory.events', /^oom_kill (\d+)/m) > 0 && this.count('memory.events', /^max (\d+)/m) > 0;
    // Not memory.failcnt, which kernels of today leave at zero.
    const left = this.count('memory.limit_in_bytes', /^(\d+)/) - this.count('memory.max_usage_in_bytes', /^(\d+)/);
    return left < HUGE_PAGE_BYTES && this.count('memory.oom_control', /^oom_kill (\d+)/m) > 0;
  }

  /** Removes it; while a process ends in it that fails, and the next group that is made tries again. */
  remove(): void {
    removeGroup(this.folder);
  }

  private get folder(): string {
    return path.join(this.hierarchy.folder, this.name);
  }

  private set(file: string, value: number): void {
    writeFileSync(path.join(this.folder, file), String(value));
  }

  /** Not every kernel has it. */
  private try(file: string, value: number): void {
    try {
      this.set(file, value);
    } catch {
      // The limit itself holds without it.
    }
  }

  private count(file: string, pattern: RegExp): number {
    try {
      return Number(pattern.exec(readFileSync(path.join(this.folder, file), 'latin1'))?.[1] ?? 0);
    } catch {
      // Somebody has removed the group: nothing is known of it.
      return 0;
    }
  }
}

/**
 * Gives each runner a control group of its own where this process may make some, so that the kernel ends a process that asks
 * for too much at once, which a watch would notice too late. Only groups of its own name below its own group, or below the
 * one that the operator names, are ever touched.
 */
export class MemoryGroups {
  private made = 0;
  private readonly living = new Set<string>();
  private readonly prefix = `sibyl-runner-${process.pid}-${startOf(process.pid) ?? 0}`;

  private constructor(
    private readonly hierarchy: MemoryHierarchy | undefined,
    private readonly log: InferenceLog,
  ) {}

  /** `place`: `auto`, `off`, or the folder of a control group that is this server's alone. */
  static open(place: string, log: InferenceLog): MemoryGroups {
    if (place === 'off') return new MemoryGroups(undefined, log);
    try {
      const hierarchy = place === 'auto' ? hierarchyOfProcess() : hierarchyAt(place);
      if (hierarchy.kind === 'cgroup_v2') enableMemory(hierarchy);
      const groups = new MemoryGroups(hierarchy, log);
      groups.probe();
      return groups;
    } catch (error) {
      const fields = { err: error, place };
      if (place === 'auto') log.debug(fields, 'no control groups for runners: their memory is watched');
      else log.warn(fields, 'the named control group cannot be used for runners: their memory is watched');
      return new MemoryGroups(undefined, log);
    }
  }

  get kind(): MemoryLimit {
    return this.hierarchy?.kind ?? 'watched';
  }

  /** The process, which has only just begun, in a group that holds it to about `bytes`. */
  confine(pid: number | undefined, bytes: number): MemoryGroup | undefined {
    if (this.hierarchy === undefined || pid === undefined) return undefined;
    const onFailed = (error: unknown): void =>
      this.log.warn({ err: error, pid }, 'a runner could not be given a control group: its memory is watched');
    try {
      this.removeLeftovers();
      const group = this.make(bytes + HEADROOM_BYTES);
      // One that has ended meanwhile has left its group already.
      group.add(pid, (error) => this.living.has(group.name) && onFailed(error));
      return group;
    } catch (error) {
      onFailed(error);
      return undefined;
    }
  }

  /** Its process has ended. */
  release(group: MemoryGroup): void {
    this.living.delete(group.name);
    group.remove();
  }

  private probe(): void {
    this.removeLeftovers();
    this.release(this.make(PROBE_BYTES));
  }

  private make(bytes: number): MemoryGroup {
    const hierarchy = this.hierarchy as MemoryHierarchy;
    const group = new MemoryGroup(hierarchy, `${this.prefix}-${++this.made}`);
    mkdirSync(path.join(hierarchy.folder, group.name));
    this.living.add(group.name);
    try {
      group.limit(bytes);
    } catch (error) {
      this.release(group);
      throw error;
    }
    return group;
  }

  /** Groups of servers that were killed, and those whose process was still ending when they should have gone. */
  private removeLeftovers(): void {
    const folder = this.hierarchy?.folder ?? '';
    for (const name of readdirSync(folder)) {
      const [, pid, begun] = NAME.exec(name) ?? [];
      if (pid === undefined || this.living.has(name)) continue;
      const isOwn = name.startsWith(`${this.prefix}-`);
      if (isOwn || !isProcess(Number(pid), begun)) removeGroup(path.join(folder, name));
    }
  }
}

/** The kernel refuses it while a process is in it. */
function removeGroup(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // In use, or gone: whoever makes the next group looks again.
  }
}

function hierarchyOfProcess(): MemoryHierarchy {
  const read = (file: string): string => readFileSync(`/proc/self/${file}`, 'utf8');
  const hierarchy = ownHierarchy(read('cgroup'), read('mountinfo'));
  if (hierarchy === undefined) throw new Error('this process sees no control group of its own');
  return hierarchy;
}

function hierarchyAt(folder: string): MemoryHierarchy {
  const has = (file: string): boolean => existsSync(path.join(folder, file));
  if (has('memory.limit_in_bytes')) return { kind: 'cgroup_v1', folder };
  if (has('cgroup.subtree_control')) return { kind: 'cgroup_v2', folder };
  throw new Error(`${folder} is no control group with a memory limit`);
}

/** A group may only divide memory among those below it while no process is in it: then the operator names another one. */
function enableMemory({ folder }: MemoryHierarchy): void {
  const file = path.join(folder, 'cgroup.subtree_control');
  if (!readFileSync(file, 'latin1').split(/\s+/).includes('memory')) writeFileSync(file, '+memory');
}
