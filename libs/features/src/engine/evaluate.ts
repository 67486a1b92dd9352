// Hot: the one function that makes values, for live reads, reads of the past and training sets alike.
import type { ExpressionStep, OperatorStep, PlanStep, StaticStep } from '../definitions/view-plan';
import type { FeatureValue, ValueStatus } from '../feature-value';
import { MICROS_PER_MS, type Micros } from '../time';
import type { EntityState } from './entity-state';
import { StreamBasis, type Frame, type Given } from './frame';
import type { Memo } from './memo';
import type { Program, ProgramStep } from './program';
import type { Series } from './series';
import { settle } from './settle';
import { boundWindow } from './window-bounds';

/** What the values of one entity are computed from, besides the moment. */
export interface Inputs {
  readonly entity: string;
  /** By the index of the stream; undefined where the events could not be read, and for tables that are looked up by key. */
  readonly states: readonly (EntityState | undefined)[];
  /** The row of a table by its key; undefined where it is not at hand. */
  lookup(stream: number, key: string): EntityState | undefined;
  readonly given?: Given | undefined;
  readonly memo?: Memo | undefined;
  /** Values that are too old are served all the same, with status STALE: for models that would rather have them than none. */
  readonly keepStale?: boolean | undefined;
}

/** The status of an expression without a value is the gravest among those of its variables; the gravest of all leaves it none. */
const GRAVITY: Readonly<Record<ValueStatus, number>> = {
  PRESENT: 0,
  DEFAULTED: 0,
  NULL: 1,
  WARMING_UP: 2,
  NON_FINITE: 3,
  STALE: 4,
  NOT_FOUND: 5,
  INVALID: 6,
  TIMEOUT: 7,
};

/** `known`: a frame of the same states whose calm part holds at this moment too. */
export function evaluate(program: Program, inputs: Inputs, at: Micros, known?: Frame): Frame {
  return known === undefined
    ? new Evaluation(program, inputs, emptyFrame(program, inputs, at)).run()
    : new Evaluation(program, inputs, frameFrom(program, known, at)).goOn();
}

function emptyFrame({ plan }: Program, { given, keepStale }: Inputs, at: Micros): Frame {
  const slots = plan.outputs.length;
  return {
    at,
    values: new Array<FeatureValue>(slots).fill(null),
    statuses: new Array<ValueStatus>(slots).fill('NULL'),
    times: new Array<number>(slots).fill(Number.NaN),
    given,
    basis: [],
    keepsStale: keepStale === true,
    from: Number.NEGATIVE_INFINITY,
    until: Number.POSITIVE_INFINITY,
    calmFrom: Number.NEGATIVE_INFINITY,
    calmUntil: Number.POSITIVE_INFINITY,
    found: false,
  };
}

/** With all that is calm; the rest of it is overwritten. */
function frameFrom({ ownStreams }: Program, known: Frame, at: Micros): Frame {
  return {
    at,
    values: known.values.slice(),
    statuses: known.statuses.slice(),
    times: known.times.slice(),
    given: known.given,
    basis: known.basis.slice(0, ownStreams),
    keepsStale: known.keepsStale,
    from: known.calmFrom,
    until: known.calmUntil,
    calmFrom: known.calmFrom,
    calmUntil: known.calmUntil,
    found: false,
  };
}

class Evaluation {
  private readonly at: Micros;
  private readonly series: (Series | undefined)[];

  constructor(
    private readonly program: Program,
    private readonly inputs: Inputs,
    private readonly frame: Frame,
  ) {
    this.at = frame.at;
    this.series = new Array<Series | undefined>(program.plan.streams.length).fill(undefined);
  }

  run(): Frame {
    const { frame } = this;
    const { calm, plan } = this.program;
    for (let i = 0; i < plan.streams.length; i++) {
      const { keyed, span } = plan.streams[i] as (typeof plan.streams)[number];
      const state = keyed ? undefined : this.inputs.states[i];
      this.series[i] = state && this.seriesOf(state, span);
    }
    for (const step of calm) this.step(step);
    frame.calmFrom = frame.from;
    frame.calmUntil = frame.until;
    return this.finish();
  }

  /** All that is calm is there; what the entity's own streams bound is in its bounds. */
  goOn(): Frame {
    const { streams } = this.program.plan;
    for (let i = 0; i < streams.length; i++) {
      const { keyed, span } = streams[i] as (typeof streams)[number];
      this.series[i] = keyed ? undefined : this.inputs.states[i]?.series(this.at, span);
    }
    return this.finish();
  }

  private finish(): Frame {
    for (const step of this.program.restless) this.step(step);
    return this.frame;
  }

  private seriesOf(state: EntityState, span: Micros): Series {
    const series = state.series(this.at, span);
    const { frame } = this;
    frame.basis.push(new StreamBasis(state.need.definition.name, state, series));
    this.bound(state.countFrom(series.end), state.countUntil(series.end));
    return series;
  }

