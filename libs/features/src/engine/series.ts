import type { Micros } from '../time';

/**
 * Events of one entity and stream that one value may be computed from. A window by time that holds more has no value: the
 * definition then needs `tile`.
 */
export const MAX_SERIES_EVENTS = 16_384;

/**
 * The events of one entity on one stream that count at a moment: what a feature is computed from, and nothing else. The same
 * shape whether it comes from memory, from the log or from a training run, so that all three come to the same values.
 *
 * Columns are as long as the store behind them; what counts is `[start, end)`, oldest first, ordered by event time, then by
 * arrival, then by id. `times[i]` is in microseconds.
 */
export interface Series {
  readonly start: number;
  readonly end: number;
  readonly times: Float64Array;
  /** By the index of the field in its stream: numbers, and booleans as 0 and 1; NaN is null. */
  readonly numbers: readonly (Float64Array | undefined)[];
  /** By the index of the field in its stream. */
  readonly strings: readonly (readonly (string | null)[] | undefined)[];
  /** Nothing older than `start` exists: what is missing from a window never was. */
  readonly whole: boolean;
  /** Events were left out because more came than can be kept; windows that reach beyond `start` have no value. */
  readonly cut: boolean;
}

/** First index of `[start, end)` whose time is after `time`. */
export function indexAfter(times: Float64Array, time: Micros, start: number, end: number): number {
  // Nearly always all events lie at or before the moment.
  if (end === start || (times[end - 1] as number) <= time) return end;
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
