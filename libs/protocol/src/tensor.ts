import type { Datatype, TensorData } from './datatype';

/** What a model declares of a tensor. -1 is a dimension of any size; `shape` is absent where the file says nothing. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape?: readonly number[];
}

/** Row-major elements with their shape. The product of `shape` is the length of `data`. */
export interface Tensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Inputs and outputs of a model, read from its file. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** Elements of a shape; checked against overflow: more than 2^53-1 is NaN. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dimension of shape) count *= dimension;
  return Number.isSafeInteger(count) && count >= 0 ? count : Number.NaN;
}
