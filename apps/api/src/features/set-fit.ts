import type { SelectedMember, SetSelection } from '@sibyl/features';
import { DomainError, type FieldFault } from '@sibyl/kernel';
import { pointerTo, type FeatureSlot, type ServedVersion } from '@sibyl/prediction';
import { hasNaN } from '@sibyl/protocol';

/** Throws where a version cannot be served by its set: it has to have a feature for each member, of a type that takes its values. */
export function requireFit({ contract, model, version }: ServedVersion, { members, reference }: SetSelection): void {
  const faults: FieldFault[] = [];
  members.forEach((member, i) => {
    const slot = contract.slots.find(({ name }) => name === member.name);
    const fault = slot ? unfit(slot, member) : { expected: 'a feature of the model', received: member.name };
    if (fault) faults.push({ pointer: pointerTo('/features', String(i)), ...fault });
  });
  if (faults.length === 0) return;
  const detail = `Feature set ${reference.slice(0, 96)} does not fit version ${version} of model '${model}'.`;
  throw new DomainError('version_not_servable', detail, { faults: faults.slice(0, 64) });
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
