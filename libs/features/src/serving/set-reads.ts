import type { FeatureSet, FeatureView } from '../definitions/feature-view';
import type { LiveReads } from '../engine/live-reads';
import type { OnlineAnswer, OnlineRow, PastMoment } from '../engine/online-query';
import { PastReads } from '../engine/past-reads';
import type { EventHistory } from '../log/feature-event';
import type { FeatureQuality } from '../quality/feature-quality';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { Micros } from '../time';
import type { Selections } from './selection';
import { SetProgram } from './set-program';

export interface SetReadsParts {
  readonly snapshot: DefinitionSnapshot;
  readonly selections: Pick<Selections, 'program'>;
  readonly live: LiveReads;
  readonly past: PastReads;
  readonly history: EventHistory;
  readonly now: () => Micros;
  readonly quality: FeatureQuality;
}

/** What one read of a set asks. */
export interface SetRead {
  readonly rows: readonly OnlineRow[];
  /** Absent: now. */
  readonly moment?: PastMoment;
  /** Milliseconds that the log may take. */
  readonly deadlineMs?: number;
}

/** Values of feature sets for those who cannot wait: predictions. What is in memory is answered at once, without a promise. */
export class SetReads {
  private readonly sets = new WeakMap<FeatureSet, SetProgram>();

  constructor(private readonly parts: SetReadsParts) {}

  /** The set that a name means now, or that `name@hash` names if that was prepared. */
  find(reference: string): SetProgram | undefined {
    const { snapshot } = this.parts;
    const set = reference.includes('@') ? snapshot.pinned(reference) : snapshot.set(reference);
    return set && (this.sets.get(set) ?? this.compile(set));
  }

  /** The same, from the database where it must. */
  async prepare(reference: string): Promise<SetProgram | undefined> {
    if (reference.includes('@')) await this.parts.snapshot.pin(reference);
    return this.find(reference);
  }

  /** At once where everything is in memory. */
  read({ programs: views, set }: SetProgram, asked: SetRead): OnlineAnswer | Promise<OnlineAnswer> {
    const { rows, moment, deadlineMs } = asked;
    const keepStale = set.onStale === 'degrade';
    const query = { views, rows, keepStale, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
    const { live, past, quality } = this.parts;
    if (moment !== undefined) return past.read(query, moment);
    const answer = live.read(query);
    const seen = (one: OnlineAnswer): OnlineAnswer => {
      quality.observe(views, one);
      return one;
    };
    return answer instanceof Promise ? answer.then(seen) : seen(answer);
  }

  /**
   * What a read came to then, computed again: `known` says, of each entity on each stream, the latest arrival that was known, as the
   * record of the read has it. Nothing that came since can change it, as long as the events are kept.
   */
  readAgain(
    { programs: views, set }: SetProgram,
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
    return past.read({ views, rows, keepStale: set.onStale === 'degrade' }, { at, knownAt: at, corrected: false });
  }

  private compile(set: FeatureSet): SetProgram | undefined {
    const { snapshot, selections } = this.parts;
    if (set.members.some(({ view, viewHash }) => snapshot.view(view, viewHash) === undefined)) return undefined;
    const made = new SetProgram(set, (member) => {
      const view = snapshot.view(member.view, member.viewHash) as FeatureView;
      return { view, program: selections.program(view) };
    });
    this.sets.set(set, made);
    return made;
  }
}

const UNCOUNTED = { count: (): void => undefined };
