import type { ModelSignature, Tensor, TensorSpec } from '@sibyl/protocol';

/** What outputs really came to over all samples: dimensions in which samples differ are -1. */
export function observeOutputs(answers: readonly (readonly Tensor[])[]): readonly TensorSpec[] {
  const seen = new Map<string, TensorSpec>();
  for (const tensor of answers.flat()) {
    const before = seen.get(tensor.name);
    const shape =
      before?.shape && before.shape.length === tensor.shape.length ? merged(before.shape, tensor.shape) : undefined;
    if (!before) seen.set(tensor.name, { name: tensor.name, datatype: tensor.datatype, shape: tensor.shape });
    else seen.set(tensor.name, { name: tensor.name, datatype: tensor.datatype, ...(shape ? { shape } : {}) });
  }
  return [...seen.values()];
}

/**
 * The file's signature with outputs as wide as they really are. Converters declare a label as [1] that has one element a row,
 * or [N] for [N,1]; the runtime enforces the shapes of inputs, so those stay.
 */
export function widenedSignature(declared: ModelSignature, observed: readonly TensorSpec[]): ModelSignature {
  const stackable = declared.inputs.length > 0 && declared.inputs.every((input) => input.shape?.[0] === -1);
  const outputs = declared.outputs.map((output): TensorSpec => {
    const actual = observed.find((spec) => spec.name === output.name);
    const shape = widenedShape(output.shape, actual?.shape, stackable);
    return { name: output.name, datatype: actual?.datatype ?? output.datatype, ...(shape ? { shape } : {}) };
  });
  return { inputs: declared.inputs, outputs };
}

function widenedShape(
  declared: readonly number[] | undefined,
  actual: readonly number[] | undefined,
  stackable: boolean,
): readonly number[] | undefined {
  const shape = actual && declared?.length === actual.length ? merged(declared, actual) : (actual ?? declared);
  // One row in, one row out: where every input takes any number of rows, a first dimension of 1 only says what was exported.
  return stackable && shape && shape[0] === 1 ? [-1, ...shape.slice(1)] : shape;
}

function merged(a: readonly number[], b: readonly number[]): number[] {
  return a.map((size, i) => (size === b[i] ? size : -1));
}