  private step(program: ProgramStep): void {
    const { step } = program;
    if (this.isGiven(step)) return this.settleAll(program, 'NULL', null, Number.NaN);
    switch (step.kind) {
      case 'operator':
        return this.operator(program, step);
      case 'expression':
        return this.expression(program, step);
      case 'static':
        return this.row(program, step);
      case 'request':
        return this.settleAll(program, 'NOT_FOUND', null, Number.NaN);
      case 'moment':
        this.bound(this.at, this.at + 1);
        return this.settleAll(program, 'PRESENT', Math.floor(this.at / MICROS_PER_MS), Number.NaN);
    }
  }

  private operator(program: ProgramStep, step: OperatorStep): void {
    const state = this.inputs.states[step.stream];
    const series = this.series[step.stream];
    if (!state || !series) return this.settleAll(program, 'TIMEOUT', null, Number.NaN);
    if (series.end === series.start && series.whole) return this.settleAll(program, 'NOT_FOUND', null, Number.NaN);
    const { out, bounds } = program;
    const memo = step.operator.timed ? undefined : this.inputs.memo;
    const ahead = state.columns.end - series.end;
    if (!memo?.recall(program, state.version, ahead, this.at)) {
      this.compute(program, step, state, series);
      boundWindow(step.operator, series, this.at, bounds);
      memo?.keep(program, state.version, ahead);
    }
    this.bound(bounds.from, bounds.until);
    const time = series.end > series.start ? (series.times[series.end - 1] as number) : Number.NaN;
    const { status } = out;
    for (let i = 0; i < step.width; i++) {
      this.settle(program, step.slot + i, status, status === 'PRESENT' ? (out.values[i] ?? null) : null, time);
    }
  }

  private compute(program: ProgramStep, step: OperatorStep, state: EntityState, series: Series): void {
    const { operator } = step;
    const { out, test } = program;
    if (!operator.tiles) operator.compute(series, this.at, out, test?.over(state.columns));
    else if (state.tilesCut) out.status = 'INVALID';
    else operator.tiles.finish(state.sumsOf(step, this.at, series.end), this.at, out);
  }

  /** The frame is not valid outside of this. */
  private bound(from: Micros, until: Micros): void {
    const { frame } = this;
    if (from > frame.from) frame.from = from;
    if (until < frame.until) frame.until = until;
  }

  private expression(program: ProgramStep, { expression, slots }: ExpressionStep): void {
    const { values, statuses, times } = this.frame;
    const { args, ages } = program;
    let status: ValueStatus = 'NULL';
    let time = Number.POSITIVE_INFINITY;
    let stale = false;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] as number;
      const its = statuses[slot] as ValueStatus;
      args[i] = values[slot] as FeatureValue;
      if (GRAVITY[its] > GRAVITY[status]) status = its;
      if (its === 'STALE') stale = true;
      if (ages[i] === true && (times[slot] as number) < time) time = times[slot] as number;
    }
    // What was not read is not what is missing: no `coalesce` stands in for it.
    if (status === 'TIMEOUT') return this.settleAll(program, status, null, Number.NaN);
    const value = expression.evaluate(args);
    if (value !== null) status = stale && this.frame.keepsStale ? 'STALE' : 'PRESENT';
    this.settleAll(program, status, value, time === Number.POSITIVE_INFINITY ? Number.NaN : time);
  }

  private row(program: ProgramStep, step: StaticStep): void {
    let state = this.inputs.states[step.stream];
    let series = this.series[step.stream];
    if (step.key !== undefined) {
      const status = this.frame.statuses[step.key] as ValueStatus;
      const value = this.frame.values[step.key] as FeatureValue;
      if (value === null) return this.settleAll(program, status, null, Number.NaN);
      const key = String(value);
      state = this.inputs.lookup(step.stream, key);
      series = state && this.seriesOf(state, 0);
    }
    if (!state || !series) return this.settleAll(program, 'TIMEOUT', null, Number.NaN);
    if (series.end === series.start) return this.settleAll(program, 'NOT_FOUND', null, Number.NaN);
    const last = series.end - 1;
    this.settleAll(program, 'PRESENT', state.columns.valueAt(step.field, last), series.times[last] as number);
  }

  private isGiven({ slot, width }: PlanStep): boolean {
    const values = this.inputs.given?.values;
    if (!values) return false;
    for (let i = 0; i < width; i++) if (values[slot + i] === undefined) return false;
    return true;
  }

  private settleAll(program: ProgramStep, status: ValueStatus, value: FeatureValue, time: Micros): void {
    const { slot, width } = program.step;
    for (let i = 0; i < width; i++) this.settle(program, slot + i, status, value, time);
  }

  private settle(program: ProgramStep, slot: number, status: ValueStatus, value: FeatureValue, time: Micros): void {
    const { frame } = this;
    frame.values[slot] = value;
    frame.statuses[slot] = status;
    frame.times[slot] = time;
    settle(frame, program, slot);
  }
}
