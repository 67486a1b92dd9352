import { DomainError } from '@sibyl/kernel';
import { allocate, type Datatype, type TensorData } from './datatype';
import { elementWriter, hasNaN, writeNaN, type ElementFault, type ElementWriter } from './element';
import { float16ToNumber } from './float16';
import { elementCount, type Tensor, type TensorSpec } from './tensor';

export interface DecodeOptions {
  /** Whether `null` (a missing value, NaN) is allowed in this column, an index into the last dimension; default: everywhere. */
  readonly nullable?: (column: number) => boolean;
  /** Read "Infinity" and "-Infinity", as outputs have them; inputs may not. */
  readonly infinities?: boolean;
  /** The most elements that one tensor may have. */
  readonly maxElements?: number;
}

const RANK_MAX = 32;
const ELEMENTS_MAX = 16 * 1024 * 1024;

/**
 * Reads nested JSON arrays (a scalar for rank 0) into a tensor in one pass. Throws input_shape_mismatch, input_type_mismatch,
 * input_out_of_range, non_finite_input, input_missing or batch_too_large with a pointer to the first bad element.
 */
export function decodeNested(value: unknown, spec: TensorSpec, pointer: string, options: DecodeOptions = {}): Tensor {
  if (value instanceof ReadNested) return value.tensor();
  const reading = new NestedReading(value, spec, pointer, options);
  reading.read(Number.POSITIVE_INFINITY);
  return reading.tensor;
}

/** Nested arrays that were read before, in slices; stands in a request where they stood. What was wrong is thrown by whoever asks. */
export class ReadNested {
  constructor(private readonly outcome: Tensor | Error) {}

  tensor(): Tensor {
    if (this.outcome instanceof Error) throw this.outcome;
    return this.outcome;
  }
}

function countOf(shape: readonly number[], spec: TensorSpec, pointer: string, options: DecodeOptions): number {
  const count = elementCount(shape);
  const most = options.maxElements ?? ELEMENTS_MAX;
  if (count <= most) return count;
  throw new DomainError('batch_too_large', `Input '${spec.name}' has more than ${most} elements.`, {
    faults: [{ pointer, expected: `at most ${most} elements`, received: `shape ${show(shape)}` }],
  });
}

function shapeOf(value: unknown, pointer: string): number[] {
  const shape: number[] = [];
  let at = value;
  while (Array.isArray(at)) {
    shape.push(at.length);
    if (shape.length > RANK_MAX) {
      throw new DomainError('input_shape_mismatch', `More than ${RANK_MAX} dimensions.`, { faults: [{ pointer }] });
    }
    at = (at as unknown[])[0];
  }
  return shape;
}

function checkShape(shape: readonly number[], spec: TensorSpec, pointer: string): void {
  const declared = spec.shape;
  if (!declared) return;
  // An empty array hides the dimensions inside it: [] stands for every shape with a zero where it stops.
  const hidden = shape.includes(0) && shape.length < declared.length;
  if (!(hidden || shape.length === declared.length) || !sizesFit(shape, declared))
    throw shapeMismatch(spec, `shape ${show(shape)}`, pointer);
  if (hidden) for (const dimension of declared.slice(shape.length)) (shape as number[]).push(Math.max(dimension, 0));
}

function sizesFit(shape: readonly number[], declared: readonly number[]): boolean {
  for (let i = 0; i < shape.length; i++) if (declared[i] !== -1 && declared[i] !== shape[i]) return false;
  return true;
}

function shapeMismatch(spec: TensorSpec, received: string, pointer: string): DomainError {
  const expected = spec.shape ? `shape ${show(spec.shape)}` : 'arrays of equal length';
  return new DomainError('input_shape_mismatch', `Input '${spec.name}' has ${received}; expected ${expected}.`, {
    faults: [{ pointer, expected, received }],
  });
}

/** A shape as people write it; -1 is any size. */
function show(shape: readonly number[]): string {
  return `[${shape.join(',')}]`;
}

/** What `decodeNested` does, as far as it is asked to go: a walk that can be left and taken up again. */
export class NestedReading {
  private readonly shape: readonly number[];
  private readonly data: TensorData;
  private readonly write: ElementWriter;
  private readonly missing: boolean;
  private index = 0;
  /** The arrays around the place where the walk is, and its place in each; a pointer is made of them only for an error. */
  private readonly open: unknown[][] = [];
  private readonly path: number[] = [];

  constructor(
    private readonly value: unknown,
    private readonly spec: TensorSpec,
    private readonly pointer: string,
    private readonly options: DecodeOptions = {},
  ) {
    const shape = shapeOf(value, pointer);
    checkShape(shape, spec, pointer);
    this.shape = shape;
    this.data = allocate(spec.datatype, countOf(shape, spec, pointer, options));
    this.write = elementWriter(spec.datatype);
    this.missing = hasNaN(spec.datatype);
    if (shape.length > 0) this.enter(value);
  }

