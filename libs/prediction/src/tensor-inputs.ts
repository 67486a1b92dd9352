import { DomainError } from '@sibyl/kernel';
import { decodeNested, type Tensor } from '@sibyl/protocol';
import { checkTensorRules, type JsonObject } from './feature-rows';
import type { InputSpec, ModelContract } from './model-contract';
import { pointerTo, RequestFaults } from './request-faults';

/** Reads `{tensor: nested array}` into the tensors that the model takes, each checked against its declaration and columns. */
export function decodeTensorInputs(contract: ModelContract, inputs: JsonObject, pointer: string): Tensor[] {
  const faults = new RequestFaults();
  const names = contract.inputs.map((input) => input.name);
  for (const name of Object.keys(inputs)) if (!names.includes(name)) faults.unknown(pointer, name, names);
  for (const input of contract.inputs) {
    if (Object.hasOwn(inputs, input.name) && inputs[input.name] !== null) continue;
    faults.add('input_missing', `Input '${input.name}' is missing.`, {
      pointer: pointerTo(pointer, input.name),
      expected: `${input.datatype} ${JSON.stringify(input.shape ?? [])}`,
      received: 'nothing',
    });
  }
  faults.throwIfAny();
  return contract.inputs.map((input, index) => decodeInput(contract, input, index, inputs[input.name], pointer));
}

function decodeInput(
  contract: ModelContract,
  input: InputSpec,
  index: number,
  value: unknown,
  pointer: string,
): Tensor {
  const at = pointerTo(pointer, input.name);
  const tensor = decodeNested(value, input, at, { nullable: contract.nullableColumns[index] ?? (() => false) });
  const slots = contract.slots.filter((slot) => slot.input === index);
  const ruled = slots.some((slot) => slot.rule !== undefined);
  if (ruled) checkTensorRules(tensor, (column) => (slots.length === 1 ? slots[0] : slots[column]), at);
  return tensor;
}

/** Rows of a call: the first dimension that all inputs share; 0 where they share none. Throws for 0 or too many rows. */
export function rowsOf(contract: ModelContract, tensors: readonly Tensor[], rowsMax: number): number {
  const [first] = tensors;
  const rows = first?.shape[0];
  if (rows === undefined || !tensors.every((tensor) => tensor.shape[0] === rows)) return 0;
  const pointer = pointerTo('/inputs', first?.name ?? '');
  if (rows === 0) {
    throw new DomainError('input_shape_mismatch', 'The call has no rows.', {
      faults: [{ pointer, expected: 'at least 1 row', received: '0 rows' }],
    });
  }
  if (rows > rowsMax) {
    throw new DomainError('batch_too_large', `A call may have ${rowsMax} rows; this one has ${rows}.`, {
      faults: [{ pointer, expected: `at most ${rowsMax} rows`, received: `${rows} rows` }],
    });
  }
  return contract.stackable ? rows : 0;
}
