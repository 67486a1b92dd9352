import type { PlanStep, ViewPlan } from '../definitions/view-plan';
import type { FeatureValue } from '../feature-value';
import type { Computed } from '../operators/operator';
import type { Micros } from '../time';
import { EventTest } from './event-condition';
import { needOf, type StreamNeed } from './stream-need';
import { unbounded, type Bounds } from './window-bounds';

/** One step with the room it works in, so that evaluating it allocates nothing. */
export interface ProgramStep {
  readonly index: number;
  readonly step: PlanStep;
  readonly out: Computed;
  /** Values of the variables of an expression. */
  readonly args: FeatureValue[];
  /** Whether the age of each variable is one of the expression's: rows of tables have ages of their own. */
  readonly ages: readonly boolean[];
  readonly test: EventTest | undefined;
  /** The moments at which an operator comes to the same, of the same events. */
  readonly bounds: Bounds;
  readonly ttl: Micros | undefined;
  /** The shortest age after which a rule asks again. */
  readonly maxAge: Micros | undefined;
}

/** Values that a list counts as; it has at most ten times as many. */
const LIST_WEIGHT = 100;

let programs = 0;

/** A plan ready to run. One evaluation at a time: they share its room, and none of them waits. */
export class Program {
  /** Tells programs of one process apart. */
  readonly id = ++programs;
  readonly steps: readonly ProgramStep[];
  /** Those that come to the same until an event comes, counts no more or leaves a window: what they came to can be kept. */
  readonly calm: readonly ProgramStep[];
  /** Those that change with each moment or look up rows of tables by values, and all that is made of them. */
  readonly restless: readonly ProgramStep[];
  /** Of the first stream whose events are the entity's own. */
  readonly home: StreamNeed | undefined;
  /** Rows of tables are looked up by values. */
  readonly keyed: boolean;
  /** Streams whose events are the entity's own. */
  readonly ownStreams: number;
  /** Slots whose values may weigh more than a number: texts and lists. */
  readonly heavy: readonly number[];
  /** A read may leave more behind than numbers: texts, lists, sums of tiles. */
  readonly weighs: boolean;
  /** Names to slots, of what callers may ask for or give. */
  readonly slots: ReadonlyMap<string, number>;

  /** What one row comes to, in values. */
  readonly weight: number;
  /** Slots of what requests have to give. */
  readonly required: readonly number[];
  private readonly needs: readonly StreamNeed[];

  constructor(readonly plan: ViewPlan) {
    this.keyed = plan.streams.some((stream) => stream.keyed);
    this.ownStreams = plan.streams.filter((stream) => !stream.keyed).length;
    this.needs = plan.streams.map((_, i) => needOf(plan, i));
    this.home = this.needs[plan.streams.findIndex((stream) => !stream.keyed)];
    this.steps = plan.steps.map((step, index) => programStep(plan, step, index));
    const restless = restlessSteps(plan);
    this.calm = this.steps.filter(({ index }) => !restless.has(index));
    this.restless = this.steps.filter(({ index }) => restless.has(index));
    this.weight = plan.outputs.reduce((sum, _, slot) => sum + this.weightOf(slot), 0);
    this.heavy = plan.outputs.flatMap(({ type, list }, slot) => (list || type === 'string' ? [slot] : []));
    this.weighs = this.heavy.length > 0 || plan.streams.some(({ tiles }) => tiles.length > 0);
    this.required = plan.steps.flatMap((step) => (step.kind === 'request' && step.feature.required ? [step.slot] : []));
    this.slots = new Map(plan.outputs.flatMap(({ name, implicit }, slot) => (implicit ? [] : [[name, slot] as const])));
  }

  /** What the value of one slot comes to, in values. */
  weightOf(slot: number): number {
    return this.plan.outputs[slot]?.list === true ? LIST_WEIGHT : 1;
  }

  /** What this plan alone needs of a stream. */
  needOf(stream: number): StreamNeed {
    return this.needs[stream] as StreamNeed;
  }
}

function programStep(plan: ViewPlan, step: PlanStep, index: number): ProgramStep {
  const feature = step.kind === 'moment' ? undefined : step.feature;
  const ages = feature?.rules.flatMap(({ maxAge }) => (maxAge === undefined ? [] : [maxAge])) ?? [];
  return {
    index,
    step,
    out: { values: new Array<FeatureValue>(step.width).fill(null), status: 'NULL', have: 0, need: 0 },
    args: step.kind === 'expression' ? step.slots.map(() => null) : [],
    ages: step.kind === 'expression' ? step.slots.map((slot) => comesFromStream(plan, slot)) : [],
    test: step.kind === 'operator' && step.where ? new EventTest(step.where) : undefined,
    bounds: unbounded(),
    ttl: feature?.ttl,
    maxAge: ages.length > 0 ? Math.min(...ages) : undefined,
  };
}

function comesFromStream({ outputs, steps, streams }: ViewPlan, slot: number): boolean {
  const step = steps[outputs[slot]?.step ?? -1];
  if (step?.kind === 'operator') return streams[step.stream]?.definition.table !== true;
  return step?.kind === 'expression';
}

/** By their index. */
function restlessSteps({ steps, outputs }: ViewPlan): ReadonlySet<number> {
  const restless = new Set<number>();
  const isRestless = (slot: number): boolean => restless.has(outputs[slot]?.step ?? -1);
  for (const [index, step] of steps.entries()) {
    const itself =
      step.kind === 'moment' ||
      (step.kind === 'operator' && step.operator.timed) ||
      (step.kind === 'static' && step.key !== undefined) ||
      (step.kind === 'expression' && step.slots.some(isRestless));
    if (itself) restless.add(index);
  }
  return restless;
}
