/** Hot path. Holds a write back while many of the requests in flight are still about to commit. */
import type { Clock } from '@sibyl/kernel';

/** A write waits for the others while they are more than this part of those it has. */
const WORTH_WAITING_FOR = 0.25;

/**
 * A durable write costs the kernel as much for one event as for fifty. Measured with 16 callers: 15 events a write
 * instead of 6, and 12 % less CPU a request. With 64 callers, waiting already for a quarter more keeps them from falling
 * into two groups that take turns: 4 % less. Asked at every commit instead of polled, which would eat the gain.
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
    if (released || this.fraction === 0 || !this.worthWaiting(count)) return false;
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
    if (this.worthWaiting(count) && this.clock.monotonic() < this.until) return false;
    this.release();
    return true;
  }

  release(): void {
    if (this.state === 'holding') this.state = 'released';
    clearTimeout(this.timer);
  }

  private worthWaiting(count: number): boolean {
    return (this.expecting?.() ?? 0) > WORTH_WAITING_FOR * count;
  }
}
