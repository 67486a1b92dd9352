/** The time. Injected, so that tests are exact. */
export abstract class Clock {
  /** Unix time in milliseconds, whole. */
  abstract now(): number;
  /** Milliseconds of a clock that never goes back, with fractions; for deadlines and durations. */
  abstract monotonic(): number;
}

export class SystemClock extends Clock {
  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now();
  }
}

/** RFC 3339 in UTC with milliseconds. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}
