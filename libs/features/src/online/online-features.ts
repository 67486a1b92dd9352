import type { FeatureSet, FeatureView } from '../definitions/feature-view';
import type { CacheCounter } from '../engine/cache-counter';
import { LiveReads } from '../engine/live-reads';
import type { OnlineAnswer, OnlineRow, PastMoment } from '../engine/online-query';
import { PastReads } from '../engine/past-reads';
import { Program } from '../engine/program';
import { StateStore } from '../engine/state-store';
import type { EventHistory, EventListener } from '../log/feature-event';
import type { DefinitionCompiler } from '../store/definition-compiler';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { Micros } from '../time';
import type { OnlineOptions } from './online-options';
import { SetProgram } from './set-program';

/** Older versions of sets that models name; more than a server has models. */
const MOST_PINNED = 1024;

export interface OnlineParts {
  readonly snapshot: DefinitionSnapshot;
  readonly compiler: DefinitionCompiler;
  readonly history: EventHistory;
  readonly now: () => Micros;
  readonly counter: CacheCounter;
}

/** What one read of a set asks. */
export interface SetRead {
  readonly rows: readonly OnlineRow[];
  /** Absent: now. */
  readonly moment?: PastMoment;
  /** Milliseconds that the log may take. */
  readonly deadlineMs?: number;
}

/** Values of feature sets, now and at any moment: what is published, the states in memory and the log, put together. */
export class OnlineFeatures {
  /** Is told of every event. */
  readonly listener: EventListener;
  private readonly states: StateStore;
  private readonly live: LiveReads;
  private readonly past: PastReads;
  private readonly programs = new WeakMap<FeatureView, Program>();
  private readonly sets = new WeakMap<FeatureSet, SetProgram>();
  /** Versions that models name by their hashes, and that their names may not mean any more. */
  private readonly pinned = new Map<string, FeatureSet>();

  constructor(
    private readonly parts: OnlineParts,
    { stateBytes, pastBytes }: OnlineOptions,
  ) {
    const { history: log, now, counter } = parts;
    this.states = new StateStore(stateBytes, now);
    this.listener = this.states;
    this.live = new LiveReads({ store: this.states, log, now, counter });
    this.past = new PastReads({ log, now, counter, cacheBytes: pastBytes });
  }

  get stateBytes(): number {
    return this.states.bytes;
  }

  get stateCount(): number {
    return this.states.size;
  }

  /** Other definitions are published than before. */
  follow(): void {
    const { snapshot, compiler } = this.parts;
    const views = new Set(snapshot.views());
    for (const set of [...snapshot.sets(), ...this.pinned.values()])
      for (const { view, viewHash } of set.members) {
        const found = snapshot.view(view, viewHash);
        if (found) views.add(found);
      }
    this.states.usePlans([...views].map((view) => compiler.plan(view)));
  }

  /** The set that a name means now, or that `name@hash` names if that was prepared. */
  find(reference: string): SetProgram | undefined {
    const set = reference.includes('@') ? this.pinned.get(reference) : this.parts.snapshot.set(reference);
    return set && (this.sets.get(set) ?? this.compile(set));
  }

  /** The same, from the database where it must. */
  async prepare(reference: string): Promise<SetProgram | undefined> {
    const [name = '', hash] = reference.split('@');
    if (hash === undefined || this.pinned.has(reference)) return this.find(reference);
    const set = await this.parts.snapshot.olderSet(name, hash.replace('sha256:', ''));
    if (!set || this.pinned.size >= MOST_PINNED) return undefined;
    this.pinned.set(reference, set);
    this.follow();
    return this.find(reference);
  }

  /** At once where everything is in memory. */
  read({ programs: views, set }: SetProgram, asked: SetRead): OnlineAnswer | Promise<OnlineAnswer> {
    const { rows, moment, deadlineMs } = asked;
    const keepStale = set.onStale === 'degrade';
    const query = { views, rows, keepStale, ...(deadlineMs === undefined ? {} : { deadlineMs }) };
    return moment === undefined ? this.live.read(query) : this.past.read(query, moment);
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
    const { history, now, counter } = this.parts;
    const log: EventHistory = {
      read: (queries, deadline) =>
        history.read(
          queries.map((query) => ({ ...query, knownAt: known(query.stream, query.entity) })),
          deadline,
        ),
    };
    const past = new PastReads({ log, now, counter, cacheBytes: 1 });
    return past.read({ views, rows, keepStale: set.onStale === 'degrade' }, { at, knownAt: at, corrected: false });
  }

  private compile(set: FeatureSet): SetProgram | undefined {
    const { snapshot, compiler } = this.parts;
    if (set.members.some(({ view, viewHash }) => snapshot.view(view, viewHash) === undefined)) return undefined;
    const made = new SetProgram(set, (member) => {
      const view = snapshot.view(member.view, member.viewHash) as FeatureView;
      let program = this.programs.get(view);
      if (!program) this.programs.set(view, (program = new Program(compiler.plan(view))));
      return { view, program };
    });
    this.sets.set(set, made);
    return made;
  }
}
