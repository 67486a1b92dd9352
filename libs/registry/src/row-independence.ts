import {
  allocate,
  elementCount,
  firstRow,
  sameRows,
  stackRows,
  type Datatype,
  type ModelSignature,
  type Tensor,
  type TensorSpec,
} from '@sibyl/protocol';

/** Runs that tell whether the answer for a row depends on the rows beside it. */
export interface RowProbes {
  /** Rows by themselves, each a run. */
  readonly alone: readonly (readonly Tensor[])[];
  /** The same rows in one run. */
  readonly together: readonly Tensor[];
  /** Where a run takes so many rows and no others: those alone are repeated, and those together come again. */
  readonly batch?: number;
}

const MOST_ROWS = 4;
/** A row beyond it is an image or a long text; a few of them would take more memory than the trial. */
const MOST_ROW_ELEMENTS = 1024 * 1024;
/** Thirty-two pictures of 3×224×224 have 4.8 million. */
const MOST_BATCH_ELEMENTS = 8 * 1024 * 1024;
/** Strangers are on another scale, which moves whatever a model takes from all rows: sums, means, ranges. */
const STRANGE = 7;
/** More than kernels for one row and for many differ by, less than quantization by the range of a batch does. */
const RELATIVE = 1e-4;
const ABSOLUTE = 1e-6;

/** Probes made of the first rows of samples, or of rows that are made up; undefined where rows cannot be told apart. */
export function rowProbes(signature: ModelSignature, samples: readonly (readonly Tensor[])[]): RowProbes | undefined {
  const size = signature.inputs[0]?.shape?.[0];
  // A single row cannot depend on others.
  if (size === undefined || size === 0 || size === 1) return undefined;
  if (!signature.inputs.every((input) => input.shape?.[0] === size)) return undefined;
  const [first] = samples;
  const fitting = samples.filter((sample) => first !== undefined && hasRows(sample) && sameRows(first, sample));
  const given = fitting.slice(0, MOST_ROWS).map((sample) => sample.map(firstRow));
  const known = given.length > 0 ? given : [madeUpRow(signature)].filter(hasRows);
  const rows = [...known, ...known.map((row) => row.map(strange))];
  if (known.length === 0) return undefined;
  if (size < 0) return { alone: rows, together: stacked(rows) };
  const few = rows.slice(0, size);
  const alone = few.map((row) => stacked(Array.from({ length: size }, () => row)));
  return { alone, together: stacked(Array.from({ length: size }, (_, i) => few[i % few.length] ?? [])), batch: size };
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
  const rows = probes.batch ?? probes.alone.length;
  const one = (tensor: Tensor): Tensor => (tensor.shape[0] === probes.batch ? firstRow(tensor) : tensor);
  return alone.every((tensors, row) => (tensors ?? []).every((tensor) => agrees(one(tensor), together, row, rows)));
}

/** Batches of the first row of a sample, or of one that is made up; none where rows cannot be told apart or are too large. */
export function rowBatches({ alone: [row], batch }: RowProbes, sizes: readonly number[]): (readonly Tensor[])[] {
  const elements = row?.reduce((sum, { data }) => sum + data.length, 0) ?? 0;
  // A file that fixes its batch takes no others.
  if (!row || batch !== undefined) return [];
  const fitting = sizes.filter((size) => size * elements <= MOST_BATCH_ELEMENTS);
  return fitting.map((size) =>
    row.map((tensor) => stackRows(Array.from({ length: size }, () => tensor) as [Tensor, ...Tensor[]])),
  );
}

/** A run without a single row; undefined where the first dimension is none of rows. Some operators abort their process on it. */
export function emptyProbe(signature: ModelSignature): readonly Tensor[] | undefined {
  const rowShapes = signature.inputs.map(({ shape }) => (shape?.[0] === -1 ? shape.slice(1) : [-1]));
  if (rowShapes.length === 0 || rowShapes.some((shape) => shape.some((size) => size < 0))) return undefined;
  return signature.inputs.map(({ name, datatype }, input) => {
    return { name, datatype, shape: [0, ...(rowShapes[input] ?? [])], data: allocate(datatype, 0) };
  });
}

function stacked(rows: readonly (readonly Tensor[])[]): Tensor[] {
  return (rows[0] ?? []).map((_, input) => stackRows(rows.map((row) => row[input]) as [Tensor, ...Tensor[]]));
}

function hasRows(sample: readonly Tensor[]): boolean {
  return sample.every(
    ({ shape }) => (shape[0] ?? 0) >= 1 && shape.length > 0 && elementCount(shape.slice(1)) <= MOST_ROW_ELEMENTS,
  );
}

/** One run of any model with inputs that are made up; undefined where they would be too large to be made. */
export function madeUpProbe({ inputs }: ModelSignature): readonly Tensor[] | undefined {
  const shapes = inputs.map(({ shape = [] }) => shape.map((size) => (size < 0 ? 1 : size)));
  if (!shapes.every(isMakeable)) return undefined;
  return inputs.map((input, i) => madeUp(input, shapes[i] ?? []));
}

/** Dimensions of any size have one element. */
function madeUpRow({ inputs }: ModelSignature): Tensor[] {
  return inputs.map((input) => {
    const rowShape = (input.shape ?? []).map((size, axis) => (axis === 0 || size < 0 ? 1 : size));
    // Too large to be tried, and so not to be made.
    return madeUp(input, isMakeable(rowShape) ? rowShape : [0]);
  });
}

// What overflows has no count.
function isMakeable(shape: readonly number[]): boolean {
  return elementCount(shape) <= MOST_ROW_ELEMENTS;
}

/** Numbers that are none of zero and one, which many a model treats like nothing. */
function madeUp({ name, datatype }: TensorSpec, shape: readonly number[]): Tensor {
  return strange({ name, datatype, shape, data: allocate(datatype, elementCount(shape)) });
}

/** Another value for each element, of a kind that a model for the first will likely take: indices are near each other. */
function strange(tensor: Tensor): Tensor {
  const { datatype, data } = tensor;
  if (Array.isArray(data)) return { ...tensor, data: data.map((text) => `${text}x`) };
  const other = data.slice();
  for (let i = 0; i < other.length; i++) other[i] = strangeElement(datatype, data[i] ?? 0, i) as never;
  return { ...tensor, data: other };
}

function strangeElement(datatype: Datatype, value: number | bigint, at: number): number | bigint {
  if (typeof value === 'bigint') return value > 0n ? value - 1n : value + 1n;
  if (datatype === 'FP32' || datatype === 'FP64') return STRANGE * value + Math.sin(at + 1);
  if (datatype === 'BOOL') return 1 - value;
  // Raw halves: some number from one, then a quarter of it, or four times.
  if (datatype === 'FP16') return value === 0 ? 0x3c00 + (at % 64) : value ^ 0x0800;
  return value > 0 ? value - 1 : value + 1;
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
