// Hot: what a prediction or a read of now asks.
import { TURNS } from '@sibyl/kernel';
import type { EventHistory } from '../log/feature-event';
import { MICROS_PER_SECOND, type Micros } from '../time';
import type { CacheCounter } from './cache-counter';
import type { EntityState } from './entity-state';
import { evaluate, type Inputs } from './evaluate';
import { explain, type Explanation } from './explain';
import type { Memo } from './memo';
import {
  COLD_ROW_MS,
  framesOf,
  sharedTasksOf,
  tasksOf,
  tiersOf,
  type OnlineAnswer,
  type OnlineQuery,
  type Task,
} from './online-query';
import { StateFinder } from './state-finder';
import { StateLoader } from './state-loader';
import type { StateStore } from './state-store';
import { keepsVectors, recallFrame, rememberFrame } from './vectors';

/** What is computed at once; longer work goes on in slices. */
const AT_ONCE_MS = 2;
/** Rows of tables whose keys come from rows of tables: so many deep. */
const MAX_KEY_ROUNDS = 4;
/** A clock that was set back by more than this is followed; before that, time stands still until it has caught up. */
const CLOCK_STEP = 5 * MICROS_PER_SECOND;

export interface LiveReadOptions {
  readonly store: StateStore;
  readonly log: EventHistory;
  readonly now: () => Micros;
  readonly counter: CacheCounter;
}

interface ReadMoment {
  readonly at: Micros;
  readonly finder: StateFinder;
}

interface Tally {
  hits: number;
  misses: number;
}

