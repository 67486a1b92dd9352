import { Clock } from './clock';
import { IdSource } from './ids';

/** A clock that stands still until it is moved. */
export class FakeClock extends Clock {
  constructor(private ms = Date.parse('2026-01-15T10:30:00.000Z')) {
    super();
  }

  now(): number {
    return Math.floor(this.ms);
  }

  monotonic(): number {
    return this.ms;
  }

  advance(ms: number): void {
    this.ms += ms;
  }
}

/** Ids that count up: 00000000-0000-7000-8000-000000000001, … */
export class CountingIds extends IdSource {
  private count = 0;

  next(): string {
    return `00000000-0000-7000-8000-${String(++this.count).padStart(12, '0')}`;
  }
}
