/** Microseconds since 1970 UTC, as PostgreSQL keeps them: whole, and exact in a double until the year 2255. */
export type Micros = number;

export const MICROS_PER_MS = 1000;
export const MICROS_PER_SECOND = 1_000_000;

let lastMs = Number.NaN;
let lastText = '';

/** RFC 3339 in UTC, with microseconds where there are any. */
export function instantText(at: Micros): string {
  const ms = Math.floor(at / MICROS_PER_MS);
  const rest = at - ms * MICROS_PER_MS;
  // Many are made of one moment: now.
  if (ms !== lastMs) [lastMs, lastText] = [ms, new Date(ms).toISOString()];
  return rest === 0 ? lastText : `${lastText.slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}
