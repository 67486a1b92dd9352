import { allocate, elementCount, type Tensor } from '@sibyl/protocol';
import type { ModelContract } from './model-contract';

const BUCKETS = [1, 8, 32];

/** Zeros in every batch size that the runtime prepares for: the first run of a size is many times slower than the next. */
export function warmupTensors(contract: ModelContract): Tensor[][] {
  const rows = contract.stackable ? BUCKETS : [1];
  return rows.map((count) =>
    contract.inputs.map((input) => {
      // A dimension of unknown size is tried with one element.
      const shape = (input.shape ?? []).map((size, axis) => (size >= 0 ? size : axis === 0 ? count : 1));
      return { name: input.name, datatype: input.datatype, shape, data: allocate(input.datatype, elementCount(shape)) };
    }),
  );
}
