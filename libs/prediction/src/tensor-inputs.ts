/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import { decodeNested, ReadNested, type Tensor } from '@sibyl/protocol';
import { checkTensorRules, type JsonObject } from './feature-rows';
import type { InputSpec, ModelContract } from './model-contract';
import { pointerTo, RequestFaults } from './request-faults';
import type { ServedVersion } from './served-version';

/** Reads `{tensor: nested array}` into the tensors that the model takes, each checked against its declaration and columns. */
export function decodeTensorInputs(contract: ModelContract, inputs: JsonObject, pointer: string): Tensor[] {
  if (!hasExactly(contract, inputs)) throw namingFaults(contract, inputs, pointer).error();
  return contract.inputs.map((input, index) => decodeInput(contract, input, index, inputs[input.name], pointer));
}

/** Whether the members are the inputs of the model, no more and no less: what nearly every request has. */
function hasExactly(contract: ModelContract, inputs: JsonObject): boolean {
  for (const input of contract.inputs) if (!isGiven(inputs, input.name)) return false;
  return Object.keys(inputs).length === contract.inputs.length;
}

function isGiven(inputs: JsonObject, name: string): boolean {
  return Object.hasOwn(inputs, name) && inputs[name] !== null;
}

function namingFaults(contract: ModelContract, inputs: JsonObject, pointer: string): RequestFaults {
  const faults = new RequestFaults();
  faults.unknown(pointer, Object.keys(inputs), new Set(contract.inputs.map((input) => input.name)));
  for (const input of contract.inputs) {
    if (isGiven(inputs, input.name)) continue;
    faults.add('input_missing', `Input '${input.name}' is missing.`, {
      pointer: pointerTo(pointer, input.name),
      expected: `${input.datatype} ${JSON.stringify(input.shape ?? [])}`,
      received: 'nothing',
    });
  }
  return faults;
}

function decodeInput(
  contract: ModelContract,
  input: InputSpec,
  index: number,
  value: unknown,
  pointer: string,
): Tensor {
  const at = pointerTo(pointer, input.name);
  const tensor = decodeNested(value, input, at, { nullable: contract.nullableColumns[index] ?? never });
  if (contract.ruled[index] && !(value instanceof ReadNested))
    checkTensorRules(tensor, contract.inputSlots[index] ?? [], at);
  return tensor;
}

function never(): boolean {
  return false;
}

/** Rows of a call: the first dimension that all inputs share; 0 where they share none. Throws for too many, and for none where that is no call. */
export function rowsOf(
  served: Pick<ServedVersion, 'contract' | 'answersNoRows' | 'fixedBatch'>,
  tensors: readonly Tensor[],
  rowsMax: number,
): number {
  const [first] = tensors;
  const rows = first?.shape[0];
  if (first === undefined || rows === undefined) return 0;
  for (const tensor of tensors) if (tensor.shape[0] !== rows) return 0;
  if (rows > rowsMax || (rows === 0 && !served.answersNoRows))
    throw wrongRows(rows, rowsMax, pointerTo('/inputs', first.name));
  return served.contract.stackable || served.fixedBatch !== undefined ? rows : 0;
}

function wrongRows(rows: number, rowsMax: number, pointer: string): DomainError {
  if (rows === 0) {
    return new DomainError('input_shape_mismatch', 'The call has no rows.', {
      faults: [{ pointer, expected: 'at least 1 row', received: '0 rows' }],
    });
  }
  return new DomainError('batch_too_large', `A call may have ${rowsMax} rows; this one has ${rows}.`, {
    faults: [{ pointer, expected: `at most ${rowsMax} rows`, received: `${rows} rows` }],
  });
}
