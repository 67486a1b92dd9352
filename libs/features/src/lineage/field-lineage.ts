import type { StreamDefinition } from '../definitions/feature-view';
import type { PlanStep, ViewPlan } from '../definitions/view-plan';

/** How much of a field is left in what is made of it, as OpenLineage names it. */
export type Subtype =
  'IDENTITY' | 'TRANSFORMATION' | 'AGGREGATION' | 'FILTER' | 'JOIN' | 'WINDOW' | 'GROUP_BY' | 'SORT';

export interface FieldUse {
  readonly stream: string;
  /** Of the stream, or what events have beside their fields: `timeColumn`, `keyColumn`. */
  readonly field: string;
  /** Decides which events or rows count, and is not in the value itself. */
  readonly indirect: boolean;
  readonly subtype: Subtype;
}

const STRENGTH: readonly Subtype[] = ['IDENTITY', 'TRANSFORMATION', 'AGGREGATION'];

/** When an event happened, as a column beside the fields of its stream: `event_time`, unless a field is called so. */
export function timeColumn(stream: StreamDefinition): string {
  return besideFields('event_time', stream);
}

/** Whose event it is: `entity`. */
export function keyColumn(stream: StreamDefinition): string {
  return besideFields('entity', stream);
}

/** Names of fields begin with a letter. */
function besideFields(name: string, { fields }: StreamDefinition): string {
  return fields.some((field) => field.name === name) ? `_${name}` : name;
}

/** What all outputs depend on: the events of a key, in the order of their times; of a table that is looked up, the row of a key. */
export function usesOfAll({ streams }: ViewPlan): readonly FieldUse[] {
  return streams.flatMap(({ definition, keyed }): FieldUse[] => {
    const use = { stream: definition.name, indirect: true };
    return [
      { ...use, field: keyColumn(definition), subtype: keyed ? 'JOIN' : 'GROUP_BY' },
      { ...use, field: timeColumn(definition), subtype: 'SORT' },
    ];
  });
}

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
    const key = `${one.stream}.${one.field}${one.indirect ? ` by ${one.subtype}` : ''}`;
    const known = uses.get(key);
    if (!known || STRENGTH.indexOf(one.subtype) > STRENGTH.indexOf(known.subtype)) uses.set(key, one);
  };
  const through = (slot: number, change: (one: FieldUse) => FieldUse): void => {
    for (const one of before[plan.outputs[slot]?.step ?? -1]?.values() ?? []) use(change(one));
  };
  switch (step.kind) {
    case 'operator':
      for (const one of operatorUses(plan, step)) use(one);
      break;
    case 'expression':
      for (const slot of step.slots)
        through(slot, (one) => (one.subtype === 'IDENTITY' ? { ...one, subtype: 'TRANSFORMATION' } : one));
      break;
    case 'request':
    case 'moment':
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

function operatorUses(
  plan: ViewPlan,
  { feature, where, stream: index }: Extract<PlanStep, { kind: 'operator' }>,
): readonly FieldUse[] {
  const { stream, inputs, op, window } = feature;
  const subtype = op === 'last' ? 'IDENTITY' : 'AGGREGATION';
  const definition = plan.streams[index]?.definition;
  if (!definition) return [];
  const { fields } = definition;
  const time = { stream, field: timeColumn(definition) };
  const conditions = where?.fields.flatMap((field) => fields[field]?.name ?? []) ?? [];
  return [
    ...inputs.map((field): FieldUse => ({ stream, field, indirect: false, subtype })),
    ...(op === 'time_since_last' ? [{ ...time, indirect: false, subtype } as const] : []),
    ...conditions.map((field): FieldUse => ({ stream, field, indirect: true, subtype: 'FILTER' })),
    ...(window && 'span' in window ? [{ ...time, indirect: true, subtype: 'WINDOW' } as const] : []),
  ];
}