/** Reads of now, from memory; what is not there comes from the log, in one read for all. */
export class LiveReads {
  private readonly loader: StateLoader;
  private last: Micros = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: LiveReadOptions) {
    this.loader = new StateLoader(options.log, options.store, options.now);
  }

  /** At once where everything is in memory. */
  read(query: OnlineQuery): OnlineAnswer | Promise<OnlineAnswer> {
    const tasks = sharedTasksOf(query);
    const at = this.moment();
    const finder = new StateFinder(this.options.store);
    let found = 0;
    for (const task of tasks) {
      const { misses } = finder;
      task.states ??= statesOf(task, at, finder);
      if (finder.misses > misses) task.tier = 'log';
      for (const state of task.states) if (state) found += 1;
    }
    this.count('state', found, finder.wanting);
    if (finder.wanting > 0) return this.readRest(query, tasks, finder);
    const rest = this.evaluateAll(query, tasks, at, finder);
    if (rest) return rest.then(() => this.readRows(query, tasks, finder, at));
    if (finder.wanting > 0) return this.readRows(query, tasks, finder, at);
    return { at, frames: framesOf(tasks, query), storage: 0, tiers: tiersOf(tasks, query), unread: undefined };
  }

  /** Why a feature has its value now. */
  async explain(query: OnlineQuery, slot: number): Promise<Explanation> {
    const { at, unread } = await this.read(query);
    const [task] = tasksOf(query);
    if (!task) throw new RangeError('an explanation is of one row');
    const finder = new StateFinder(this.options.store);
    const inputs = inputsOf(query, task, statesOf(task, at, finder), { at, finder });
    return { ...explain(task.program, inputs, at, slot), ...(unread && { unread }) };
  }

  private async readRest(query: OnlineQuery, tasks: readonly Task[], finder: StateFinder): Promise<OnlineAnswer> {
    await finder.fetch(this.loader, deadlineOf(query));
    for (const task of tasks) task.states = undefined;
    // Now is when the states are there: no moment before it is asked of them.
    const at = this.moment();
    await this.evaluateAll(query, tasks, at, finder);
    return this.readRows(query, tasks, finder, at);
  }

  /** Reads rows of tables by the keys that came to light, and states that meanwhile left memory, until nothing is missing. */
  private async readRows(
    query: OnlineQuery,
    tasks: readonly Task[],
    finder: StateFinder,
    at: Micros,
  ): Promise<OnlineAnswer> {
    for (let round = 0; round < MAX_KEY_ROUNDS && finder.wanting > 0; round++) {
      this.count('state', 0, finder.wanting);
      await finder.fetch(this.loader, deadlineOf(query));
      await this.evaluateAll(query, tasks, at, finder);
    }
    const { unread, storage } = finder;
    return { at, frames: framesOf(tasks, query), storage, tiers: tiersOf(tasks, query), unread };
  }

  /** Undefined where everything is done; long work goes on in slices. */
  private evaluateAll(
    query: OnlineQuery,
    tasks: readonly Task[],
    at: Micros,
    finder: StateFinder,
  ): Promise<void> | undefined {
    const end = performance.now() + AT_ONCE_MS;
    const moment = { at, finder };
    const vectors = { hits: 0, misses: 0 };
    let rest: Promise<void> | undefined;
    for (let i = 0; i < tasks.length; i++) {
      const task = tasks[i] as Task;
      if (task.done) continue;
      this.evaluateOne(query, task, moment, vectors);
      if (i + 1 === tasks.length || performance.now() <= end) continue;
      rest = this.evaluateRest(query, tasks.slice(i + 1), moment, vectors);
      break;
    }
    // Once a read and not once a row: of the rest when it is done.
    if (!rest) this.count('vector', vectors.hits, vectors.misses);
    return rest;
  }

  private async evaluateRest(
    query: OnlineQuery,
    tasks: readonly Task[],
    moment: ReadMoment,
    vectors: Tally,
  ): Promise<void> {
    const { pace = TURNS } = query;
    for (const task of tasks) {
      if (pace.due) await pace.next();
      if (task.done) continue;
      // What was found before may have left memory meanwhile.
      task.states = undefined;
      this.evaluateOne(query, task, moment, vectors);
    }
    this.count('vector', vectors.hits, vectors.misses);
  }

  private evaluateOne(query: OnlineQuery, task: Task, moment: ReadMoment, vectors: Tally): void {
    const { at, finder } = moment;
    const { misses: before } = finder;
    const states = (task.states ??= statesOf(task, at, finder));
    const memo = this.options.store.memoOf(task.program, task.entity);
    const keeps = keepsVectors(task.program);
    const asked = { at, given: task.given, keepStale: query.keepStale };
    const known = recallFrame(task.program, memo, states, asked);
    const vector = keeps ? known : undefined;
    task.frame = vector ?? evaluate(task.program, inputsOf(query, task, states, moment, memo), at, known);
    if (!known && memo) rememberFrame(task.program, memo, states, task.frame);
    task.done = finder.misses === before;
    if (vector && task.tier === 'state') task.tier = 'vector';
    if (!task.done) {
      task.states = undefined;
      task.tier = 'log';
    }
    if (vector) vectors.hits += 1;
    else this.leave(task, memo);
    if (keeps && !vector) vectors.misses += 1;
  }

  /** What was computed is kept for who asks next, and weighs. */
  private leave({ program, entity, given }: Task, memo: Memo | undefined): void {
    if (memo && (program.weighs || given)) this.options.store.weighRead(program, entity, memo);
  }

  /** The time, which never goes back: sums over tiles have gone on with it. */
  private moment(): Micros {
    const now = this.options.now();
    if (now > this.last || now < this.last - CLOCK_STEP) this.last = now;
    return this.last;
  }

  private count(tier: 'vector' | 'state', hits: number, misses: number): void {
    if (hits > 0) this.options.counter.count(tier, 'hit', hits);
    if (misses > 0) this.options.counter.count(tier, 'miss', misses);
  }
}

function deadlineOf({ deadlineMs, coldMs = COLD_ROW_MS }: OnlineQuery): number {
  return deadlineMs ?? coldMs;
}

/** By the index of the stream; tables that are looked up by key have none. */
function statesOf({ program, entity }: Task, at: Micros, finder: StateFinder): (EntityState | undefined)[] {
  const states: (EntityState | undefined)[] = [];
  const { streams } = program.plan;
  for (let i = 0; i < streams.length; i++) {
    const keyed = streams[i]?.keyed === true;
    states.push(keyed ? undefined : finder.find(program.needOf(i), entity, at));
  }
  return states;
}

function inputsOf(
  { keepStale }: OnlineQuery,
  { program, entity, given }: Task,
  states: readonly (EntityState | undefined)[],
  { at, finder }: ReadMoment,
  memo?: Memo,
): Inputs {
  const lookup = (stream: number, key: string): EntityState | undefined => finder.find(program.needOf(stream), key, at);
  return { entity, states, lookup, given, memo, keepStale };
}
