import { TURNS } from '@sibyl/kernel';
import type { EventHistory } from '../log/feature-event';
import { LONG_AGO, type Settlement } from '../log/settlement';
import { MICROS_PER_MS, type Micros } from '../time';
import type { CacheCounter } from './cache-counter';
import { EntityState, type HeldHistory } from './entity-state';
import { evaluate, type Inputs } from './evaluate';
import { explain, type Explanation } from './explain';
import { readHistories, type HistoryAsk, type Viewpoint } from './history-reader';
import {
  framesOf,
  sharedTasksOf,
  tasksOf,
  tiersOf,
  type OnlineAnswer,
  type OnlineQuery,
  type PastMoment,
  type Task,
} from './online-query';
import { PastCache } from './past-cache';
import type { RecentPast } from './recent-past';
import type { StreamNeed } from './stream-need';

const DEADLINE_MS = 2000;
/** Rows of tables whose keys come from rows of tables: so many deep. */
const MAX_KEY_ROUNDS = 4;
/** So long a read waits at most until all that had arrived at its moment is known. */
const SETTLE_MS = 2000;

export interface PastReadOptions {
  readonly log: EventHistory;
  readonly now: () => Micros;
  readonly counter: CacheCounter;
  readonly cacheBytes: number;
  /** Absent: the states of now have nothing to do with it. */
  readonly recent?: RecentPast;
  /** Absent: whoever asks knows that nothing is on its way. */
  readonly settlement?: Settlement;
}

/** Reads of the past, from the log: what would have been served at that moment, or what is known of it now. */
export class PastReads {
  private readonly cache: PastCache;

  constructor(private readonly options: PastReadOptions) {
    this.cache = new PastCache(options.cacheBytes);
  }

  async read(query: OnlineQuery, moment: PastMoment): Promise<OnlineAnswer> {
    const tasks = sharedTasksOf(query);
    for (const task of tasks) task.tier = 'log';
    const deadline = this.deadlineOf(query);
    const unsettled = !(await this.isSettled(query, moment));
    // What may still change is not kept, and never by age: a commit may hang for as long as it likes.
    const settled = query.keepStale !== true && this.staysSo(moment);
    await this.recall(query, tasks, moment, settled);
    const missing = tasks.filter(({ done }) => !done);
    const begin = performance.now();
    const reading = new Reading(this.options.log, deadline);
    const states = reading.at(moment);
    if (missing.length > 0) await this.compute(query, missing, reading, states);
    const { unread } = reading;
    const storage = missing.length > 0 ? Math.round((performance.now() - begin) * MICROS_PER_MS) : 0;
    if (settled) for (const task of missing) if (task.frame) this.cache.keep(task, moment, task.frame);
    return {
      ...{ at: moment.at, frames: framesOf(tasks, query), storage },
      ...{ tiers: tiersOf(tasks, query), unread },
      ...(unsettled && { unsettled }),
    };
  }

  /** Whether all that had arrived at the moment is known; waits for it where that is not long ago. The log has to be read in the same time. */
  private async isSettled(
    { deadlineMs = DEADLINE_MS }: Pick<OnlineQuery, 'deadlineMs'>,
    { knownAt, present, waitMs = deadlineMs / 2 }: PastMoment,
  ): Promise<boolean> {
    const { settlement } = this.options;
    if (!settlement || present === true || settlement.has(knownAt)) return true;
    return settlement.reach(knownAt, Math.min(waitMs, SETTLE_MS));
  }

  /** Waits as a read does, for who must not hold anything up by it; the read of the moment that it resolves to does not wait. */
  async settle(query: Pick<OnlineQuery, 'deadlineMs'>, moment: PastMoment): Promise<PastMoment> {
    await this.isSettled(query, moment);
    return { ...moment, waitMs: 0 };
  }

  private staysSo({ knownAt }: PastMoment): boolean {
    const { settlement, now } = this.options;
    return settlement ? settlement.has(knownAt) : knownAt <= now() - LONG_AGO;
  }

  /** What need not be read from the log. */
  private async recall(
    query: OnlineQuery,
    tasks: readonly Task[],
    moment: PastMoment,
    settled: boolean,
  ): Promise<void> {
    const recent = this.options.recent?.reaches(moment) === true ? this.options.recent : undefined;
    if (!settled && !recent) return;
    let hits = 0;
    for (const task of tasks) {
      if (TURNS.due) await TURNS.next();
      task.frame = (settled ? this.cache.find(task, moment) : undefined) ?? recent?.frameOf(query, task, moment);
      task.done = task.frame !== undefined;
      if (!task.done) continue;
      hits += 1;
      task.tier = 'vector';
    }
    if (hits > 0) this.options.counter.count('as_of', 'hit', hits);
    if (tasks.length > hits) this.options.counter.count('as_of', 'miss', tasks.length - hits);
  }

