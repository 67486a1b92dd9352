import { TURNS } from '@sibyl/kernel';
import type { ChangeHistory, ChangesQuery, FeatureEvent } from '../log/feature-event';
import { isOutage, patiently } from '../log/patience';
import { MICROS_PER_SECOND, type Micros } from '../time';
import type { HeldHistory } from './entity-state';
import type { Frame } from './frame';
import { readHistories, type HistoryAsk, type Viewpoint } from './history-reader';
import type { OnlineQuery, PastMoment } from './online-query';
import { PastRun, type Job } from './past-run';
import type { PastWalk, Stretch } from './past-walk';
import type { Program } from './program';
import type { StreamNeed } from './stream-need';

/** Entities of one statement, and their events, about: some milliseconds to make something of. */
const STATEMENT_WALKS = 64;
const STATEMENT_EVENTS = 8000;
/** What a window by time is taken to hold before one was read. */
const WINDOW_EVENTS = 256;
const READ_LIMIT = 60 * MICROS_PER_SECOND;

type Way = Pick<Stretch, 'changes' | 'upTo'>;

export interface WalkRun {
  readonly onRow: (row: number, frames: readonly Frame[]) => void;
  readonly signal?: AbortSignal;
}

/** Events that one statement reads of the ways of all its walks, and those that it reads of each one at least. */
export interface WayLimits {
  readonly events: number;
  readonly ofEach: number;
}

const WAY_LIMITS: WayLimits = { events: 16_000, ofEach: 512 };

/** Reads rows of many entities at many moments, for training sets: what is read of an entity serves all of its rows. */
export class PastWalks {
  /** How many events a read of one entity gave lately. */
  private readonly sizes = new WeakMap<StreamNeed, number>();

  constructor(
    private readonly log: ChangeHistory,
    private readonly now: () => Micros,
    private readonly limits: WayLimits = WAY_LIMITS,
  ) {}

  /** Tells the frames of each row, by view, as soon as all are made; one statement at a time. Throws database_unavailable. */
  async read(query: OnlineQuery, moments: readonly PastMoment[], { onRow, signal }: WalkRun): Promise<void> {
    const { views, rows } = query;
    const begun = new Map<number, Frame[]>();
    for (const [view, program] of views.entries()) {
      const last = view === views.length - 1;
      const put = (row: number, frame: Frame): void => {
        if (views.length === 1) return onRow(row, [frame]);
        const frames = begun.get(row) ?? [];
        frames[view] = frame;
        if (!last) return void begun.set(row, frames);
        begun.delete(row);
        onRow(row, frames);
      };
      const jobs = new Map<string, Job[]>();
      for (const [row, { entities, given }] of rows.entries()) {
        const [entity, moment] = [entities[view], moments[row]];
        if (entity === undefined || !moment) throw new RangeError(`no key of view ${program.plan.view.name}`);
        const job = { row, moment, given: given?.[view] };
        const ofEntity = jobs.get(entity);
        if (ofEntity) ofEntity.push(job);
        else jobs.set(entity, [job]);
      }
      for (const part of partsOf([...jobs], this.entitiesAtOnce(program)))
        await this.walk(new PastRun(program, part, query.keepStale === true), put, signal);
    }
  }

  private async walk(run: PastRun, put: (row: number, frame: Frame) => void, signal?: AbortSignal): Promise<void> {
    while (run.open) {
      signal?.throwIfAborted();
      for (const [need, walks] of run.wanting())
        for (const part of partsOf(walks, this.walksAtOnce(need))) await this.fetch(part, signal);
      await run.evaluate(put);
    }
  }

  /** What is too much for one statement is read by halves. */
  private async fetch(walks: readonly PastWalk[], signal?: AbortSignal): Promise<void> {
    if (walks.length === 1) return patiently(() => this.bring(walks), signal);
    try {
      signal?.throwIfAborted();
      await this.bring(walks);
    } catch (error) {
      if (!isOutage(error)) throw error;
      for (const half of partsOf(walks, Math.ceil(walks.length / 2))) await this.fetch(half, signal);
    }
  }

