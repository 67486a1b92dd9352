/** Hot path. See docs/paths/predict.md. */
import { FLOAT32_MAX, allocate, elementCount, type PlainScanner, type Tensor } from '@sibyl/protocol';
import { checkTensorRules } from './feature-rows';
import type { InputSpec, ModelContract } from './model-contract';
import { pointerTo } from './request-faults';

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
/** As many as bodies have that are not read in slices. */
const MOST_ELEMENTS = 64 * 1024;
const LIMITS = { FP32: FLOAT32_MAX, FP64: Number.MAX_VALUE } as const;

/** Kept from one request to the next. */
const room = new Float64Array(MOST_ELEMENTS);

/**
 * Reads `{tensor: [[number, …], …], …}` at the scanner into the tensors that the model takes: FP32 and FP64 of which all dimensions
 * but the first are fixed, all inputs in their order. Undefined for anything else, faults included: `decodeTensorInputs` takes that.
 */
export function readPlainTensors(contract: ModelContract, scanner: PlainScanner): Tensor[] | undefined {
  const { inputs, plainNames } = contract;
  if (plainNames === undefined || !scanner.pass(OPEN_BRACE)) return undefined;
  const tensors: Tensor[] = [];
  for (let i = 0; i < inputs.length; i++) {
    if (i > 0 && !scanner.pass(COMMA)) return undefined;
    if (!scanner.passName(plainNames.inputs[i] as Uint8Array)) return undefined;
    const tensor = readRows(inputs[i] as InputSpec, contract.nullableColumns[i] ?? never, scanner);
    if (tensor === undefined) return undefined;
    if (contract.ruled[i]) checkTensorRules(tensor, contract.inputSlots[i] ?? [], pointerTo('/inputs', tensor.name));
    tensors.push(tensor);
  }
  return scanner.pass(CLOSE_BRACE) ? tensors : undefined;
}

function readRows(
  { name, datatype, shape }: InputSpec,
  nullable: (column: number) => boolean,
  scanner: PlainScanner,
): Tensor | undefined {
  if ((datatype !== 'FP32' && datatype !== 'FP64') || shape === undefined || shape.length === 0) return undefined;
  const rowElements = elementCount(shape.slice(1));
  if (!(rowElements > 0 && isFixed(shape)) || !scanner.pass(OPEN_BRACKET)) return undefined;
  const reader = { scanner, shape, nullable, limit: LIMITS[datatype], at: 0 };
  let rows = 0;
  do {
    if (reader.at + rowElements > MOST_ELEMENTS || !readLevel(reader, 1, rows)) return undefined;
    rows++;
  } while (scanner.pass(COMMA));
  if (!scanner.pass(CLOSE_BRACKET) || (shape[0] !== -1 && shape[0] !== rows)) return undefined;
  const data = allocate(datatype, reader.at) as Float64Array;
  for (let i = 0; i < data.length; i++) data[i] = room[i] as number;
  return { name, datatype, shape: [rows, ...shape.slice(1)], data };
}

/** Whether all dimensions of a row are given. */
function isFixed(shape: readonly number[]): boolean {
  for (let d = 1; d < shape.length; d++) if ((shape[d] as number) < 1) return false;
  return true;
}

interface Reader {
  readonly scanner: PlainScanner;
  readonly shape: readonly number[];
  readonly nullable: (column: number) => boolean;
  readonly limit: number;
  /** Where the next element goes. */
  at: number;
}

/** An array of the dimension `depth`, or below the last an element of `column`. */
function readLevel(reader: Reader, depth: number, column: number): boolean {
  const { scanner, shape } = reader;
  if (depth === shape.length) return readElement(reader, column);
  if (!scanner.pass(OPEN_BRACKET)) return false;
  const size = shape[depth] as number;
  const isRow = depth === shape.length - 1;
  for (let i = 0; i < size; i++) {
    if (i > 0 && !scanner.pass(COMMA)) return false;
    if (!(isRow ? readElement(reader, i) : readLevel(reader, depth + 1, i))) return false;
  }
  return scanner.pass(CLOSE_BRACKET);
}

function readElement(reader: Reader, column: number): boolean {
  const { scanner, limit } = reader;
  let value = scanner.number();
  if (value !== value) {
    if (!scanner.passNull() || !reader.nullable(column)) return false;
    value = Number.NaN;
  } else if (value > limit || value < -limit) return false;
  room[reader.at++] = value;
  return true;
}

function never(): boolean {
  return false;
}
