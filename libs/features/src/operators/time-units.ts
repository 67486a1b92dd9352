import type { Micros } from '../time';

/** What `unit` can be, in microseconds. */
export const TIME_UNITS: ReadonlyMap<string, Micros> = new Map([
  ['ms', 1_000],
  ['s', 1_000_000],
  ['m', 60_000_000],
  ['h', 3_600_000_000],
  ['d', 86_400_000_000],
]);
