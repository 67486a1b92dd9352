import { DomainError, nearestWords, TURNS, type Pace } from '@sibyl/kernel';
import type { ViewPlan } from '../definitions/view-plan';
import type { Explanation } from '../engine/explain';
import type { Frame } from '../engine/frame';
import type { LiveReads } from '../engine/live-reads';
import type { OnlineQuery, OnlineRow, PastMoment } from '../engine/online-query';
import type { PastReads } from '../engine/past-reads';
import type { PastWalks, WalkRun } from '../engine/past-walks';
import type { StateStore } from '../engine/state-store';
import type { Settlement } from '../log/settlement';
import type { DefinitionSnapshot } from '../store/definition-snapshot';
import { requestFault } from '../request-fault';
import { MICROS_PER_MS, type Micros } from '../time';
import { LISTS, readRows, type AskedRow, type RequestPlaces } from './entity-rows';
import { withServed, type ExplainedMember } from './explained-member';
import { LargeReads } from './large-reads';
import { limitAges, readMaxStaleness } from './max-staleness';
import { aheadOf, readMoment, type AskedMoment } from './moment';
import type { ReadOptions } from './read-options';
import { originOf, type RowOrigin } from './row-origin';
import { queryOf, type SelectedFrames } from './selected-frames';
import { checkRetention, reachesBeyondRetention } from './retention';
import type { SelectedMember, Selection, Selections } from './selection';
import { servedRow, type ServedRow } from './served-row';
import { KeptByFrames } from './kept-by-frames';

/** Entities of one read. */
const ENTITIES_MAX = 1000;
/** Values of one read: a thousand entities of views with two hundred features. */
const VALUES_MAX = 200_000;
/** Larger reads are few at a time. */
const LARGE_VALUES = 25_000;
/** Values that are put together at once; more are in slices. */
const VALUES_AT_ONCE = 4000;
/** Of rows that are kept with their texts. Measured: a row; a value, its status, time and source, and their texts. */
const KEPT = { bytes: 8 * 1024 * 1024, rowBytes: 700, valueBytes: 180 };
/** How long the log may take for states that are brought into memory by long work. */
const LONG_MS = 60_000;

export interface ReadRequest extends AskedMoment {
  /** Exactly one of the two. */
  readonly set?: string;
  readonly features?: readonly string[];
  readonly rows: readonly AskedRow[];
  /** Where all that stands in the request; absent: in lists. */
  readonly places?: RequestPlaces;
  readonly deadlineMs?: number | undefined;
  /** Of long reads; absent: that of all long work. Rejects where nobody wants the answer any more. */
  readonly pace?: Pace | undefined;
  /** How old values may be at most, by name, whatever their `ttl` allows. */
  readonly maxStaleness?: unknown;
  /** The answer says what each row rests on. */
  readonly origins?: boolean | undefined;
}

type Selected = Pick<ReadRequest, 'set' | 'features' | 'places'>;

export interface ReadAnswer {
  readonly selection: Selection;
  readonly at: Micros;
  /** Whose knowledge counted: `at` unless another was asked for. */
  readonly knownAt: Micros;
  /** Events that came too late to be served were counted too. */
  readonly corrected: boolean;
  /** Pointers of times of the request that have not come yet: now stands in for them. */
  readonly ahead: readonly string[];
  /** Of a moment of the past: a window by time begins before its stream is kept. */
  readonly beyondRetention: boolean;
  readonly rows: readonly ServedRow[];
  readonly unread: 'deadline' | 'failed' | undefined;
  /** Some of what had arrived at `knownAt` was being committed still. */
  readonly unsettled: boolean | undefined;
  /** Of a read of now from memory: for some time nothing could be heard of what other processes stored. */
  readonly unheard: boolean;
  /** Microseconds that the log took. */
  readonly storage: Micros;
  /** By row, where they were asked for. */
  readonly origins: readonly RowOrigin[] | undefined;
}

interface Prepared {
  readonly rows: readonly OnlineRow[];
  readonly moment: PastMoment | undefined;
  readonly ahead: readonly string[];
}

export interface FeatureReadsParts {
  readonly selections: Selections;
  readonly snapshot: DefinitionSnapshot;
  readonly store: StateStore;
  readonly live: LiveReads;
  readonly past: PastReads;
  readonly walks: PastWalks;
  readonly frames: SelectedFrames;
  readonly settlement: Pick<Settlement, 'deaf'>;
  readonly now: () => Micros;
}

/** Reads of features by name, for callers: resolved, checked, read from memory or from the log, and settled by the policy of the set. */
export class FeatureReads {
  private inUse: readonly ViewPlan[] = [];
  private readonly large = new LargeReads();
  private readonly rows = new KeptByFrames(KEPT, servedRow);
  private readonly rowOf = (selection: Selection, frames: readonly Frame[]): ServedRow =>
    this.rows.of(selection, frames);

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

  select({ set, features = [], places = LISTS }: Selected): Promise<Selection> {
    const { selections } = this.parts;
    return set === undefined ? selections.ofFeatures(features, (i) => places.feature(i)) : selections.ofSet(set);
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    return this.readSelected(await this.select(request), request);
  }

  /** The same of what was selected before. */
  async readSelected(selection: Selection, request: Omit<ReadRequest, 'set' | 'features'>): Promise<ReadAnswer> {
    const prepared = this.prepare(selection, request);
    const { rows, moment, ahead } = prepared;
    if (rows.length * weightOf(selection) <= LARGE_VALUES) return this.readNow(selection, request, prepared);
    // Whoever waits for a moment to be settled takes nobody's turn.
    const settled = moment && (await this.parts.past.settle(request, moment));
    return this.large.run(() => this.readNow(selection, request, { rows, moment: settled, ahead }), request.pace);
  }

