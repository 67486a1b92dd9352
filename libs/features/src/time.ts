/** Microseconds since 1970 UTC, as PostgreSQL keeps them: whole, and exact in a double until the year 2255. */
export type Micros = number;

export const MICROS_PER_MS = 1000;
export const MICROS_PER_SECOND = 1_000_000;

/** RFC 3339 in UTC, with microseconds where there are any. */
export function instantText(at: Micros): string {
  const ms = Math.floor(at / MICROS_PER_MS);
  const rest = at - ms * MICROS_PER_MS;
  const text = new Date(ms).toISOString();
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}
