import type { Pace } from '@sibyl/kernel';
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import type { Frame, Given } from './frame';
import type { Program } from './program';

/** More entities than this are several requests. */
const MAX_ENTITIES = 1000;

/** Milliseconds that the log may take for a row whose states are not in memory, where nobody says otherwise. */
export const COLD_ROW_MS = 40;

/** What one entity is asked for: a row has one key and one set of values a view. */
export interface OnlineRow {
  /** By the index of the view. */
  readonly entities: readonly string[];
  readonly given?: readonly (Given | undefined)[] | undefined;
}

export interface OnlineQuery {
  /** Programs of the views, compiled from a set or from a list of features. */
  readonly views: readonly Program[];
  readonly rows: readonly OnlineRow[];
  /** Milliseconds that the log may take; what has not come by then is TIMEOUT. */
  readonly deadlineMs?: number | undefined;
  /** The same for what is kept in memory and is not there; the log of other versions has the time of reads of the past. */
  readonly coldMs?: number | undefined;
  readonly keepStale?: boolean | undefined;
  /** Of long work; absent: that of all. */
  readonly pace?: Pace | undefined;
  /** The answer says where each row was found. */
  readonly tiers?: boolean | undefined;
}

/** Where a row was found: all of it was computed before; computed of events in memory; the log had to be read. The last one is the slowest. */
export const READ_TIERS = ['vector', 'state', 'log'] as const;
export type ReadTier = (typeof READ_TIERS)[number];

/** A moment of the past, and whose knowledge of it counts. */
export interface PastMoment {
  readonly at: Micros;
  /** What was known then: `at` unless more is wanted. */
  readonly knownAt: Micros;
  /** Events that came too late to be served count too. */
  readonly corrected: boolean;
  /** It is the present: what is being committed counts or does not, as it does in memory. */
  readonly present?: boolean;
  /** Milliseconds that the read may wait until all is known that had arrived; absent: half of its time. */
  readonly waitMs?: number;
}

/** What was served then, or would have been. */
export function isStrict({ at, knownAt, corrected }: PastMoment): boolean {
  return knownAt === at && !corrected;
}

export interface OnlineAnswer {
  /** The moment that ages are counted to. */
  readonly at: Micros;
  /** By row, then by view. */
  readonly frames: readonly (readonly Frame[])[];
  /** Why some values are TIMEOUT: the log was too slow, or could not be read. */
  readonly unread?: 'deadline' | 'failed' | undefined;
  /** Some of what had arrived at the moment was being committed still: asked later, the answer may be another one. */
  readonly unsettled?: boolean | undefined;
  /** Microseconds that were spent on the log; 0: everything was in memory. */
  readonly storage: Micros;
  /** By row, where it was asked for. */
  readonly tiers?: readonly ReadTier[] | undefined;
}

/** One view of one row, on its way to its frame. */
export interface Task {
  readonly program: Program;
  readonly entity: string;
  readonly given: Given | undefined;
  /** What live reads have found in memory for it. */
  states: readonly (EntityState | undefined)[] | undefined;
  frame: Frame | undefined;
  /** Nothing is missing that could still be read. */
  done: boolean;
  tier: ReadTier;
}

export function tasksOf({ views, rows }: OnlineQuery): Task[] {
  if (rows.length > MAX_ENTITIES) throw new RangeError(`at most ${MAX_ENTITIES} entities`);
  const tasks: Task[] = [];
  for (const row of rows) {
    for (const [i, program] of views.entries()) {
      const entity = row.entities[i];
      if (entity === undefined) throw new RangeError(`no key of view ${program.plan.view.name}`);
      tasks.push({
        program,
        entity,
        given: row.given?.[i],
        states: undefined,
        frame: undefined,
        done: false,
        tier: 'state',
      });
    }
  }
  return tasks;
}

/** The same of one moment: rows that ask the same are one task. */
export function sharedTasksOf(query: OnlineQuery): Task[] {
  const tasks = tasksOf(query);
  if (query.rows.length === 1) return tasks;
  const { length } = query.views;
  const known = query.views.map(() => new Map<string, Task>());
  return tasks.map((task, i) => {
    // What is given differs, or is of all: then it is the same object.
    const before = known[i % length]?.get(task.entity);
    if (before?.given === task.given && before !== undefined) return before;
    known[i % length]?.set(task.entity, task);
    return task;
  });
}

/** Where each row was found: where the slowest of its views was. Nothing, unless it was asked for. */
export function tiersOf(tasks: readonly Task[], { views, rows, tiers }: OnlineQuery): OnlineAnswer['tiers'] {
  if (tiers !== true) return undefined;
  const slowest = (row: number): ReadTier => {
    const ranks = views.map((_, view) => READ_TIERS.indexOf(tasks[row * views.length + view]?.tier ?? 'log'));
    return READ_TIERS[Math.max(0, ...ranks)] ?? 'log';
  };
  return rows.map((_, row) => slowest(row));
}

/** Frames by row, then by view. */
export function framesOf(tasks: readonly Task[], { views, rows }: OnlineQuery): Frame[][] {
  return rows.map((_, row) =>
    views.map((__, view) => {
      const frame = tasks[row * views.length + view]?.frame;
      if (!frame) throw new RangeError('a row without a frame');
      return frame;
    }),
  );
}
