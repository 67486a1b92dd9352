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

let secondMs = Number.NaN;
let secondText = '';

/** RFC 3339 in UTC with milliseconds. Times come many to a second, so the text of the second is kept. */
export function timestamp(ms: number): string {
  const milliseconds = ms % 1000;
  const second = ms - milliseconds;
  if (second !== secondMs) {
    // Throws for what is no time, as Date does; and before 1970 the remainder is negative.
    const text = new Date(ms).toISOString();
    if (!Number.isInteger(ms) || ms < 0) return text;
    secondMs = second;
    secondText = text.slice(0, -4);
  }
  return `${secondText}${milliseconds < 10 ? '00' : milliseconds < 100 ? '0' : ''}${milliseconds}Z`;
}
