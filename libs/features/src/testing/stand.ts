import type { ViewPlan } from '../definitions/view-plan';
import type { CacheTier } from '../engine/cache-counter';
import type { Frame } from '../engine/frame';
import { LiveReads } from '../engine/live-reads';
import type { OnlineAnswer, OnlineQuery } from '../engine/online-query';
import { PastReads } from '../engine/past-reads';
import { Program } from '../engine/program';
import { RecentPast } from '../engine/recent-past';
import { StateStore } from '../engine/state-store';
import type { FeatureEvent, TakenEvent } from '../log/feature-event';
import { Settlement } from '../log/settlement';
import type { Micros } from '../time';
import { MemoryLog } from './memory-log';

const MiB = 1024 * 1024;

/** An engine over a log in memory, at a time that the test sets. */
export class EngineStand {
  now: Micros = 0;
  readonly counts = new Map<string, number>();
  readonly log: MemoryLog;
  readonly store: StateStore;
  readonly settlement: Settlement;
  readonly live: LiveReads;
  readonly past: PastReads;
  readonly program: Program;
  private readonly stamps = new Map<string, Micros>();

  constructor(plan: ViewPlan, stateBytes = 64 * MiB) {
    const now = (): Micros => this.now;
    const counter = {
      count: (tier: CacheTier, result: 'hit' | 'miss', times: number): void => {
        const key = `${tier} ${result}`;
        this.counts.set(key, (this.counts.get(key) ?? 0) + times);
      },
    };
    this.log = new MemoryLog(new Map(plan.view.streams.map(({ name, identity }) => [name, identity])));
    this.store = new StateStore(stateBytes, now);
    this.settlement = new Settlement(now);
    this.live = new LiveReads({ store: this.store, log: this.log, now, counter });
    this.past = new PastReads({
      ...{ log: this.log, now, counter, cacheBytes: 16 * MiB },
      recent: new RecentPast(this.store, this.settlement),
    });
    this.store.usePlans([plan]);
    this.program = new Program(plan);
  }

  /** The log has taken it, and says so. */
  take(...events: readonly FeatureEvent[]): void {
    const taken = this.stamped(events);
    this.log.events.push(...taken);
    this.store.taken(taken);
  }

  /** As the log stamps them: later than all before them of the same entity. */
  stamped(events: readonly FeatureEvent[]): TakenEvent[] {
    return events.map((event) => {
      const key = `${event.stream} ${event.entity}`;
      const previous = this.stamps.get(key) ?? 0;
      const ingestedAt = Math.max(event.ingestedAt, previous + 1);
      this.stamps.set(key, ingestedAt);
      return { ...event, ingestedAt, previous };
    });
  }

  query(...entities: readonly string[]): OnlineQuery {
    return { views: [this.program], deadlineMs: 30_000, rows: entities.map((entity) => ({ entities: [entity] })) };
  }

  /** By name, the values of one entity now, or their statuses where they have none. */
  async read(entity = 'e', more: Partial<OnlineQuery> = {}): Promise<Record<string, unknown>> {
    return this.named(await this.live.read({ ...this.query(entity), ...more }));
  }

  async readPast(at: Micros, { knownAt = at, corrected = false, entity = 'e' } = {}): Promise<Record<string, unknown>> {
    return this.named(await this.past.read(this.query(entity), { at, knownAt, corrected }));
  }

  named(answer: Pick<OnlineAnswer, 'frames'>, row = 0): Record<string, unknown> {
    const frame = answer.frames[row]?.[0];
    if (!frame) throw new RangeError(`no row ${row}`);
    return namedValues(this.program, frame);
  }
}

/** By name, values, or their statuses where there are none. */
export function namedValues({ plan }: Program, { values, statuses }: Frame): Record<string, unknown> {
  return Object.fromEntries(
    plan.outputs.map(({ name }, slot) => [name, statuses[slot] === 'PRESENT' ? values[slot] : statuses[slot]]),
  );
}