  private async readNow(
    selection: Selection,
    request: Omit<ReadRequest, 'set' | 'features'>,
    { rows, moment, ahead }: Prepared,
  ): Promise<ReadAnswer> {
    const { deadlineMs = moment ? undefined : this.options.deadlineMs } = request;
    const { maxStaleness, origins, pace } = request;
    const ages = maxStaleness === undefined ? undefined : readMaxStaleness(selection, maxStaleness);
    const asked = { rows, moment, deadlineMs, pace, tiers: origins };
    const answer = await this.parts.frames.read(selection, asked);
    const { at, storage, unread, unsettled } = answer;
    // Frames of the past mostly serve nobody else.
    const rowOf = moment ? servedRow : this.rowOf;
    let served = await inSlices(selection, answer.frames, pace, (frames) => rowOf(selection, frames));
    if (ages) served = await inSlices(selection, served, pace, (row) => limitAges(selection, row, ages, at));
    const originsOf = (row: ServedRow, i: number): RowOrigin =>
      originOf(selection, row, answer.frames[i] ?? [], answer.tiers?.[i] ?? 'log');
    // As it stands and not put together of parts: those would be copied for each read.
    return {
      selection,
      at,
      knownAt: moment?.knownAt ?? at,
      corrected: moment?.corrected ?? false,
      ahead,
      beyondRetention: moment !== undefined && reachesBeyondRetention(selection, moment.at, this.parts.now()),
      rows: served,
      unread,
      unsettled,
      unheard: moment === undefined && this.parts.settlement.deaf && this.parts.frames.isInMemory(selection),
      storage,
      origins: origins === true ? await inSlices(selection, served, pace, originsOf) : undefined,
    };
  }

  /** Why a member of what was selected before has its value for the first row. */
  async explain(
    selection: Selection,
    request: Omit<ReadRequest, 'set' | 'features'>,
    name: string,
  ): Promise<ExplainedMember> {
    const { rows, moment } = this.prepare(selection, request);
    const member = memberOf(selection, name);
    const { view, slot } = member;
    const [row] = rows;
    const one = selection.views[view];
    if (!one || !row) throw new RangeError('an explanation is of one row');
    const given = row.given?.[view];
    const { deadlineMs = moment ? undefined : this.options.deadlineMs } = request;
    const query = {
      ...queryOf(selection, { rows: [], deadlineMs }),
      views: [one.program],
      rows: [{ entities: [row.entities[view] as string], ...(given && { given: [given] }) }],
    };
    return withServed(selection, member, await this.explainAt(selection, query, slot, moment));
  }

  private explainAt(
    selection: Selection,
    query: OnlineQuery,
    slot: number,
    moment: PastMoment | undefined,
  ): Promise<Explanation> {
    const { past, live, now, frames } = this.parts;
    if (moment) return past.explain(query, moment, slot);
    if (frames.isInMemory(selection)) return live.explain(query, slot);
    const at = now();
    return past.explain(query, { at, knownAt: at, corrected: false, present: true }, slot);
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

  private prepare(selection: Selection, request: Omit<ReadRequest, 'set' | 'features'>): Prepared {
    const { rows, places = LISTS } = request;
    if (rows.length > ENTITIES_MAX) throw tooMany('At most', ENTITIES_MAX, rows);
    const each = weightOf(selection);
    if (rows.length * each > VALUES_MAX)
      throw tooMany('Of these features at most', Math.max(1, Math.floor(VALUES_MAX / each)), rows);
    const now = this.parts.now();
    const moment = readMoment(request, now, this.options.clockSkewMs * MICROS_PER_MS);
    if (moment) checkRetention(selection, moment.at, now);
    return { rows: readRows(selection, rows, places), moment, ahead: aheadOf(request, now) };
  }
}

/** What one row comes to, in values: what is computed for it, or what is answered where names come more than once. */
function weightOf({ programs, members }: Selection): number {
  let [computed, answered] = [0, 0];
  for (const program of programs) computed += program.weight;
  for (const { view, slot } of members) answered += programs[view]?.weightOf(slot) ?? 1;
  return Math.max(computed, answered);
}

/** What is made of each row. */
async function inSlices<From, To>(
  { members }: Selection,
  rows: readonly From[],
  pace: Pace = TURNS,
  make: (row: From, i: number) => To,
): Promise<To[]> {
  const made: To[] = [];
  const rowsAtOnce = Math.ceil(VALUES_AT_ONCE / members.length);
  for (const [i, row] of rows.entries()) {
    if (i >= rowsAtOnce && pace.due) await pace.next();
    made.push(make(row, i));
  }
  return made;
}

function tooMany(said: string, most: number, rows: readonly AskedRow[]): DomainError {
  const faults = [{ pointer: '/entities', expected: `at most ${most}`, received: String(rows.length) }];
  return new DomainError('batch_too_large', `${said} ${most} entities are read at once.`, { faults });
}

function memberOf({ members }: Selection, name: string): SelectedMember {
  const found = members.find((member) => member.name === name);
  if (found) return found;
  const [near] = nearestWords(
    name,
    members.map((member) => member.name),
  );
  const fault = {
    ...requestFault('/feature', 'a member of the set', name),
    ...(near === undefined ? {} : { hint: `did you mean '${near}'?` }),
  };
  throw new DomainError('invalid_parameter', 'The set has no such member.', { faults: [fault] });
}
