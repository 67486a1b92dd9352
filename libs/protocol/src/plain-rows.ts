/** Hot path. See docs/paths/predict.md. */
import { allocate, type TensorData } from './datatype';
import type { TensorSpec } from './tensor';

const FLOAT_MAX = { FP32: 3.4028235677973366e38, FP64: Number.MAX_VALUE } as const;

/** Rows of floating-point numbers, which is what nearly every tabular model takes. */
export interface PlainRows {
  readonly shape: number[];
  readonly data: TensorData;
}

/**
 * Reads `[[number, …], …]` for a declared FP32 or FP64 tensor of rank 2 with a fixed width. Undefined for everything that is not
 * exactly so, faults included: the general reader then takes it, or says what is wrong. A third of the general reader's time,
 * because each loop here sees arrays of one kind only: where V8 sees rows of numbers and arrays of rows in one place, it turns
 * every number of every row into an object.
 */
export function readPlainRows(
  value: unknown,
  { datatype, shape }: TensorSpec,
  nullable: (column: number) => boolean,
): PlainRows | undefined {
  const width = shape?.[1] ?? -1;
  if ((datatype !== 'FP32' && datatype !== 'FP64') || shape?.length !== 2 || width < 1 || !Array.isArray(value))
    return undefined;
  const rows = value as unknown[];
  if (rows.length === 0 || (shape[0] !== -1 && shape[0] !== rows.length)) return undefined;
  if (rows.length * width > PLAIN_ELEMENTS) return undefined;
  const data = allocate(datatype, rows.length * width) as Float64Array;
  const limit = FLOAT_MAX[datatype];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (!Array.isArray(row) || row.length !== width) return undefined;
    // On rows of numbers alone, which V8 keeps unboxed, this looks at nothing.
    const read = row.includes(null)
      ? readGaps(row as unknown[], data, i * width, limit, nullable)
      : readNumbers(row as unknown[], data, i * width, limit);
    if (!read) return undefined;
  }
  return { shape: [rows.length, width], data };
}

/** Beyond it the time of reading is no matter of single calls. */
const PLAIN_ELEMENTS = 1024 * 1024;

function readNumbers(row: readonly unknown[], data: Float64Array, at: number, limit: number): boolean {
  for (let j = 0; j < row.length; j++) {
    const value = row[j];
    if (typeof value !== 'number' || !(value <= limit && value >= -limit)) return false;
    data[at + j] = value;
  }
  return true;
}

/** The same for a row in which values are missing. */
function readGaps(
  row: readonly unknown[],
  data: Float64Array,
  at: number,
  limit: number,
  nullable: (column: number) => boolean,
): boolean {
  for (let j = 0; j < row.length; j++) {
    const value = row[j];
    if (value === null) {
      if (!nullable(j)) return false;
      data[at + j] = Number.NaN;
    } else if (typeof value !== 'number' || !(value <= limit && value >= -limit)) return false;
    else data[at + j] = value;
  }
  return true;
}