  /** Once everything is read. */
  get tensor(): Tensor {
    const { spec, shape, data } = this;
    return { name: spec.name, datatype: spec.datatype, shape, data };
  }

  /** Reads so many elements more, arrays counted too; true when all are read. */
  read(most: number): boolean {
    if (this.shape.length === 0) this.element(this.value, 0);
    let left = most;
    while (this.open.length > 0) {
      if (left <= 0) return false;
      left -= this.step(left);
    }
    return true;
  }

  /** Goes on in the innermost array; answers what that cost. */
  private step(most: number): number {
    const { open, path, shape } = this;
    const depth = open.length - 1;
    const items = open[depth] as unknown[];
    const from = path[depth] as number;
    if (from === items.length) {
      open.pop();
      path.length = depth;
      if (depth > 0) (path[depth - 1] as number)++;
      return 1;
    }
    if (depth < shape.length - 1) {
      this.enter(items[from]);
      return 1;
    }
    const end = Math.min(items.length, from + most);
    for (let i = from; i < end; i++) {
      path[depth] = i;
      this.element(items[i], i);
    }
    path[depth] = end;
    return end - from;
  }

  private enter(value: unknown): void {
    const depth = this.open.length;
    if (!Array.isArray(value) || value.length !== this.shape[depth]) {
      const received = Array.isArray(value) ? `an array of ${value.length}` : describe(value);
      const pointer = this.here();
      throw shapeMismatch(this.spec, `${received} at ${pointer} where ${this.shape[depth] ?? 0} are expected`, pointer);
    }
    this.open.push(value as unknown[]);
    this.path.push(0);
  }

  private element(value: unknown, column: number): void {
    const fault = value === null ? this.nothing(column) : this.write(this.data, this.index, value);
    if (fault) this.refine(fault, value, column);
    this.index++;
  }

  private here(): string {
    return [this.pointer, ...this.path].join('/');
  }

  private nothing(column: number): ElementFault | undefined {
    const allowed = this.missing && (this.options.nullable?.(column) ?? true);
    if (!allowed) return { code: 'input_missing', expected: `a value of ${this.spec.datatype}` };
    writeNaN(this.data, this.index);
    return undefined;
  }

  private refine(fault: ElementFault, value: unknown, column: number): void {
    if (this.options.infinities && this.missing && (value === 'Infinity' || value === '-Infinity')) {
      (this.data as Float32Array)[this.index] = value === 'Infinity' ? Infinity : -Infinity;
      return;
    }
    const pointer = this.here();
    if (Array.isArray(value)) throw shapeMismatch(this.spec, 'an array where an element is expected', pointer);
    throw new DomainError(
      fault.code,
      `Input '${this.spec.name}' at column ${column}: expected ${fault.expected}, got ${describe(value)}.`,
      {
        faults: [{ pointer, expected: fault.expected, received: describe(value) }],
      },
    );
  }
}

/** A value as an error may show it: its kind, and the value itself only where it is a number or a boolean. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'string' ? 'a string' : 'an object';
}

/** The tensor as nested JSON text: NaN is null, infinities are strings, 64-bit integers have all their digits. */
export function encodeNested(tensor: Tensor): string {
  const write = TEXT[tensor.datatype];
  const position = { index: 0 };
  return level(tensor, write, 0, position);
}

/** Writes element `index` as JSON. */
type ElementText = (data: TensorData, index: number) => string;

function level(tensor: Tensor, write: ElementText, depth: number, position: { index: number }): string {
  if (depth === tensor.shape.length) return write(tensor.data, position.index++);
  const size = tensor.shape[depth] ?? 0;
  let text = '[';
  for (let i = 0; i < size; i++) text += (i ? ',' : '') + level(tensor, write, depth + 1, position);
  return text + ']';
}

function numberText(value: number): string {
  if (value - value === 0) return String(value);
  if (value !== value) return 'null';
  return value > 0 ? '"Infinity"' : '"-Infinity"';
}

const plainNumber: ElementText = (data, index) => numberText((data as Float64Array)[index] ?? 0);
const digits: ElementText = (data, index) => String((data as BigInt64Array)[index]);

export const TEXT: Readonly<Record<Datatype, ElementText>> = {
  BOOL: (data, index) => (data[index] ? 'true' : 'false'),
  UINT8: plainNumber,
  UINT16: plainNumber,
  UINT32: plainNumber,
  UINT64: digits,
  INT8: plainNumber,
  INT16: plainNumber,
  INT32: plainNumber,
  INT64: digits,
  FP16: (data, index) => numberText(float16ToNumber(Number(data[index]))),
  FP32: plainNumber,
  FP64: plainNumber,
  BYTES: (data, index) => JSON.stringify(data[index]),
};

/** Element `index` as a number, whatever holds it; 64-bit integers lose what a double cannot hold. */
export function numberAt(tensor: Tensor, index: number): number {
  const value = tensor.data[index];
  return tensor.datatype === 'FP16' ? float16ToNumber(Number(value)) : Number(value);
}
