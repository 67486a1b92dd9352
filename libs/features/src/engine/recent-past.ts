import type { Settlement } from '../log/settlement';
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import { evaluate } from './evaluate';
import type { Frame } from './frame';
import { isStrict, type OnlineQuery, type PastMoment, type Task } from './online-query';
import type { StateStore } from './state-store';
import type { StreamNeed } from './stream-need';

/**
 * Moments of the recent past from the states of now: as long as nothing that counts at that moment has come since, and every event
 * that was known then, whoever took it, has been heard of. Wherever that is not sure there is no frame, and the log is read.
 */
export class RecentPast {
  constructor(
    private readonly store: StateStore,
    private readonly settlement: Settlement,
  ) {}

  /** May be asked about this moment. */
  reaches(moment: PastMoment): boolean {
    return isStrict(moment) && moment.at <= this.settlement.upTo;
  }

  frameOf({ keepStale }: OnlineQuery, { program, entity, given }: Task, { at }: PastMoment): Frame | undefined {
    const states: (EntityState | undefined)[] = [];
    for (const [i, { keyed }] of program.plan.streams.entries()) {
      const state = keyed ? undefined : this.find(program.needOf(i), entity, at);
      if (!state && !keyed) return undefined;
      states.push(state);
    }
    let missed = false;
    const lookup = (stream: number, key: string): EntityState | undefined => {
      const state = this.find(program.needOf(stream), key, at);
      missed ||= state === undefined;
      return state;
    };
    const frame = evaluate(program, { entity, states, lookup, given, keepStale }, at);
    if (missed) return undefined;
    for (const basis of frame.basis) basis.arrived = Math.min(basis.arrived, at);
    return frame;
  }

  private find(need: StreamNeed, entity: string, at: Micros): EntityState | undefined {
    const table = this.store.table(need);
    if (!table?.serves(need)) return undefined;
    const state = this.store.find(table, entity);
    return state?.wasKnownAt(at) && state.suffices(at, need) ? state : undefined;
  }
}
