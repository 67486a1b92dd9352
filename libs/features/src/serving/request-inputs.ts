import type { Frame } from '../engine/frame';
import { stepsBehind } from '../engine/steps-behind';
import type { ValueStatus } from '../feature-value';
import type { SelectedMember, Selection } from './selection';

/** What only a request knows, and has no value. */
export interface LackingInput {
  readonly slot: number;
  /** What requests call it. */
  readonly name: string;
  readonly status: ValueStatus;
  readonly required: boolean;
}

/** What only a request knows, is behind a member, and has no value: not what stands behind something that was given. */
export function lackingInputs(
  { views, members }: Selection,
  member: Pick<SelectedMember, 'view' | 'slot'>,
  { statuses, given }: Frame,
): readonly LackingInput[] {
  const plan = views[member.view]?.program.plan;
  if (plan === undefined) return [];
  return [...stepsBehind(plan, [member.slot], given)].flatMap((index): LackingInput[] => {
    const step = plan.steps[index];
    if (step?.kind !== 'request' || step.slot === member.slot) return [];
    const { slot, feature } = step;
    const status = statuses[slot] as ValueStatus;
    const called = members.find((one) => one.view === member.view && one.slot === slot);
    const name = called?.name ?? plan.outputs[slot]?.name;
    return name === undefined || hasValue(status) ? [] : [{ slot, name, status, required: feature.required }];
  });
}

/** Whether a prediction rests on something that requests have to give, and one of these has no value. */
export function lacksRequired({ programs }: Selection, frames: readonly Frame[]): boolean {
  return programs.some(({ required }, view) =>
    required.some((slot) => !hasValue(frames[view]?.statuses[slot] ?? 'TIMEOUT')),
  );
}

function hasValue(status: ValueStatus): boolean {
  return status === 'PRESENT' || status === 'DEFAULTED';
}
