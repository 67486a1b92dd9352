import type { Series } from '../engine/series';
import type { FeatureValue, ValueType } from '../feature-value';

/** Null among numbers. */
export const MISSING = Number.NaN;

const NO_NUMBERS = new Float64Array(0);

/** The column of a number or a boolean; empty, so that every value is missing, where the series has none. */
export function numbersOf(series: Series, index: number): Float64Array {
  return series.numbers[index] ?? NO_NUMBERS;
}

/** Not a number is the one value that is not itself; without a call, for loops over events. */
export function isMissing(value: number): boolean {
  return value !== value;
}

/** What an event says in one field, in the type of the field. */
export function valueAt(series: Series, column: number, type: ValueType, index: number): FeatureValue {
  if (type === 'string') return series.strings[column]?.[index] ?? null;
  const number = series.numbers[column]?.[index] ?? MISSING;
  if (isMissing(number)) return null;
  return type === 'bool' ? number !== 0 : number;
}
