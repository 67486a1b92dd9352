import type { PlanStep, ViewPlan } from '../definitions/view-plan';

/** How much of a field is left in what is made of it, as OpenLineage names it. */
export type Subtype = 'IDENTITY' | 'TRANSFORMATION' | 'AGGREGATION' | 'FILTER' | 'JOIN';

export interface FieldUse {
  readonly stream: string;
  readonly field: string;
  /** Decides which events or rows count, and is not in the value itself. */
  readonly indirect: boolean;
  readonly subtype: Subtype;
}

const STRENGTH: readonly Subtype[] = ['IDENTITY', 'TRANSFORMATION', 'AGGREGATION'];

/** By output that callers may ask for: the fields of streams that it comes from, through whatever other features. */
export function fieldsByOutput(plan: ViewPlan): ReadonlyMap<string, readonly FieldUse[]> {
  const bySteps: ReadonlyMap<string, FieldUse>[] = [];
  for (const step of plan.steps) bySteps.push(usesOf(plan, step, bySteps));
  return new Map(
    plan.outputs
      .filter(({ implicit }) => !implicit)
      .map(({ name, step }) => [name, [...(bySteps[step]?.values() ?? [])]]),
  );
}

function usesOf(
  plan: ViewPlan,
  step: PlanStep,
  before: readonly ReadonlyMap<string, FieldUse>[],
): ReadonlyMap<string, FieldUse> {
  const uses = new Map<string, FieldUse>();
  const use = (one: FieldUse): void => {
    const key = `${one.stream}.${one.field}${one.indirect ? ' indirect' : ''}`;
    const known = uses.get(key);
    if (!known || STRENGTH.indexOf(one.subtype) > STRENGTH.indexOf(known.subtype)) uses.set(key, one);
  };
  const through = (slot: number, change: (one: FieldUse) => FieldUse): void => {
    for (const one of before[plan.outputs[slot]?.step ?? -1]?.values() ?? []) use(change(one));
  };
  switch (step.kind) {
    case 'operator': {
      const { feature, where, stream } = step;
      const subtype = feature.op === 'last' ? 'IDENTITY' : 'AGGREGATION';
      for (const field of feature.inputs) use({ stream: feature.stream, field, indirect: false, subtype });
      for (const index of where?.fields ?? []) {
        const field = plan.streams[stream]?.definition.fields[index]?.name;
        if (field !== undefined) use({ stream: feature.stream, field, indirect: true, subtype: 'FILTER' });
      }
      break;
    }
    case 'expression':
      for (const slot of step.slots)
        through(slot, (one) => (one.subtype === 'IDENTITY' ? { ...one, subtype: 'TRANSFORMATION' } : one));
      break;
    case 'static': {
      const { table, field } = step.feature;
      use({ stream: table, field, indirect: false, subtype: 'IDENTITY' });
      if (step.key !== undefined) through(step.key, (one) => ({ ...one, indirect: true, subtype: 'JOIN' }));
      break;
    }
  }
  return uses;
}
