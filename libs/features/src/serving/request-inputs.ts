import { stepsBehind } from '../engine/steps-behind';
import type { Frame } from '../engine/frame';
import type { SelectedMember, Selection } from './selection';

/** What only a request knows, is behind a member, and was not given: by the names that requests call it. */
export function unansweredInputs(
  { views, members }: Selection,
  member: SelectedMember,
  { statuses }: Frame,
): readonly string[] {
  const plan = views[member.view]?.program.plan;
  if (plan === undefined) return [];
  return [...stepsBehind(plan, [member.slot])].flatMap((index) => {
    const step = plan.steps[index];
    if (step?.kind !== 'request' || step.slot === member.slot || statuses[step.slot] !== 'NOT_FOUND') return [];
    const called = members.find(({ view, slot }) => view === member.view && slot === step.slot);
    const name = called?.name ?? plan.outputs[step.slot]?.name;
    return name === undefined ? [] : [name];
  });
}
