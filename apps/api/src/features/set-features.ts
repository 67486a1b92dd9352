/** Hot path: predictions with features of a set. */
import type { Frame, OnlineAnswer, PastMoment, SetReads, SetSelection } from '@sibyl/features';
import { reachingBeyondRetention } from '@sibyl/features';
import { DomainError, TURNS, type Clock } from '@sibyl/kernel';
import {
  leavesOut,
  type FeatureAsk,
  type FeatureCall,
  type FilledRow,
  type FilledRows,
  type ServedVersion,
  type VersionFeatures,
} from '@sibyl/prediction';
import type { Metrics, VersionMetrics } from '@sibyl/telemetry';
import { rowsOf, type Asked, type Moments } from './asked-rows';
import { bindMembers } from './bound-member';
import { coldMsOf } from './cold-rows';
import { PredictionBasis } from './feature-basis';
import { GivenValues } from './given-values';
import { keysOf } from './row-keys';
import { momentOf } from './row-moment';
import { orInternal, SetLookup } from './set-lookup';
import type { SetPins } from './set-pins';
import { PolicyRows, type PolicyRow } from './set-policy';

export interface SetFeatureParts {
  readonly sets: SetReads;
  readonly pins: Pick<SetPins, 'of'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** How far clocks of callers run ahead. */
  readonly clockSkewMs: number;
}

/** Entities of one read. */
const ROWS = 1000;
/** Rows that give all themselves and are looked at at once; more are in slices. */
const WHOLE_ROWS = 32;
/** All reads of the past of one call together, and how much of it they may wait until what had arrived by then is known. */
const PAST_LIMIT_MS = 2000;
const PAST_WAIT_MS = PAST_LIMIT_MS / 2;
const NONE = new Map<number, never>();
const NOTHING: FilledRow = { values: new Map(), amended: [], defaulted: [], stale: [], basis: undefined };
/** The key of a request that names no entity: no event can have it, so that the policy of the set decides what becomes of it. */
const NOBODY = '';

/** How the frames of a row were read. */
interface RowRead extends Pick<OnlineAnswer, 'at' | 'unsettled'>, Pick<FilledRow, 'beyondRetention'> {
  readonly unread: OnlineAnswer['unread'] | undefined;
  readonly knownAt: number | undefined;
  readonly ask: FeatureAsk;
}

/** A version of a set, and where its members go in the model. */
interface Binding {
  readonly reference: string;
  readonly selection: SetSelection;
  readonly rows: PolicyRows;
  readonly given: GivenValues;
}

/** Fills what requests of one version leave out, and checks what they give, by the version of a feature set that was found for it. */
export class SetFeatures implements VersionFeatures {
  private binding: Binding | undefined;
  private readonly stage: VersionMetrics['features'];
  private readonly lookup: SetLookup;

  constructor(
    private readonly parts: SetFeatureParts,
    private readonly served: ServedVersion,
  ) {
    this.lookup = new SetLookup(parts.pins, parts.clock, served);
    this.stage = parts.metrics.predictions.of(served.model, served.version).features;
  }

  /** Of the set as it was read last: asked for after each read. */
  get extra(): ReadonlySet<string> | undefined {
    return this.binding?.given.extra;
  }

  read(rows: readonly FeatureAsk[], call: FeatureCall): FilledRows | Promise<FilledRows> {
    const startedAt = this.parts.clock.monotonic();
    const binding = this.bound();
    if (binding === undefined) return this.readUnknown(rows, call);
    const filled = this.readBound(binding, rows, call);
    if (!(filled instanceof Promise)) this.measure(startedAt);
    else void filled.then(() => this.measure(startedAt)).catch(() => undefined);
    return filled;
  }

  private measure(startedAt: number): void {
    this.stage.observe((this.parts.clock.monotonic() - startedAt) / 1000);
  }

