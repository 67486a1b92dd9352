import { evaluate } from '../engine/evaluate';
import type { Frame } from '../engine/frame';
import { PastReads } from '../engine/past-reads';
import type { OnlineAnswer, OnlineRow } from '../engine/online-query';
import type { EventHistory } from '../log/feature-event';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { Micros } from '../time';
import { queryOf, type SelectedFrames, type SelectionRead } from './selected-frames';
import type { Selections, SetSelection } from './selection';

export interface SetReadsParts {
  readonly snapshot: DefinitionSnapshot;
  readonly selections: Pick<Selections, 'ofKnown'>;
  readonly frames: SelectedFrames;
  readonly history: EventHistory;
  readonly now: () => Micros;
}

/** Values of feature sets for those who cannot wait: predictions. What is in memory is answered at once, without a promise. */
export class SetReads {
  constructor(private readonly parts: SetReadsParts) {}

  /** The set that a name means now, or that `name@hash` names if that was prepared. */
  find(reference: string): SetSelection | undefined {
    const { snapshot, selections } = this.parts;
    const set = reference.includes('@') ? snapshot.pinned(reference) : snapshot.set(reference);
    return set && selections.ofKnown(set);
  }

  /** The same, from the database where it must. */
  async prepare(reference: string): Promise<SetSelection | undefined> {
    const { snapshot } = this.parts;
    await (reference.includes('@') ? snapshot.pin(reference) : snapshot.refresh());
    return this.find(reference);
  }

  /** At once where everything is in memory. */
  read(selection: SetSelection, asked: SelectionRead): OnlineAnswer | Promise<OnlineAnswer> {
    return this.parts.frames.read(selection, asked);
  }

  /** What the rules make of given values where nothing else is asked for, so that nothing of the log is needed. */
  ofGiven({ programs }: SetSelection, given: NonNullable<OnlineRow['given']>, at: Micros): readonly Frame[] {
    return programs.map((program, view) => {
      const states = program.plan.streams.map(() => undefined);
      return evaluate(program, { entity: '', states, lookup: () => undefined, given: given[view] }, at);
    });
  }

  /**
   * What a read came to then, computed again: `known` says, of each entity on each stream, the latest arrival that was known, as the
   * record of the read has it. Nothing that came since can change it, as long as the events are kept.
   */
  readAgain(
    selection: SetSelection,
    rows: readonly OnlineRow[],
    at: Micros,
    known: (stream: string, entity: string) => Micros,
  ): Promise<OnlineAnswer> {
    const { history, now } = this.parts;
    const log: EventHistory = {
      read: (queries, deadline) =>
        history.read(
          queries.map((query) => ({ ...query, knownAt: known(query.stream, query.entity) })),
          deadline,
        ),
    };
    const past = new PastReads({ log, now, counter: UNCOUNTED, cacheBytes: 1 });
    return past.read(queryOf(selection, { rows }), { at, knownAt: at, corrected: false });
  }
}

const UNCOUNTED = { count: (): void => undefined };
