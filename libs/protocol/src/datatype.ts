/** Datatypes of the Open Inference Protocol (v2, "Tensor Data Types"). */
export const DATATYPES = [
  'BOOL',
  'UINT8',
  'UINT16',
  'UINT32',
  'UINT64',
  'INT8',
  'INT16',
  'INT32',
  'INT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
] as const;

export type Datatype = (typeof DATATYPES)[number];

export function isDatatype(text: unknown): text is Datatype {
  return (DATATYPES as readonly unknown[]).includes(text);
}

/** What holds the elements in memory. BOOL is 0 or 1 in bytes; FP16 is its raw 16 bits; BYTES are strings. */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | string[];

interface ArrayOf<T> {
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

export type NumericTensorData = Exclude<TensorData, string[]>;

/** The typed array of each datatype that has one. */
export const TYPED_ARRAYS = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Record<Exclude<Datatype, 'BYTES'>, ArrayOf<NumericTensorData>>;

/** Rows of requests are small and many, and memory of its own for each costs more than filling it. */
const SLAB_BYTES = 32 * 1024;
const SMALL_BYTES = 2 * 1024;
const ALIGNMENT = 8;
let slab = new ArrayBuffer(SLAB_BYTES);
let slabUsed = 0;

/** Zeros (or empty strings) for `count` elements. Small arrays share memory: what an array holds is its own, its `buffer` is not. */
export function allocate(datatype: Datatype, count: number): TensorData {
  if (datatype === 'BYTES') return new Array<string>(count).fill('');
  const TypedArray = TYPED_ARRAYS[datatype];
  const bytes = count * TypedArray.BYTES_PER_ELEMENT;
  if (!(bytes <= SMALL_BYTES)) return new TypedArray(count);
  if (slabUsed + bytes > SLAB_BYTES) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsed = 0;
  }
  const data = new TypedArray(slab, slabUsed, count);
  slabUsed += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  return data;
}

/** Bytes of one element; undefined for BYTES, whose elements have no fixed size. */
export function elementBytes(datatype: Datatype): number | undefined {
  return datatype === 'BYTES' ? undefined : TYPED_ARRAYS[datatype].BYTES_PER_ELEMENT;
}
