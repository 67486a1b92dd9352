import type { Series } from '../engine/series';
import type { FeatureValue, ValueType } from '../feature-value';

const NO_NUMBERS = new Float64Array(0);

/** The column of a number or a boolean; empty, so that every value is missing, where the series has none. */
export function numbersOf(series: Series, index: number): Float64Array {
  return series.numbers[index] ?? NO_NUMBERS;
}

/** What an event says in one field, in the type of the field. */
export function valueAt(series: Series, column: number, type: ValueType, index: number): FeatureValue {
  if (type === 'string') return series.strings[column]?.[index] ?? null;
  const number = series.numbers[column]?.[index] ?? Number.NaN;
  if (Number.isNaN(number)) return null;
  return type === 'bool' ? number !== 0 : number;
}