  /**
   * The set may have to be read first, or found; where there is none no row is filled with nothing, and what gives the features of the
   * model and nothing else needs none.
   */
  private async readUnknown(rows: readonly FeatureAsk[], call: FeatureCall): Promise<FilledRows> {
    if (this.lookup.reference === undefined && rows.every((row) => this.needsNothing(row)))
      return rows.map(() => NOTHING);
    const lack = await this.lookup.look();
    const binding = this.bound();
    if (binding !== undefined) return this.readBound(binding, rows, call);
    const isNone = lack.code === 'incomplete_features';
    return rows.map((row) => (isNone && this.needsNothing(row) ? NOTHING : lack));
  }

  private needsNothing({ features }: FeatureAsk): boolean {
    const { contract } = this.served;
    return !leavesOut(contract, features) && Object.keys(features).length === contract.slots.length;
  }

  private bound(): Binding | undefined {
    const { reference } = this.lookup;
    if (reference === undefined || this.binding?.reference === reference) return this.binding;
    const selection = this.parts.sets.find(reference);
    if (selection === undefined) return undefined;
    this.binding = { ...bind(selection, this.served, this.parts.metrics), reference };
    return this.binding;
  }

  private readBound(
    binding: Binding,
    rows: readonly FeatureAsk[],
    call: FeatureCall,
  ): FilledRows | Promise<FilledRows> {
    const filled: (FilledRow | DomainError)[] = rows.map(() => NOTHING);
    const asked = this.sort(binding, { rows, call }, filled);
    const { now, past, whole } = asked;
    if (past.size > 0 || now.length > ROWS || whole.size > WHOLE_ROWS) return this.readMany(binding, asked, filled);
    for (const [index, ask] of whole) filled[index] = this.tryGiven(binding, ask);
    if (now.length === 0) return filled;
    const coldMs = coldMsOf(call, this.parts.clock.monotonic());
    const answer = this.parts.sets.read(binding.selection, { rows: rowsOf(now), coldMs });
    if (!(answer instanceof Promise)) return this.fill(binding, now, answer, filled);
    return answer.then((read) => this.fill(binding, now, read, filled));
  }

  /** By what has to be read; what is wrong with a row goes into `filled` at once. */
  private sort(
    binding: Binding,
    { rows, call }: { readonly rows: readonly FeatureAsk[]; readonly call: FeatureCall },
    filled: (FilledRow | DomainError)[],
  ): Moments {
    const now: Asked[] = [];
    let past: Map<number, Asked[]> | undefined;
    let whole: Map<number, FeatureAsk> | undefined;
    for (let index = 0; index < rows.length; index++) {
      const ask = rows[index] as FeatureAsk;
      const asked = leavesOut(this.served.contract, ask.features) ? this.tryAsk(binding, ask, index) : undefined;
      if (asked === undefined) (whole ??= new Map()).set(index, ask);
      else if (asked instanceof DomainError) filled[index] = asked;
      else if (asked.at === undefined) now.push(asked);
      else {
        past ??= new Map();
        const ofMoment = past.get(asked.at) ?? [];
        ofMoment.push(asked);
        past.set(asked.at, ofMoment);
      }
    }
    return { now, past: past ?? NONE, whole: whole ?? NONE, call };
  }

  /** Reads of several moments, one after the other, in one limit; what comes after it is TIMEOUT. */
  private async readMany(
    binding: Binding,
    { now, past, whole, call }: Moments,
    filled: (FilledRow | DomainError)[],
  ): Promise<FilledRows> {
    const { sets, clock } = this.parts;
    const { selection } = binding;
    const startedAt = clock.monotonic();
    const left = (ms: number): number => Math.max(0, startedAt + ms - clock.monotonic());
    for (let i = 0; i < now.length; i += ROWS) {
      const part = now.slice(i, i + ROWS);
      const coldMs = coldMsOf(call, clock.monotonic());
      this.fill(binding, part, await sets.read(selection, { rows: rowsOf(part), coldMs }), filled);
    }
    for (const [at, all] of past) {
      for (let i = 0; i < all.length; i += ROWS) {
        const part = all.slice(i, i + ROWS);
        const moment = { at, knownAt: at, corrected: false, waitMs: left(PAST_WAIT_MS) };
        const answer = await sets.read(selection, { rows: rowsOf(part), moment, deadlineMs: left(PAST_LIMIT_MS) });
        this.fill(binding, part, answer, filled, moment);
      }
    }
    for (const [index, ask] of whole) {
      if (TURNS.due) await TURNS.next();
      filled[index] = this.tryGiven(binding, ask);
    }
    return filled;
  }

