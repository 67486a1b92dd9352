import type { Micros } from '../time';
import type { Duration } from './feature-view';

const UNITS: ReadonlyMap<string, Micros> = new Map([
  ['us', 1],
  ['ms', 1_000],
  ['s', 1_000_000],
  ['m', 60_000_000],
  ['h', 3_600_000_000],
  ['d', 86_400_000_000],
]);

export const DURATION_EXPECTED = 'a time such as 250ms, 90s, 10m, 1h or 30d';

/** Ten years: beyond it a time is a slip. */
export const DURATION_MAX: Duration = 3653 * 86_400_000_000;

/** Microseconds of `90s`, `1.5h`; undefined where the text is none, or of none that are whole. */
export function parseDuration(text: string): Duration | undefined {
  const [, amount, unit] = /^(\d{1,15}(?:\.\d{1,9})?)(us|ms|s|m|h|d)$/.exec(text) ?? [];
  const micros = Number(amount) * (UNITS.get(unit ?? '') ?? Number.NaN);
  return Number.isSafeInteger(micros) ? micros : undefined;
}

/** The shortest text of a duration, one for each: `90s`, `10m`, `1d`. */
export function formatDuration(duration: Duration): string {
  let shown = `${duration}us`;
  for (const [unit, micros] of UNITS) if (duration % micros === 0) shown = `${duration / micros}${unit}`;
  return shown;
}