  private async bring(walks: readonly PastWalk[]): Promise<void> {
    const deadline = this.now() + READ_LIMIT;
    const viewOf = (walk: PastWalk): Viewpoint => ({ ...walk.momentOf(walk.first), upTo: walk.first, deadline });
    const asks = walks.map((walk): HistoryAsk => ({ need: walk.need, entity: walk.entity, view: viewOf(walk) }));
    const histories = await readHistories(this.log, asks, viewOf(walks[0] as PastWalk));
    const ways = await this.readWays(walks, histories, deadline);
    for (const [i, walk] of walks.entries()) {
      if (TURNS.due) await TURNS.next();
      const base = histories[i] as HeldHistory;
      this.note(walk.need, base.events.length);
      const { first: from } = walk;
      walk.take({ from, base, ...(ways.get(walk) ?? { changes: [], upTo: from }) });
    }
  }

  /** What comes to these histories on the way to the last moment that is wanted. */
  private async readWays(
    walks: readonly PastWalk[],
    histories: readonly HeldHistory[],
    deadline: Micros,
  ): Promise<ReadonlyMap<PastWalk, Way>> {
    // Where windows hold more events than can be read, each moment is read by itself, and says so by itself.
    const going = walks.filter(({ first, last }, i) => last > first && histories[i]?.tilesCut !== true);
    if (going.length === 0) return new Map();
    const most = Math.max(this.limits.ofEach, Math.floor(this.limits.events / going.length));
    const queries = going.map((walk) => wayOf(walk, histories[walks.indexOf(walk)] as HeldHistory, most));
    const found = await this.log.readChanges(queries, deadline);
    return new Map(
      going.map((walk, i): [PastWalk, Way] => {
        const changes = found[i] ?? [];
        // Of the time of the last one there may be more.
        const complete = changes.length < most ? walk.last : (changes.at(-1) as FeatureEvent).eventTime - 1;
        return [walk, { changes, upTo: Math.max(walk.first, complete) }];
      }),
    );
  }

  private entitiesAtOnce(program: Program): number {
    const streams = program.plan.streams.flatMap(({ keyed }, i) => (keyed ? [] : [program.needOf(i)]));
    return Math.min(STATEMENT_WALKS, ...streams.map((need) => this.walksAtOnce(need)));
  }

  private walksAtOnce(need: StreamNeed): number {
    const { history, span, folds } = need;
    const expected = this.sizes.get(need) ?? history + (span > 0 || folds.length > 0 ? WINDOW_EVENTS : 0);
    return Math.max(1, Math.min(STATEMENT_WALKS, Math.floor(STATEMENT_EVENTS / Math.max(1, expected))));
  }

  private note(need: StreamNeed, events: number): void {
    const before = this.sizes.get(need) ?? 0;
    this.sizes.set(need, Math.max(events, (before * 15 + events) / 16));
  }
}

function wayOf(walk: PastWalk, base: HeldHistory, most: number): ChangesQuery {
  const { first, last, knowledge } = walk;
  const [begin, end] = [walk.momentOf(first), walk.momentOf(last)];
  // With one knowledge of all moments nothing comes late.
  const since = knowledge.knownAt === 'then' ? reachOf(base) : first + 1;
  return { stream: walk.need.definition.name, entity: walk.entity, ...end, seen: begin, since, most };
}

/** What is older than it changes nothing of a state that was made of this history. */
function reachOf({ events, whole, since }: HeldHistory): Micros {
  const [oldest] = events;
  return whole || !oldest ? 0 : Math.min(oldest.eventTime, since);
}

function partsOf<T>(all: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let i = 0; i < all.length; i += size) parts.push(all.slice(i, i + size));
  return parts;
}
