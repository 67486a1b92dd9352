/** Hot path. See docs/paths/predict.md. */
import type { ErrorCode } from '@sibyl/kernel';
import { TYPED_ARRAYS, type Datatype, type TensorData } from './datatype';
import { numberToFloat16 } from './float16';

/** Why a value cannot be an element: the code a caller gets, and what would have been right. */
export interface ElementFault {
  readonly code: ErrorCode;
  readonly expected: string;
}

/** Puts a JSON value into `data[index]`; answers the fault when it does not fit. `null` is not handled here. */
export type ElementWriter = (data: TensorData, index: number, value: unknown) => ElementFault | undefined;

const NOT_A_NUMBER: ElementFault = { code: 'input_type_mismatch', expected: 'a number' };
const NOT_FINITE: ElementFault = { code: 'non_finite_input', expected: 'a finite number' };
const NOT_TEXT: ElementFault = { code: 'input_type_mismatch', expected: 'a string' };
/** The runtime takes texts as C strings of UTF-8: they end at the first U+0000, and half a character becomes another. */
const NOT_WHOLE: ElementFault = { code: 'input_not_allowed', expected: 'whole Unicode characters without U+0000' };
const NOT_BOOLEAN: ElementFault = { code: 'input_type_mismatch', expected: 'true, false, 1 or 0' };
/** Numbers beyond it round to infinity. */
export const FLOAT32_MAX = 3.4028235677973366e38;
const FLOAT16_MAX = 65519.99;

const INTEGER_RANGES = {
  UINT8: [0, 0xff],
  UINT16: [0, 0xffff],
  UINT32: [0, 0xffffffff],
  INT8: [-0x80, 0x7f],
  INT16: [-0x8000, 0x7fff],
  INT32: [-0x80000000, 0x7fffffff],
} as const;

const WIDE_RANGES = {
  UINT64: [0n, 0xffffffffffffffffn],
  INT64: [-0x8000000000000000n, 0x7fffffffffffffffn],
} as const;

function floatWriter(limit: number, datatype: Datatype, convert?: (value: number) => number): ElementWriter {
  const tooLarge: ElementFault = { code: 'input_out_of_range', expected: `a number that fits ${datatype}` };
  return (data, index, given) => {
    // A whole number of many digits comes as a bigint; a floating-point number keeps what it can of it.
    const value = typeof given === 'bigint' ? Number(given) : given;
    if (typeof value !== 'number') return NOT_A_NUMBER;
    if (value - value !== 0) return NOT_FINITE;
    if (value > limit || value < -limit) return tooLarge;
    (data as Float32Array)[index] = convert ? convert(value) : value;
    return undefined;
  };
}

function integerWriter(datatype: keyof typeof INTEGER_RANGES): ElementWriter {
  const [min, max] = INTEGER_RANGES[datatype];
  const wrongType: ElementFault = { code: 'input_type_mismatch', expected: 'a whole number' };
  const outside: ElementFault = { code: 'input_out_of_range', expected: `a whole number from ${min} to ${max}` };
  return (data, index, value) => {
    if (typeof value === 'bigint') return outside;
    if (typeof value !== 'number') return wrongType;
    if (value - value !== 0) return NOT_FINITE;
    if (!Number.isInteger(value)) return wrongType;
    if (value < min || value > max) return outside;
    (data as Int32Array)[index] = value;
    return undefined;
  };
}

const WHOLE = /^-?\d{1,20}$/;

/** 64-bit integers come as numbers up to 2^53-1, beyond that as bigint where the reader of the JSON kept their digits, and as decimal strings. */
function wideIntegerWriter(datatype: keyof typeof WIDE_RANGES): ElementWriter {
  const [min, max] = WIDE_RANGES[datatype];
  const wrongType: ElementFault = { code: 'input_type_mismatch', expected: 'a whole number, or one in a string' };
  const inexact: ElementFault = { code: 'input_type_mismatch', expected: 'numbers beyond 2^53-1 as strings' };
  const outside: ElementFault = { code: 'input_out_of_range', expected: `a whole number from ${min} to ${max}` };
  return (data, index, value) => {
    let whole: bigint;
    if (typeof value === 'number') {
      if (value - value !== 0) return NOT_FINITE;
      if (!Number.isInteger(value)) return wrongType;
      if (!Number.isSafeInteger(value)) return inexact;
      whole = BigInt(value);
    } else if (typeof value === 'bigint') whole = value;
    else if (typeof value === 'string' && WHOLE.test(value)) whole = BigInt(value);
    else return wrongType;
    if (whole < min || whole > max) return outside;
    (data as BigInt64Array)[index] = whole;
    return undefined;
  };
}

const WRITERS: Readonly<Record<Datatype, ElementWriter>> = {
  FP32: floatWriter(FLOAT32_MAX, 'FP32'),
  FP64: floatWriter(Number.MAX_VALUE, 'FP64'),
  FP16: floatWriter(FLOAT16_MAX, 'FP16', numberToFloat16),
  UINT8: integerWriter('UINT8'),
  UINT16: integerWriter('UINT16'),
  UINT32: integerWriter('UINT32'),
  INT8: integerWriter('INT8'),
  INT16: integerWriter('INT16'),
  INT32: integerWriter('INT32'),
  UINT64: wideIntegerWriter('UINT64'),
  INT64: wideIntegerWriter('INT64'),
  BOOL: (data, index, value) => {
    if (value !== true && value !== false && value !== 1 && value !== 0) return NOT_BOOLEAN;
    (data as Uint8Array)[index] = value ? 1 : 0;
    return undefined;
  },
  BYTES: (data, index, value) => {
    if (typeof value !== 'string') return NOT_TEXT;
    if (value.includes('\0') || !value.isWellFormed()) return NOT_WHOLE;
    (data as string[])[index] = value;
    return undefined;
  },
};

/** The writer of a datatype. */
export function elementWriter(datatype: Datatype): ElementWriter {
  return WRITERS[datatype];
}

/** Whether elements of the datatype can be missing: only floating point has NaN. */
export function hasNaN(datatype: Datatype): boolean {
  return datatype === 'FP32' || datatype === 'FP64' || datatype === 'FP16';
}

/** Marks `data[index]` as missing; only for datatypes with `hasNaN`. */
export function writeNaN(data: TensorData, index: number): void {
  if (data instanceof TYPED_ARRAYS.FP16) data[index] = 0x7e00;
  else (data as Float32Array)[index] = Number.NaN;
}
