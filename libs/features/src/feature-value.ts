/** What a field of an event and the value of a feature can be. `int` is a whole number within ±(2^53 - 1). */
export const VALUE_TYPES = ['double', 'int', 'string', 'bool'] as const;

export type ValueType = (typeof VALUE_TYPES)[number];

/** One value; `last_n` gives a list, oldest first. */
export type FeatureValue = number | string | boolean | null | readonly (number | string | boolean | null)[];

/**
 * How a value was come by.
 *
 * - `PRESENT`: computed or given.
 * - `NULL`: the event said null, or an expression came to null.
 * - `NOT_FOUND`: nothing is known of the entity, or of operators by number and rows of tables nothing in the stream.
 * - `STALE`: the newest event behind it is older than its `ttl`; the value is kept aside and not served.
 * - `WARMING_UP`: too few events so far for the operator's first value.
 * - `INVALID`: a rule refused it, or its window holds more events than can be kept.
 * - `NON_FINITE`: the arithmetic came to NaN or an infinity.
 * - `DEFAULTED`: the default of its definition stands in.
 * - `TIMEOUT`: the events could not be read before the deadline.
 */
export const VALUE_STATUSES = [
  'PRESENT',
  'NULL',
  'NOT_FOUND',
  'STALE',
  'WARMING_UP',
  'INVALID',
  'NON_FINITE',
  'DEFAULTED',
  'TIMEOUT',
] as const;

export type ValueStatus = (typeof VALUE_STATUSES)[number];

/** As JSON, or a number that is its own text; what is not finite is null, as `JSON.stringify` has it. */
export function jsonOf(value: FeatureValue): string | number {
  if (typeof value === 'number') return Number.isFinite(value) ? value : 'null';
  return typeof value === 'string' || typeof value === 'object' ? JSON.stringify(value) : String(value);
}