  /** Why a feature had its value at that moment. */
  async explain(query: OnlineQuery, moment: PastMoment, slot: number): Promise<Explanation> {
    const [task] = tasksOf(query);
    if (!task) throw new RangeError('an explanation is of one row');
    const reading = new Reading(this.options.log, this.deadlineOf(query));
    const unsettled = !(await this.isSettled(query, moment));
    const states = reading.at(moment);
    await this.compute(query, [task], reading, states);
    const explanation = explain(task.program, inputsOf(query, task, states), moment.at, slot);
    return { ...explanation, ...(unsettled && { unsettled }) };
  }

  private deadlineOf({ deadlineMs = DEADLINE_MS }: OnlineQuery): Micros {
    return this.options.now() + deadlineMs * MICROS_PER_MS;
  }

  private async compute(
    query: OnlineQuery,
    tasks: readonly Task[],
    reading: Reading,
    states: PastStates,
  ): Promise<void> {
    const { pace = TURNS } = query;
    for (const task of tasks) inputsOf(query, task, states);
    for (let round = 0; round <= MAX_KEY_ROUNDS; round++) {
      await reading.fetch(this.options.now);
      for (const task of tasks) {
        if (pace.due) await pace.next();
        if (task.done) continue;
        const { misses } = states;
        task.frame = evaluate(task.program, inputsOf(query, task, states), states.moment.at);
        task.done = states.misses === misses;
      }
      if (!reading.wanting) break;
    }
  }
}

function inputsOf({ keepStale }: OnlineQuery, { program, entity, given }: Task, states: PastStates): Inputs {
  const find = (stream: number, key: string): EntityState | undefined => states.find(program.needOf(stream), key);
  const held = program.plan.streams.map(({ keyed }, i) => (keyed ? undefined : find(i, entity)));
  return { entity, states: held, lookup: find, given, keepStale };
}

/** States as of one moment of the past, made for one read. */
class PastStates {
  /** How often something was looked for in vain that still can be read. */
  misses = 0;
  private readonly states = new Map<StreamNeed, Map<string, EntityState>>();
  private readonly asked = new Map<StreamNeed, Set<string>>();

  constructor(
    private readonly reading: Reading,
    readonly moment: PastMoment,
  ) {}

  find(need: StreamNeed, entity: string): EntityState | undefined {
    const state = this.states.get(need)?.get(entity);
    if (state || this.reading.unread) return state;
    this.misses += 1;
    let asked = this.asked.get(need);
    if (!asked) this.asked.set(need, (asked = new Set<string>()));
    if (!asked.has(entity)) this.reading.want(this, { need, entity });
    asked.add(entity);
    return undefined;
  }

  keep(need: StreamNeed, entity: string, history: HeldHistory | undefined): void {
    let ofNeed = this.states.get(need);
    if (!ofNeed) this.states.set(need, (ofNeed = new Map<string, EntityState>()));
    ofNeed.set(entity, new EntityState(need, entity, history));
  }
}

/** What one read wants of the log: all that is missing, in one statement a round. */
class Reading {
  unread: 'deadline' | 'failed' | undefined;
  private wanted: { readonly states: PastStates; readonly ask: HistoryAsk }[] = [];

  constructor(
    private readonly log: EventHistory,
    private readonly deadline: Micros,
  ) {}

  get wanting(): boolean {
    return this.wanted.length > 0;
  }

  at(moment: PastMoment): PastStates {
    return new PastStates(this, moment);
  }

  want(states: PastStates, ask: HistoryAsk): void {
    this.wanted.push({ states, ask });
  }

  async fetch(now: () => Micros): Promise<void> {
    const { wanted, deadline } = this;
    const [first] = wanted;
    if (!first) return;
    this.wanted = [];
    const viewOf = ({ moment }: PastStates): Viewpoint => ({ ...moment, upTo: moment.at, deadline });
    const asks = wanted.map(({ states, ask }): HistoryAsk => ({ ...ask, view: viewOf(states) }));
    try {
      const histories = await readHistories(this.log, asks, viewOf(first.states));
      for (const [i, { states, ask }] of wanted.entries()) {
        states.keep(ask.need, ask.entity, histories[i]);
        if (TURNS.due) await TURNS.next();
      }
    } catch {
      this.unread = now() >= deadline ? 'deadline' : 'failed';
    }
  }
}
