import type { ValueType } from './feature-value';

/** Whether a value is one of this type: finite, and whole within ±(2^53 - 1) where it is an int. */
export function isOfType(value: unknown, type: ValueType): value is number | string | boolean {
  if (type === 'double') return Number.isFinite(value);
  if (type === 'int') return Number.isSafeInteger(value);
  return typeof value === (type === 'bool' ? 'boolean' : 'string');
}
