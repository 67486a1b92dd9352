import { DomainError, type Clock } from '@sibyl/kernel';
import type { LogOptions } from './log-options';
import type { PushResult } from './feature-event';
import type { PendingEvent } from './pending-event';

/** What became of one event of a push. */
export interface EventResult {
  readonly result: PushResult;
  readonly eventId: string;
  readonly reason?: string;
}

/** The events of one caller, which are stored together or not at all. */
export interface Push {
  readonly caller: string;
  readonly events: readonly PendingEvent[];
  readonly bytes: number;
  readonly queuedAt: number;
  readonly resolve: (results: readonly EventResult[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What an event costs in memory beside its texts. */
const EVENT_BYTES = 300;

/** Pushes that wait for a writer: so many events and bytes at most, of one caller no more than its share. */
export class PushQueue {
  private readonly waiting: Push[] = [];
  private readonly shares = new Map<string, number>();
  private readonly wakers: (() => void)[] = [];
  private events = 0;
  private bytes = 0;
  private closed = false;

  constructor(
    private readonly clock: Clock,
    private readonly options: LogOptions,
  ) {}

  get depth(): number {
    return this.events;
  }

  /** Resolves when the events are stored. Throws rate_limited or queue_full at once. */
  add(caller: string, events: readonly PendingEvent[]): Promise<readonly EventResult[]> {
    const bytes = events.reduce((sum, { json, entity }) => sum + EVENT_BYTES + 2 * (json.length + entity.length), 0);
    this.refuse(caller, events.length, bytes);
    return new Promise((resolve, reject) => {
      this.events += events.length;
      this.bytes += bytes;
      this.shares.set(caller, (this.shares.get(caller) ?? 0) + events.length);
      this.waiting.push({ caller, events, bytes, queuedAt: this.clock.monotonic(), resolve, reject });
      this.wakers.shift()?.();
    });
  }

  /** Whole pushes of about so many events, the oldest first; waits for the first. Undefined once closed and empty. */
  async take(events: number): Promise<Push[] | undefined> {
    for (;;) {
      this.dropOld();
      if (this.waiting.length > 0) return this.upTo(events);
      if (this.closed) return undefined;
      await new Promise<void>((resolve) => this.wakers.push(resolve));
    }
  }

  /** What has been taken waits no more: its place is free. */
  release({ caller, events, bytes }: Push): void {
    this.events -= events.length;
    this.bytes -= bytes;
    const share = (this.shares.get(caller) ?? 0) - events.length;
    if (share > 0) this.shares.set(caller, share);
    else this.shares.delete(caller);
  }

  /** Takes nothing more; writers end when what waits is written. */
  close(): void {
    this.closed = true;
    for (const wake of this.wakers.splice(0)) wake();
  }

  private refuse(caller: string, events: number, bytes: number): void {
    const { queueEvents, queueBytes, callerEvents } = this.options;
    if (this.closed) throw new DomainError('shutting_down', 'The server is shutting down.');
    // One push that is alone always fits, however small the share is.
    const share = this.shares.get(caller) ?? 0;
    if (share > 0 && share + events > callerEvents)
      throw new DomainError(
        'rate_limited',
        `${share} of your events wait to be stored; more than ${callerEvents} of one caller may not.`,
      );
    if (this.events + events > queueEvents || this.bytes + bytes > queueBytes)
      throw new DomainError('queue_full', 'Too many events wait to be stored.');
  }

  private upTo(events: number): Push[] {
    let count = 0;
    let pushes = 0;
    for (const push of this.waiting) {
      if (pushes > 0 && count + push.events.length > events) break;
      count += push.events.length;
      pushes++;
    }
    return this.waiting.splice(0, pushes);
  }

  private dropOld(): void {
    const oldest = this.clock.monotonic() - this.options.queueWaitMs;
    while ((this.waiting[0]?.queuedAt ?? Infinity) < oldest) {
      const push = this.waiting.shift();
      if (!push) return;
      this.release(push);
      push.reject(new DomainError('queue_full', 'The events waited too long to be stored; none of them was.'));
    }
  }
}
