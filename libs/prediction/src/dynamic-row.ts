import { DomainError } from '@sibyl/kernel';
import { allocate, decodeNested, elementCount, ReadNested, type Tensor } from '@sibyl/protocol';
import { checkTensorRules, type JsonObject } from './feature-rows';
import type { FeatureSlot, InputSpec, ModelContract } from './model-contract';
import { pointerTo, RequestFaults } from './request-faults';

/**
 * One row for a model whose rows have no fixed size: each feature is a nested array, and features that share an input by
 * columns must agree in their dimensions. `supply` is asked for what the feature service or the manifest knows once all that the
 * request gives was read: a name that nobody knows is often why others have no value. Of what both have it goes by `supply`.
 */
export function decodeDynamicRow(
  contract: ModelContract,
  features: JsonObject,
  supply: () => JsonObject,
  pointer: string,
  extra?: ReadonlySet<string>,
): Tensor[] {
  const faults = new RequestFaults();
  const names = Object.keys(features);
  faults.unknown(pointer, names, extra ? new Set([...contract.slotNames, ...extra]) : contract.slotNames);
  faults.throwIfAny();
  const given = new Map<FeatureSlot, Tensor>();
  for (const slot of contract.slots)
    if (Object.hasOwn(features, slot.name)) given.set(slot, decodePart(slot, features[slot.name], pointer));
  const supplied = supply();
  return contract.inputs.map((input, index) => {
    const slots = contract.slots.filter((slot) => slot.input === index);
    const parts = slots.map((slot) => {
      const part = Object.hasOwn(supplied, slot.name) ? undefined : given.get(slot);
      return part ?? decodePart(slot, supplied[slot.name], pointer);
    });
    return input.columns === undefined ? whole(input, parts[0]) : interleaved(input, parts, pointer);
  });
}

function decodePart(slot: FeatureSlot, value: unknown, pointer: string): Tensor {
  const at = pointerTo(pointer, slot.name);
  const tensor = decodeNested(value, { name: slot.name, datatype: slot.datatype, shape: slot.shape }, at, {
    nullable: () => slot.nullable,
  });
  if (!(value instanceof ReadNested)) checkTensorRules(tensor, [slot], at);
  return tensor;
}

function whole(input: InputSpec, part: Tensor | undefined): Tensor {
  const row = part ?? { shape: [], data: allocate(input.datatype, 1) };
  // A single number for an input of [N,1] fills its one column.
  const shape = row.shape.length === 0 && (input.shape?.length ?? 1) === 2 ? [1] : row.shape;
  return { name: input.name, datatype: input.datatype, shape: [1, ...shape], data: row.data };
}

function interleaved(input: InputSpec, parts: readonly Tensor[], pointer: string): Tensor {
  const [first] = parts;
  const shape = first?.shape ?? [];
  const size = elementCount(shape);
  const data = allocate(input.datatype, size * parts.length);
  parts.forEach((part, column) => {
    if (part.data.length !== size) {
      throw new DomainError(
        'input_shape_mismatch',
        `Feature '${part.name}' has ${part.data.length} values and '${first?.name ?? ''}' ${size}.`,
        {
          faults: [
            {
              pointer: pointerTo(pointer, part.name),
              expected: `${size} values`,
              received: `${part.data.length} values`,
            },
          ],
        },
      );
    }
    for (let k = 0; k < size; k++) data[k * parts.length + column] = part.data[k] as number;
  });
  return { name: input.name, datatype: input.datatype, shape: [1, ...shape, parts.length], data };
}
