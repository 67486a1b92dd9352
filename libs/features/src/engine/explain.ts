import type { FeatureValue, ValueStatus } from '../feature-value';
import type { Micros } from '../time';
import type { EntityState } from './entity-state';
import { evaluate, type Inputs } from './evaluate';
import type { Frame } from './frame';
import type { Program } from './program';
import type { Series } from './series';
import { indexAfter } from './series';
import { stepsBehind } from './steps-behind';

/** What one explanation shows at most: the newest events of each step, and its newest tiles. */
const MAX_EVENTS = 100;
const MAX_TILES = 100;

/** Why a feature has its value: its own step first, then all that it was made of. */
export interface Explanation {
  readonly at: Micros;
  readonly feature: string;
  readonly steps: readonly ExplainedStep[];
  /** All values of the view. */
  readonly frame: Frame;
  /** Both as of answers of reads. */
  readonly unread?: 'deadline' | 'failed' | undefined;
  readonly unsettled?: boolean;
}

export interface ExplainedStep {
  readonly name: string;
  readonly kind: 'operator' | 'expression' | 'request' | 'static' | 'moment';
  readonly outputs: readonly ExplainedOutput[];
  /** The operator, or the text of the expression. */
  readonly by?: string;
  /** Names of what an expression or a look-up reads. */
  readonly reads?: readonly string[];
  /** For an operator that is warming up. */
  readonly have?: number;
  readonly need?: number;
  /** How many events the operator was given; `events` shows the newest of them, oldest first. */
  readonly count?: number;
  readonly events?: readonly ExplainedEvent[];
  readonly tiles?: readonly Micros[];
}

export interface ExplainedOutput {
  readonly name: string;
  readonly value: FeatureValue;
  readonly status: ValueStatus;
  readonly eventTime?: Micros;
  readonly given: boolean;
}

export interface ExplainedEvent {
  readonly eventId: string;
  readonly eventTime: Micros;
  readonly ingestedAt: Micros;
  /** Of the fields that the operator reads, in its own order. */
  readonly inputs: readonly FeatureValue[];
  /** The condition of the feature holds; absent: it has none. */
  readonly counts?: boolean;
}

/** Computes the frame anew, without a memo, and tells what led to one of its slots. */
export function explain(program: Program, inputs: Inputs, at: Micros, slot: number): Explanation {
  const frame = evaluate(program, { ...inputs, memo: undefined }, at);
  const { outputs } = program.plan;
  const first = outputs[slot];
  if (!first) throw new RangeError(`no slot ${slot}`);
  const steps = [...stepsBehind(program.plan, [slot])].map((step) => explainStep(program, inputs, frame, step));
  return { at, feature: first.name, steps, frame };
}

function explainStep(program: Program, inputs: Inputs, frame: Frame, index: number): ExplainedStep {
  const { plan } = program;
  const step = plan.steps[index];
  if (!step) throw new RangeError(`no step ${index}`);
  const outputs = plan.outputs.slice(step.slot, step.slot + step.width).map(({ name }, i): ExplainedOutput => {
    const slot = step.slot + i;
    const eventTime = frame.times[slot] ?? Number.NaN;
    return {
      name,
      value: frame.values[slot] ?? null,
      status: frame.statuses[slot] ?? 'NULL',
      ...(!Number.isNaN(eventTime) && { eventTime }),
      given: frame.given?.values[slot] !== undefined,
    };
  });
  const name = step.kind === 'moment' ? 'request_time' : step.feature.name;
  const explained: ExplainedStep = { name, kind: step.kind, outputs };
  const names = (slots: readonly number[]): string[] => slots.map((slot) => plan.outputs[slot]?.name ?? '');
  switch (step.kind) {
    case 'operator':
      return { ...explained, by: step.feature.op, ...explainOperator(program, inputs, frame.at, index) };
    case 'expression':
      return { ...explained, by: step.feature.expression, reads: names(step.slots) };
    case 'static':
      return { ...explained, by: step.feature.table, reads: step.key === undefined ? [] : names([step.key]) };
    case 'request':
    case 'moment':
      return explained;
  }
}

function explainOperator(program: Program, inputs: Inputs, at: Micros, index: number): Partial<ExplainedStep> {
  const { step, out, test } = program.steps[index] ?? {};
  if (step?.kind !== 'operator' || !out) return {};
  const state = inputs.states[step.stream];
  const stream = program.plan.streams[step.stream];
  if (!state || !stream) return {};
  const series = state.series(at, stream.span);
  const { operator } = step;
  if (operator.tiles) {
    const tiles = [...state.tilesOf(step, series.end).startsAt(at)];
    return { tiles: tiles.slice(-MAX_TILES), count: tiles.length };
  }
  operator.compute(series, at, out, test?.over(state.columns));
  const from =
    operator.span > 0
      ? indexAfter(series.times, at - operator.span, series.start, series.end)
      : series.end - operator.history;
  const begin = Math.max(series.start, from);
  const keep = test?.over(state.columns);
  const fields = step.feature.inputs.map((input) => stream.definition.fields.findIndex(({ name }) => name === input));
  return {
    ...(out.status === 'WARMING_UP' && { have: out.have, need: out.need }),
    count: series.end - begin,
    events: eventsOf(state, series, Math.max(begin, series.end - MAX_EVENTS), { fields, keep }),
  };
}

function eventsOf(
  { columns }: EntityState,
  { end }: Series,
  begin: number,
  { fields, keep }: { readonly fields: readonly number[]; readonly keep: ((index: number) => boolean) | undefined },
): ExplainedEvent[] {
  return Array.from({ length: end - begin }, (_, i): ExplainedEvent => {
    const index = begin + i;
    return {
      eventId: columns.idAt(index),
      eventTime: columns.timeAt(index),
      ingestedAt: columns.arrivedAt(index),
      inputs: fields.map((field) => columns.valueAt(field, index)),
      ...(keep && { counts: keep(index) }),
    };
  });
}
