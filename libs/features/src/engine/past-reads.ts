import { TURNS } from '@sibyl/kernel';
import type { EventHistory } from '../log/feature-event';
import { MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../time';
import type { CacheCounter } from './cache-counter';
import { EntityState } from './entity-state';
import { evaluate, type Inputs } from './evaluate';
import { explain, type Explanation } from './explain';
import { readHistories, type HistoryAsk } from './history-reader';
import { framesOf, tasksOf, type OnlineAnswer, type OnlineQuery, type PastMoment, type Task } from './online-query';
import { PastCache } from './past-cache';
import type { StreamNeed } from './stream-need';

const DEADLINE_MS = 2000;
/** Rows of tables whose keys come from rows of tables: so many deep. */
const MAX_KEY_ROUNDS = 4;
/** Transactions that stamp arrivals end well within this, or are ended: what arrived before that long ago is all committed. */
const SETTLED = 60 * MICROS_PER_SECOND;

export interface PastReadOptions {
  readonly log: EventHistory;
  readonly now: () => Micros;
  readonly counter: CacheCounter;
  readonly cacheBytes: number;
}

/** Reads of the past, from the log: what would have been served at that moment, or what is known of it now. */
export class PastReads {
  private readonly cache: PastCache;

  constructor(private readonly options: PastReadOptions) {
    this.cache = new PastCache(options.cacheBytes);
  }

  async read(query: OnlineQuery, moment: PastMoment): Promise<OnlineAnswer> {
    const tasks = tasksOf(query);
    const settled = moment.knownAt <= this.options.now() - SETTLED && query.keepStale !== true;
    if (settled) this.recall(tasks, moment);
    const missing = tasks.filter(({ done }) => !done);
    const begin = performance.now();
    const unread = missing.length > 0 ? await this.compute(query, missing, this.statesAt(query, moment)) : undefined;
    const storage = missing.length > 0 ? Math.round((performance.now() - begin) * MICROS_PER_MS) : 0;
    if (settled) for (const task of missing) if (task.frame) this.cache.keep(task, moment, task.frame);
    return { at: moment.at, frames: framesOf(tasks, query), storage, ...(unread && { unread }) };
  }

  private recall(tasks: readonly Task[], moment: PastMoment): void {
    let hits = 0;
    for (const task of tasks) {
      task.frame = this.cache.find(task, moment);
      task.done = task.frame !== undefined;
      if (task.done) hits += 1;
    }
    if (hits > 0) this.options.counter.count('as_of', 'hit', hits);
    if (tasks.length > hits) this.options.counter.count('as_of', 'miss', tasks.length - hits);
  }

  /** Why a feature had its value at that moment. */
  async explain(query: OnlineQuery, moment: PastMoment, slot: number): Promise<Explanation> {
    const [task] = tasksOf(query);
    if (!task) throw new RangeError('an explanation is of one row');
    const states = this.statesAt(query, moment);
    await this.compute(query, [task], states);
    return explain(task.program, inputsOf(query, task, states), moment.at, slot);
  }

  private statesAt({ deadlineMs = DEADLINE_MS }: OnlineQuery, moment: PastMoment): PastStates {
    return new PastStates(this.options.log, moment, this.options.now() + deadlineMs * MICROS_PER_MS);
  }

  private async compute(
    query: OnlineQuery,
    tasks: readonly Task[],
    states: PastStates,
  ): Promise<'deadline' | 'failed' | undefined> {
    for (const task of tasks) inputsOf(query, task, states);
    for (let round = 0; round <= MAX_KEY_ROUNDS; round++) {
      await states.fetch(this.options.now);
      for (const task of tasks) {
        if (TURNS.due) await TURNS.next();
        if (task.done) continue;
        const { misses } = states;
        task.frame = evaluate(task.program, inputsOf(query, task, states), states.moment.at);
        task.done = states.misses === misses;
      }
      if (states.wanting === 0) break;
    }
    return states.unread;
  }
}

function inputsOf({ keepStale }: OnlineQuery, { program, entity, given }: Task, states: PastStates): Inputs {
  const find = (stream: number, key: string): EntityState | undefined => states.find(program.needOf(stream), key);
  const held = program.plan.streams.map(({ keyed }, i) => (keyed ? undefined : find(i, entity)));
  return { entity, states: held, lookup: find, given, keepStale };
}

/** States as of one moment of the past, made for one read. */
class PastStates {
  unread: 'deadline' | 'failed' | undefined;
  /** How often something was looked for in vain that still can be read. */
  misses = 0;
  private readonly states = new Map<StreamNeed, Map<string, EntityState>>();
  private asks: HistoryAsk[] = [];
  private asked = new Map<StreamNeed, Set<string>>();

  constructor(
    private readonly log: EventHistory,
    readonly moment: PastMoment,
    private readonly deadline: Micros,
  ) {}

  get wanting(): number {
    return this.asks.length;
  }

  find(need: StreamNeed, entity: string): EntityState | undefined {
    const state = this.states.get(need)?.get(entity);
    if (state || this.unread) return state;
    this.misses += 1;
    let asked = this.asked.get(need);
    if (!asked) this.asked.set(need, (asked = new Set<string>()));
    if (!asked.has(entity)) this.asks.push({ need, entity });
    asked.add(entity);
    return undefined;
  }

  async fetch(now: () => Micros): Promise<void> {
    const { asks, moment, deadline } = this;
    this.asks = [];
    if (asks.length === 0) return;
    try {
      const histories = await readHistories(this.log, asks, { ...moment, upTo: moment.at, deadline });
      for (const [i, { need, entity }] of asks.entries()) {
        let ofNeed = this.states.get(need);
        if (!ofNeed) this.states.set(need, (ofNeed = new Map<string, EntityState>()));
        ofNeed.set(entity, new EntityState(need, entity, histories[i]));
        if (TURNS.due) await TURNS.next();
      }
    } catch {
      this.unread = now() >= deadline ? 'deadline' : 'failed';
    }
  }
}
