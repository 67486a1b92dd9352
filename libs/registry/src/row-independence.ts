import {
  allocate,
  elementCount,
  firstRow,
  sameRows,
  stackRows,
  type ModelSignature,
  type Tensor,
} from '@sibyl/protocol';

/** Runs that tell whether the answer for a row depends on the rows beside it. */
export interface RowProbes {
  /** Rows by themselves, each a run. */
  readonly alone: readonly (readonly Tensor[])[];
  /** The same rows in one run, with strangers behind them. */
  readonly together: readonly Tensor[];
}

const MOST_ROWS = 4;
/** A row beyond it is an image or a long text; a few of them would take more memory than the trial. */
const MOST_ROW_ELEMENTS = 1024 * 1024;
/** Strangers are the rows themselves on another scale, which moves whatever a model takes from all rows: sums, means, ranges. */
const STRANGE = 7;
/** More than kernels for one row and for many differ by, less than quantization by the range of a batch does. */
const RELATIVE = 1e-4;
const ABSOLUTE = 1e-6;

/** Probes made of the first rows of samples; undefined where rows cannot be told apart or there is no sample. */
export function rowProbes(signature: ModelSignature, samples: readonly (readonly Tensor[])[]): RowProbes | undefined {
  if (signature.inputs.length === 0 || !signature.inputs.every((input) => input.shape?.[0] === -1)) return undefined;
  const [first] = samples;
  const fitting = samples.filter((sample) => first !== undefined && hasRows(sample) && sameRows(first, sample));
  const alone = fitting.slice(0, MOST_ROWS).map((sample) => sample.map(firstRow));
  if (alone.length === 0) return undefined;
  const rows = [...alone, ...alone.map((row) => row.map(strange))];
  const together = alone[0]?.map((_, input) => stackRows(rows.map((row) => row[input]) as [Tensor, ...Tensor[]])) ?? [];
  return { alone, together };
}

/** What the outputs of the probes tell; `outputs` are those of `alone`, then that of `together`; undefined: the run failed. */
export function rowsAreIndependent(
  probes: RowProbes,
  outputs: readonly (readonly Tensor[] | undefined)[],
): boolean | undefined {
  const alone = outputs.slice(0, probes.alone.length);
  const together = outputs[probes.alone.length];
  if (alone.some((tensors) => tensors === undefined)) return undefined;
  // What runs row by row and not together is not to be run together.
  if (together === undefined) return false;
  const rows = 2 * probes.alone.length;
  return alone.every((tensors, row) => (tensors ?? []).every((tensor) => agrees(tensor, together, row, rows)));
}

/** A run without a single row; undefined where the first dimension is none of rows. Some operators abort their process on it. */
export function emptyProbe(signature: ModelSignature): readonly Tensor[] | undefined {
  const rowShapes = signature.inputs.map(({ shape }) => (shape?.[0] === -1 ? shape.slice(1) : [-1]));
  if (rowShapes.length === 0 || rowShapes.some((shape) => shape.some((size) => size < 0))) return undefined;
  return signature.inputs.map(({ name, datatype }, input) => {
    return { name, datatype, shape: [0, ...(rowShapes[input] ?? [])], data: allocate(datatype, 0) };
  });
}

function hasRows(sample: readonly Tensor[]): boolean {
  return sample.every(
    ({ shape }) => (shape[0] ?? 0) >= 1 && shape.length > 0 && elementCount(shape.slice(1)) <= MOST_ROW_ELEMENTS,
  );
}

function strange(tensor: Tensor): Tensor {
  const { datatype, data } = tensor;
  if (datatype !== 'FP32' && datatype !== 'FP64') return tensor;
  return { ...tensor, data: (data as Float64Array).map((value) => STRANGE * value) };
}

/** Whether row `row` of the run together is what the row gave alone. */
function agrees(alone: Tensor, together: readonly Tensor[], row: number, rows: number): boolean {
  const tensor = together.find(({ name }) => name === alone.name);
  const size = alone.data.length;
  // An output without a row for each row asked is made of all of them.
  if (tensor === undefined || tensor.shape[0] !== rows || tensor.data.length !== rows * size) return false;
  for (let i = 0; i < size; i++) if (!near(alone.data[i], tensor.data[row * size + i])) return false;
  return true;
}

function near(a: unknown, b: unknown): boolean {
  if (typeof a !== 'number' || typeof b !== 'number') return a === b;
  return Object.is(a, b) || Math.abs(a - b) <= ABSOLUTE + RELATIVE * Math.abs(a);
}
