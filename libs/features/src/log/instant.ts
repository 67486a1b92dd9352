import type { Micros } from '../time';

const RFC3339 = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Milliseconds with ten digits or fewer are seconds that were taken for milliseconds. */
const LEAST_MS = 10_000_000_000;
const LATEST_MS = Date.UTC(2200, 0, 1);

/** A time as callers write it: RFC 3339 with a zone, or milliseconds since 1970. Undefined where it is neither. */
export function readInstant(given: unknown): Micros | undefined {
  if (typeof given === 'string') return readText(given);
  if (typeof given !== 'number' || !(given >= LEAST_MS && given < LATEST_MS)) return undefined;
  return Math.round(given * 1000);
}

export const INSTANT_EXPECTED = 'RFC 3339 with a time zone, or whole milliseconds since 1970 (more than ten digits)';

function readText(text: string): Micros | undefined {
  const [, day, time, fraction = '', zone] = RFC3339.exec(text) ?? [];
  if (day === undefined || time === undefined || zone === undefined) return undefined;
  const ms = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  if (!(ms >= 0 && ms < LATEST_MS) || !existsDay(day)) return undefined;
  // Of nanoseconds what PostgreSQL keeps.
  return ms * 1000 + Number(fraction.slice(0, 6).padEnd(6, '0'));
}

/** `Date.parse` takes the 30th of February for the 1st or 2nd of March. */
function existsDay(day: string): boolean {
  return Number(day.slice(8)) <= 28 || new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}