  /** A row that gives all itself: whose it is, and of which moment, is all the same. */
  private tryGiven(binding: Binding, ask: FeatureAsk): FilledRow | DomainError {
    try {
      const given = binding.given.of(ask);
      if (given === undefined) return NOTHING;
      const at = this.parts.clock.now() * 1000;
      const frames = this.parts.sets.ofGiven(binding.selection, given, at);
      return this.rowOf(binding, frames, { at, knownAt: undefined, unread: undefined, ask });
    } catch (error) {
      return orInternal(error);
    }
  }

  private tryAsk(binding: Binding, ask: FeatureAsk, index: number): Asked | DomainError {
    try {
      return this.askOf(binding, ask, index);
    } catch (error) {
      return orInternal(error);
    }
  }

  private askOf(binding: Binding, ask: FeatureAsk, index: number): Asked {
    const keys = keysOf(binding.selection, ask);
    const { clock, clockSkewMs } = this.parts;
    const { at, beforeRetention } = momentOf(binding.selection, ask, clock.now() * 1000, clockSkewMs * 1000);
    // What is left of a time that is not kept must not pass for what was: nobody is known then.
    const entities = keys === undefined || beforeRetention ? binding.selection.views.map(() => NOBODY) : keys;
    const given = binding.given.of(ask);
    const row = given ? { entities, given } : { entities };
    return { index, ask, row, at, beforeRetention };
  }

  private fill(
    binding: Binding,
    asked: readonly Asked[],
    answer: OnlineAnswer,
    filled: (FilledRow | DomainError)[],
    moment?: PastMoment,
  ): FilledRows {
    const now = moment ? this.parts.clock.now() * 1000 : answer.at;
    const reachesBeyond = reachingBeyondRetention(binding.selection, answer.at, now);
    for (let i = 0; i < asked.length; i++) {
      const { index, ask, beforeRetention } = asked[i] as Asked;
      const frames = answer.frames[i] ?? [];
      // Nothing is read of a time that is not kept.
      const beyondRetention = !beforeRetention && reachesBeyond(frames);
      try {
        filled[index] = this.rowOf(binding, frames, {
          at: answer.at,
          knownAt: moment?.knownAt,
          ask,
          unread: answer.unread,
          unsettled: answer.unsettled === true ? true : undefined,
          beyondRetention: beyondRetention ? true : undefined,
        });
      } catch (error) {
        const wrong = orInternal(error);
        filled[index] = wrong.code === 'incomplete_features' ? (beforeRetention ?? wrong) : wrong;
      }
    }
    return filled;
  }

  private rowOf(
    { rows, given }: Binding,
    frames: readonly Frame[],
    { at, knownAt, ask, unread, unsettled, beyondRetention }: RowRead,
  ): FilledRow {
    const row = rows.of(frames);
    this.count(rows, row, at);
    const nameOf = (view: number, slot: number): string | undefined => given.nameOf(ask, view, slot);
    row.conclude({ pointer: ask.pointer, nameOf }, at, unread);
    const { values, amended, defaulted, stale } = row;
    const basis = new PredictionBasis(row.basis, at, knownAt);
    return { values, amended, defaulted, stale, basis, unsettled, beyondRetention };
  }

  private count({ members }: PolicyRows, { times, statuses }: PolicyRow, at: number): void {
    const { features } = this.parts.metrics;
    for (const [status, values] of statuses) features.countStatus(status, values);
    for (let i = 0; i < members.length; i++) {
      const age = (at - (times[i] as number)) / 1e6;
      // An event of a moment that is to come within the clock's tolerance is not older than nothing.
      if (!Number.isNaN(age)) members[i]?.age.observe(Math.max(0, age));
    }
  }
}

function bind(selection: SetSelection, served: ServedVersion, metrics: Metrics): Omit<Binding, 'reference'> {
  const { slots } = served.contract;
  const members = bindMembers(selection, slots, metrics);
  const given = new GivenValues(selection, members, slots);
  return { selection, rows: new PolicyRows(selection, members), given };
}
