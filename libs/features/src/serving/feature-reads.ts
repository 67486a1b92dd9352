import { DomainError, nearestWords } from '@sibyl/kernel';
import type { ViewPlan } from '../definitions/view-plan';
import type { Explanation } from '../engine/explain';
import type { LiveReads } from '../engine/live-reads';
import type { OnlineRow, PastMoment } from '../engine/online-query';
import type { PastReads } from '../engine/past-reads';
import type { PastWalks, WalkRun } from '../engine/past-walks';
import type { StateStore } from '../engine/state-store';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import type { Micros } from '../time';
import { readRows, type AskedRow } from './entity-rows';
import { readMoment, type AskedMoment } from './moment';
import type { ReadOptions } from './read-options';
import { queryOf, type SelectedFrames } from './selected-frames';
import { checkRetention } from './retention';
import type { SelectedMember, Selection, Selections } from './selection';
import { servedRow, type ServedRow } from './served-row';

/** Entities of one read. */
const ENTITIES_MAX = 1000;
/** How long the log may take for states that are brought into memory by long work. */
const LONG_MS = 60_000;

export interface ReadRequest extends AskedMoment {
  /** Exactly one of the two. */
  readonly set?: string;
  readonly features?: readonly string[];
  readonly rows: readonly AskedRow[];
  readonly deadlineMs?: number;
}

export interface ReadAnswer {
  readonly selection: Selection;
  readonly at: Micros;
  /** Whose knowledge counted: `at` unless another was asked for. */
  readonly knownAt: Micros;
  /** Events that came too late to be served were counted too. */
  readonly corrected: boolean;
  readonly rows: readonly ServedRow[];
  readonly unread?: 'deadline' | 'failed';
  /** Microseconds that the log took. */
  readonly storage: Micros;
}

export interface FeatureReadsParts {
  readonly selections: Selections;
  readonly snapshot: DefinitionSnapshot;
  readonly store: StateStore;
  readonly live: LiveReads;
  readonly past: PastReads;
  readonly walks: PastWalks;
  readonly frames: SelectedFrames;
  readonly now: () => Micros;
}

/** Reads of features by name, for callers: resolved, checked, read from memory or from the log, and settled by the policy of the set. */
export class FeatureReads {
  private inUse: readonly ViewPlan[] = [];

  constructor(
    private readonly parts: FeatureReadsParts,
    private readonly options: ReadOptions,
  ) {}

  /** What is published has changed. Reads that are under way end with the plans of before. */
  usePublished(): void {
    const { selections, snapshot, store } = this.parts;
    const views = new Set(snapshot.views());
    for (const { members } of [...snapshot.sets(), ...snapshot.pinnedSets()]) {
      for (const { view, viewHash } of members) {
        const pinned = snapshot.view(view, viewHash);
        if (pinned) views.add(pinned);
      }
    }
    const plans = [...views].map((view) => selections.program(view).plan);
    store.usePlans(new Set([...plans, ...this.inUse]));
    this.inUse = plans;
  }

  select({ set, features }: Pick<ReadRequest, 'set' | 'features'>): Promise<Selection> {
    const { selections } = this.parts;
    return set === undefined ? selections.ofFeatures(features ?? [], '/features') : selections.ofSet(set);
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    const { selection, rows, moment } = await this.prepare(request);
    const { deadlineMs = moment ? undefined : this.options.deadlineMs } = request;
    const answer = await this.parts.frames.read(selection, { rows, moment, deadlineMs });
    const served = answer.frames.map((frames) => servedRow(selection, frames));
    const { at, storage, unread } = answer;
    return {
      ...{ selection, at, knownAt: moment?.knownAt ?? at, corrected: moment?.corrected ?? false },
      ...{ rows: served, storage },
      ...(unread && { unread }),
    };
  }

  /** Why a member has its value for the first row. */
  async explain(request: ReadRequest, name: string): Promise<Explanation> {
    const { selection, rows, moment } = await this.prepare(request);
    const { past, live, now } = this.parts;
    const { view, slot } = memberOf(selection, name);
    const [row] = rows;
    const one = selection.views[view];
    if (!one || !row) throw new RangeError('an explanation is of one row');
    const given = row.given?.[view];
    const query = {
      ...queryOf(selection, { rows: [], deadlineMs: request.deadlineMs ?? this.options.deadlineMs }),
      views: [one.program],
      rows: [{ entities: [row.entities[view] as string], ...(given && { given: [given] }) }],
    };
    if (moment) return past.explain(query, moment, slot);
    if (this.parts.frames.isInMemory(selection)) return live.explain(query, slot);
    const at = now();
    return past.explain(query, { at, knownAt: at, corrected: false }, slot);
  }

  /** Brings states into memory; rows of versions that are not kept there stay in the log. */
  async warm(selection: Selection, rows: readonly OnlineRow[]): Promise<void> {
    const { frames, live } = this.parts;
    if (frames.isInMemory(selection)) await live.read(queryOf(selection, { rows, deadlineMs: LONG_MS }));
  }

  /** Each row as of a moment of its own, from the log: rows of training sets, told in any order. */
  readEach(
    selection: Selection,
    rows: readonly OnlineRow[],
    moments: readonly PastMoment[],
    run: WalkRun,
  ): Promise<void> {
    return this.parts.walks.read(queryOf(selection, { rows, deadlineMs: LONG_MS }), moments, run);
  }

  private async prepare(request: ReadRequest): Promise<{
    readonly selection: Selection;
    readonly rows: readonly OnlineRow[];
    readonly moment: PastMoment | undefined;
  }> {
    if (request.rows.length > ENTITIES_MAX)
      throw new DomainError('batch_too_large', `At most ${ENTITIES_MAX} entities are read at once.`);
    const selection = await this.select(request);
    const now = this.parts.now();
    const moment = readMoment(request, now);
    if (moment) checkRetention(selection, moment.at, now);
    return { selection, rows: readRows(selection, request.rows, (i) => `/entities/${i}`), moment };
  }
}

function memberOf({ members }: Selection, name: string): SelectedMember {
  const found = members.find((member) => member.name === name);
  if (found) return found;
  const [near] = nearestWords(
    name,
    members.map((member) => member.name),
  );
  const fault = {
    pointer: '/feature',
    expected: 'a member of the set',
    ...(near === undefined ? {} : { hint: `did you mean '${near}'?` }),
  };
  throw new DomainError('invalid_parameter', 'The set has no such member.', { faults: [fault] });
}
