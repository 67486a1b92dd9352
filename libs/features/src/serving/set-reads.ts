import { evaluate } from '../engine/evaluate';
import type { Frame } from '../engine/frame';
import type { OnlineAnswer, OnlineRow } from '../engine/online-query';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { Micros } from '../time';
import type { SelectedFrames, SelectionRead } from './selected-frames';
import type { Selections, SetSelection } from './selection';

export interface SetReadsParts {
  readonly snapshot: DefinitionSnapshot;
  readonly selections: Pick<Selections, 'ofKnown'>;
  readonly frames: SelectedFrames;
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
}
