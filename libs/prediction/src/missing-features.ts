/** Hot path. See docs/paths/predict.md. */
import type { FeatureSlot } from './model-contract';
import { pointerTo, RequestFaults } from './request-faults';

/** Values for what a request left out, in the contract's order: the feature service, the default, NaN; else an error naming all. */
export function fillMissing(
  missing: readonly FeatureSlot[],
  known: ReadonlyMap<string, unknown> | undefined,
  pointer: string,
): { values: Record<string, unknown>; defaulted: string[] } {
  const values: Record<string, unknown> = {};
  const defaulted: string[] = [];
  let faults: RequestFaults | undefined;
  for (const slot of missing) {
    const value = known?.get(slot.name);
    if (value !== undefined) values[slot.name] = value;
    else if (slot.defaultValue !== undefined) {
      values[slot.name] = slot.defaultValue;
      defaulted.push(slot.name);
    } else if (slot.mayBeAbsent) values[slot.name] = null;
    else {
      const names = missing
        .filter(
          (other) => known?.get(other.name) === undefined && other.defaultValue === undefined && !other.mayBeAbsent,
        )
        .map((other) => other.name);
      (faults ??= new RequestFaults()).add(
        'incomplete_features',
        `Missing features: ${names.slice(0, 64).join(', ')}.`,
        {
          pointer: pointerTo(pointer, slot.name),
          expected: slot.datatype,
          received: 'nothing',
        },
      );
    }
  }
  faults?.throwIfAny();
  return { values, defaulted };
}
