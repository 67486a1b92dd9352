import type { ViewPlan } from '../definitions/view-plan';
import type { Given } from './frame';

/** The steps that fill these slots, and all that those rest on, each once: nothing where they are given. */
export function stepsBehind(plan: ViewPlan, slots: Iterable<number>, given?: Given): ReadonlySet<number> {
  const seen = new Set<number>();
  const add = (slot: number): void => {
    const output = plan.outputs[slot];
    if (output) seen.add(output.step);
  };
  for (const slot of slots) add(slot);
  for (const index of seen) {
    const step = plan.steps[index];
    if (step === undefined || given?.values[step.slot] !== undefined) continue;
    if (step.kind === 'expression') step.slots.forEach(add);
    else if (step.kind === 'static' && step.key !== undefined) add(step.key);
  }
  return seen;
}
