import type { Datatype } from '@sibyl/protocol';

export interface ElementType {
  /** As ONNX Runtime writes it: `tensor(float)`. */
  readonly name: string;
  /** Bits of one element; undefined where elements have no fixed size. */
  readonly bits: number | undefined;
  /** The datatype in which clients can send or receive it, if there is one. */
  readonly datatype?: Datatype;
  /** The list of the tensor message that holds such elements when they are not raw, and how many entries each takes. */
  readonly list: 'float_data' | 'int32_data' | 'int64_data' | 'double_data' | 'uint64_data' | 'string_data';
  readonly entriesPerElement: number;
}

/** `TensorProto.DataType` by number. */
const ELEMENT_TYPES: readonly (ElementType | undefined)[] = [
  undefined,
  type('float', 32, 'float_data', 'FP32'),
  type('uint8', 8, 'int32_data', 'UINT8'),
  type('int8', 8, 'int32_data', 'INT8'),
  type('uint16', 16, 'int32_data', 'UINT16'),
  type('int16', 16, 'int32_data', 'INT16'),
  type('int32', 32, 'int32_data', 'INT32'),
  type('int64', 64, 'int64_data', 'INT64'),
  type('string', undefined, 'string_data', 'BYTES'),
  type('bool', 8, 'int32_data', 'BOOL'),
  type('float16', 16, 'int32_data', 'FP16'),
  type('double', 64, 'double_data', 'FP64'),
  type('uint32', 32, 'uint64_data', 'UINT32'),
  type('uint64', 64, 'uint64_data', 'UINT64'),
  { name: 'complex64', bits: 64, list: 'float_data', entriesPerElement: 2 },
  { name: 'complex128', bits: 128, list: 'double_data', entriesPerElement: 2 },
  type('bfloat16', 16, 'int32_data'),
  type('float8e4m3fn', 8, 'int32_data'),
  type('float8e4m3fnuz', 8, 'int32_data'),
  type('float8e5m2', 8, 'int32_data'),
  type('float8e5m2fnuz', 8, 'int32_data'),
  { name: 'uint4', bits: 4, list: 'int32_data', entriesPerElement: 1 / 2 },
  { name: 'int4', bits: 4, list: 'int32_data', entriesPerElement: 1 / 2 },
  { name: 'float4e2m1', bits: 4, list: 'int32_data', entriesPerElement: 1 / 2 },
  type('float8e8m0', 8, 'int32_data'),
  { name: 'uint2', bits: 2, list: 'int32_data', entriesPerElement: 1 / 4 },
  { name: 'int2', bits: 2, list: 'int32_data', entriesPerElement: 1 / 4 },
];

export function elementType(number: number): ElementType | undefined {
  return ELEMENT_TYPES[number];
}

/** ONNX's number of a datatype, for writers. */
export function elementNumber(datatype: Datatype): number {
  return ELEMENT_TYPES.findIndex((candidate) => candidate?.datatype === datatype);
}

function type(name: string, bits: number | undefined, list: ElementType['list'], datatype?: Datatype): ElementType {
  return { name, bits, list, entriesPerElement: 1, ...(datatype === undefined ? {} : { datatype }) };
}
