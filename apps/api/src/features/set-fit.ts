import type { SelectedMember, SetSelection } from '@sibyl/features';
import type { FieldFault } from '@sibyl/kernel';
import { pointerTo, type FeatureSlot, type ModelContract } from '@sibyl/prediction';
import { hasNaN } from '@sibyl/protocol';

/** Why a set can never fill the features of a model: each member needs one, of a type that takes its values. */
export function misfits({ slots }: ModelContract, { members }: SetSelection): FieldFault[] {
  return members.flatMap((member, i) => {
    const slot = slots.find(({ name }) => name === member.name);
    const fault = slot ? unfit(slot, member) : { expected: 'a feature of the model', received: member.name };
    return fault ? [{ pointer: pointerTo('/features', String(i)), ...fault }] : [];
  });
}

/** Why a set that fits cannot serve the model by itself: what it leaves out, and what its policy would pass on to a model that takes no null. */
export function gaps({ slots }: ModelContract, { members, set, views }: SetSelection): FieldFault[] {
  const called = new Map(members.map((member, i) => [member.name, { member, i }]));
  return slots.flatMap((slot): FieldFault[] => {
    // A list is nothing that a set can have.
    if (slot.defaultValue !== undefined || slot.shape.length > 0) return [];
    const found = called.get(slot.name);
    if (found === undefined) {
      if (slot.mayBeAbsent) return [];
      return [{ pointer: '/features', expected: `a member '${slot.name}', which the model cannot do without` }];
    }
    const { member, i } = found;
    // Whoever asks has it, and is told where it is missing; and what has a default is not null.
    const told = member.required || member.source === 'request';
    if (slot.nullable || told || member.default !== undefined) return [];
    const { features } = views[member.view]?.view ?? { features: [] };
    const ages = features.some(({ name, ttl }) => ttl !== undefined && member.feature.split('.')[0] === name);
    const policies = [set.onMissing === 'null' && 'on_missing', set.onStale === 'null' && ages && 'on_stale'];
    const pointer = pointerTo('/features', String(i));
    return policies.flatMap((policy) =>
      policy === false
        ? []
        : [{ pointer, expected: `'${slot.name}' to be nullable or to have a default, as ${policy} is null` }],
    );
  });
}

/** Why a member cannot fill a feature; undefined where it can. Truth is 1 or 0 to a model of numbers. */
function unfit(
  { name, datatype, shape }: FeatureSlot,
  { type }: SelectedMember,
): Omit<FieldFault, 'pointer'> | undefined {
  if (shape.length > 0)
    return { expected: `one value for '${name}'`, received: `a feature of shape [${shape.join(', ')}]` };
  const fits =
    type === 'string' || datatype === 'BYTES'
      ? type === 'string' && datatype === 'BYTES'
      : type === 'bool' || (datatype !== 'BOOL' && (type === 'int' || hasNaN(datatype)));
  return fits ? undefined : { expected: `a feature that takes ${type}`, received: `'${name}' of ${datatype}` };
}
