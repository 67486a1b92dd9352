/** Hot path. Holds a write back while most of the requests in flight are still about to commit. */
import type { Clock } from '@sibyl/kernel';

/**
 * A durable write costs the kernel as much for one event as for fifty. Measured with 16 callers: 15 events a write
 * instead of 6, and 12 % less CPU a request; asked at every commit instead of polled, which would eat the gain.
 */
export class WriteHold {
  private state: 'idle' | 'holding' | 'released' = 'idle';
  private until = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly expecting: (() => number) | undefined,
    private readonly fraction: number,
    private readonly wake: () => void,
  ) {}

  get holding(): boolean {
    return this.state === 'holding';
  }

  /** Whether a write of `count` events should wait; it is woken after a part of what a write takes at the latest. */
  begin(count: number, writeMs: number): boolean {
    if (this.state === 'holding') return true;
    const released = this.state === 'released';
    this.state = 'idle';
    if (released || this.expecting === undefined || this.fraction === 0 || this.expecting() <= count) return false;
    const waitMs = this.fraction * writeMs;
    this.state = 'holding';
    this.until = this.clock.monotonic() + waitMs;
    this.timer = setTimeout(() => {
      this.release();
      this.wake();
    }, waitMs);
    return true;
  }

  /** Asked at each commit while holding: whether those who were waited for are here now, or the time is over. */
  over(count: number): boolean {
    const expected = this.expecting?.() ?? 0;
    if (expected > count && this.clock.monotonic() < this.until) return false;
    this.release();
    return true;
  }

  release(): void {
    if (this.state === 'holding') this.state = 'released';
    clearTimeout(this.timer);
  }
}
