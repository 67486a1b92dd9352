/** Hot path: predictions with features of a set. */
import type { FeatureValue, Frame, OnlineAnswer, OnlineRow, PastMoment, SetReads, SetSelection } from '@sibyl/features';
import { readGiven, reachingBeyondRetention } from '@sibyl/features';
import { DomainError, type Clock, type FieldFault } from '@sibyl/kernel';
import {
  pointerTo,
  type FeatureAsk,
  type FeatureCall,
  type FilledRow,
  type FilledRows,
  type ServedVersion,
  type VersionFeatures,
} from '@sibyl/prediction';
import type { Metrics, VersionMetrics } from '@sibyl/telemetry';
import { describe } from '../http/validation.pipe';
import { rowsOf, type Asked, type Moments } from './asked-rows';
import { coldMsOf } from './cold-rows';
import { PredictionBasis } from './feature-basis';
import { keysOf } from './row-keys';
import { momentOf } from './row-moment';
import { orInternal, SetLookup } from './set-lookup';
import type { SetPins } from './set-pins';
import { bindMembers, PolicyRows, type PolicyRow } from './set-policy';

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
/** All reads of the past of one call together, and how much of it they may wait until what had arrived by then is known. */
const PAST_LIMIT_MS = 2000;
const PAST_WAIT_MS = PAST_LIMIT_MS / 2;
const NOTHING: FilledRow = { values: new Map(), amended: [], defaulted: [], stale: [], basis: undefined };
/** The key of a request that names no entity: no event can have it, so that the policy of the set decides what becomes of it. */
const NOBODY = '';

/** How the frames of a row were read. */
interface RowRead extends Pick<OnlineAnswer, 'at' | 'unsettled'>, Pick<FilledRow, 'beyondRetention'> {
  readonly unread: OnlineAnswer['unread'] | undefined;
  readonly knownAt: number | undefined;
  readonly pointer: string;
}

/** A version of a set, and where its members go in the model. */
interface Binding {
  readonly reference: string;
  readonly selection: SetSelection;
  readonly rows: PolicyRows;
  readonly extra: ReadonlySet<string>;
  /** By the name in a request, the features of views that it stands for. */
  readonly gives: ReadonlyMap<string, readonly { readonly view: number; readonly feature: string }[]>;
}

/** Fills what requests of one version leave out from the version of a feature set that was found for it. */
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
    return this.binding?.extra;
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

  /** The set may have to be read first, or found; where there is none no row is filled with nothing. */
  private async readUnknown(rows: readonly FeatureAsk[], call: FeatureCall): Promise<FilledRows> {
    const lack = await this.lookup.look();
    const binding = this.bound();
    return binding === undefined ? rows.map(() => lack) : this.readBound(binding, rows, call);
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
    const filled: (FilledRow | DomainError)[] = [];
    const now: Asked[] = [];
    let past: Map<number, Asked[]> | undefined;
    for (let index = 0; index < rows.length; index++) {
      filled.push(NOTHING);
      const asked = this.tryAsk(binding, rows[index] as FeatureAsk, index);
      if (asked instanceof DomainError) filled[index] = asked;
      else if (asked.at === undefined) now.push(asked);
      else {
        past ??= new Map();
        const ofMoment = past.get(asked.at) ?? [];
        ofMoment.push(asked);
        past.set(asked.at, ofMoment);
      }
    }
    if (past !== undefined || now.length > ROWS)
      return this.readMany(binding, { now, past: past ?? new Map(), call }, filled);
    if (now.length === 0) return filled;
    const coldMs = coldMsOf(call, this.parts.clock.monotonic());
    const answer = this.parts.sets.read(binding.selection, { rows: rowsOf(now), coldMs });
    if (!(answer instanceof Promise)) return this.fill(binding, now, answer, filled);
    return answer.then((read) => this.fill(binding, now, read, filled));
  }

  /** Reads of several moments, one after the other, in one limit; what comes after it is TIMEOUT. */
  private async readMany(
    binding: Binding,
    { now, past, call }: Moments,
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
    return filled;
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
    const given = givenOf(binding, ask);
    const row = given ? { entities, given } : { entities };
    return { index, pointer: ask.pointer, row, at, beforeRetention };
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
      const { index, pointer, beforeRetention } = asked[i] as Asked;
      const frames = answer.frames[i] ?? [];
      // Nothing is read of a time that is not kept.
      const beyondRetention = !beforeRetention && reachesBeyond(frames);
      try {
        filled[index] = this.rowOf(binding, frames, {
          at: answer.at,
          knownAt: moment?.knownAt,
          pointer,
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
    { rows }: Binding,
    frames: readonly Frame[],
    { at, knownAt, pointer, unread, unsettled, beyondRetention }: RowRead,
  ): FilledRow {
    const row = rows.of(frames);
    this.count(rows, row, at);
    row.conclude(pointer, at, unread);
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
  const own = new Set(slots.map(({ name }) => name));
  const gives = new Map<string, { view: number; feature: string }[]>();
  const give = (name: string, view: number, feature: string): unknown =>
    gives.get(name)?.push({ view, feature }) ?? gives.set(name, [{ view, feature }]);
  for (const { name, view, feature } of selection.members) give(name, view, feature);
  selection.programs.forEach((one, view) => {
    for (const feature of one.slots.keys()) if (!own.has(feature)) give(feature, view, feature);
  });
  const extra = new Set([...gives.keys()].filter((name) => !own.has(name)));
  return { selection, rows: new PolicyRows(selection, bindMembers(selection, slots, metrics)), extra, gives };
}

/** What a request gives, for each view; undefined: nothing. Throws where a value that only the views know is of another type. */
function givenOf({ selection, gives, extra }: Binding, { features, pointer }: FeatureAsk): OnlineRow['given'] {
  let byView: Record<string, FeatureValue>[] | undefined;
  for (const name of Object.keys(features)) {
    for (const { view, feature } of gives.get(name) ?? []) {
      byView ??= selection.programs.map(() => ({}));
      const values = byView[view] as Record<string, FeatureValue>;
      // What the model is given by its own name comes before what the view calls the same.
      if (!extra.has(name) || !Object.hasOwn(values, feature)) values[feature] = features[name] as FeatureValue;
    }
  }
  if (byView === undefined) return undefined;
  const faults: FieldFault[] = [];
  const given = byView.map((values, view) => {
    const read = readGiven(selection.programs[view] as (typeof selection.programs)[number], values);
    for (const { name, type } of read.faults) {
      // The model says what is wrong with its own.
      if (!extra.has(name)) continue;
      const received = describe(features[name]);
      faults.push({ pointer: pointerTo(pointer, name), expected: type ?? 'a known feature', received });
    }
    return read.given;
  });
  if (faults.length > 0)
    throw new DomainError('input_type_mismatch', 'A feature has a value of the wrong type.', { faults });
  return given;
}
