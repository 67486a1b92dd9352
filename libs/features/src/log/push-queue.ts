import { DomainError, type Clock } from '@sibyl/kernel';
import type { LogOptions } from './log-options';
import type { PushResult } from './feature-event';
import { bytesOf, type PendingEvent } from './pending-event';

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

interface Share {
  readonly events: number;
  readonly bytes: number;
}

const NONE: Share = { events: 0, bytes: 0 };

/** Pushes that wait for a writer: so many events and bytes at most, of one caller no more than its share. Callers take turns. */
export class PushQueue {
  /** What waits of each caller, in its order. The caller whose turn it is comes first. */
  private readonly lines = new Map<string, Push[]>();
  /** What waits of each caller or is being written. */
  private readonly shares = new Map<string, Share>();
  private readonly wakers: (() => void)[] = [];
  private total = NONE;
  private closed = false;

  constructor(
    private readonly clock: Clock,
    private readonly options: LogOptions,
  ) {}

  get depth(): number {
    return this.total.events;
  }

  /** Resolves when the events are stored. Throws rate_limited or queue_full at once. */
  add(caller: string, events: readonly PendingEvent[]): Promise<readonly EventResult[]> {
    const bytes = events.reduce((sum, event) => sum + bytesOf(event), 0);
    this.refuse(caller, events.length, bytes);
    return new Promise((resolve, reject) => {
      this.count(caller, { events: events.length, bytes });
      const push = { caller, events, bytes, queuedAt: this.clock.monotonic(), resolve, reject };
      const line = this.lines.get(caller);
      if (line) line.push(push);
      else this.lines.set(caller, [push]);
      this.wakers.shift()?.();
    });
  }

  /** Whole pushes of about so many events and bytes, one of each caller in turn; waits for the first. Undefined once closed and empty. */
  async take(events: number, bytes = Infinity): Promise<Push[] | undefined> {
    for (;;) {
      this.dropOld();
      if (this.lines.size > 0) return this.upTo(events, bytes);
      if (this.closed) return undefined;
      await new Promise<void>((resolve) => this.wakers.push(resolve));
    }
  }

  /** What has been written is in memory no more: its place is free. */
  release({ caller, events, bytes }: Push): void {
    this.count(caller, { events: -events.length, bytes: -bytes });
  }

  /** Takes nothing more; writers end when what waits is written. */
  close(): void {
    this.closed = true;
    for (const wake of this.wakers.splice(0)) wake();
  }

  private refuse(caller: string, events: number, bytes: number): void {
    const { queueEvents, queueBytes, callerEvents, callerBytes } = this.options;
    if (this.closed) throw new DomainError('shutting_down', 'The server is shutting down.');
    // One push that is alone always fits, however small the shares are.
    const share = this.shares.get(caller) ?? NONE;
    if (share.events > 0 && share.events + events > callerEvents)
      throw new DomainError(
        'rate_limited',
        `${share.events} of your events wait to be stored; more than ${callerEvents} of one caller may not.`,
      );
    if (share.events > 0 && share.bytes + bytes > callerBytes)
      throw new DomainError(
        'rate_limited',
        `Your events that wait to be stored have ${share.bytes} bytes; more than ${callerBytes} of one caller may not.`,
      );
    const { total } = this;
    if (total.events > 0 && (total.events + events > queueEvents || total.bytes + bytes > queueBytes))
      throw new DomainError('queue_full', 'Too many events wait to be stored.');
  }

  private count(caller: string, { events, bytes }: Share): void {
    const { total } = this;
    this.total = { events: total.events + events, bytes: total.bytes + bytes };
    const share = this.shares.get(caller) ?? NONE;
    if (share.events + events === 0) this.shares.delete(caller);
    else this.shares.set(caller, { events: share.events + events, bytes: share.bytes + bytes });
  }

  private upTo(events: number, bytes: number): Push[] {
    const taken: Push[] = [];
    let count = 0;
    let size = 0;
    // Who has had its turn comes last, and is met again.
    for (const [caller, line] of this.lines) {
      const push = line[0];
      if (!push) continue;
      count += push.events.length;
      size += push.bytes;
      if (taken.length > 0 && (count > events || size > bytes)) break;
      taken.push(push);
      line.shift();
      this.lines.delete(caller);
      if (line.length > 0) this.lines.set(caller, line);
    }
    return taken;
  }

  private dropOld(): void {
    const oldest = this.clock.monotonic() - this.options.queueWaitMs;
    for (const [caller, line] of this.lines) {
      while ((line[0]?.queuedAt ?? Infinity) < oldest) {
        const push = line.shift();
        if (!push) break;
        this.release(push);
        push.reject(new DomainError('queue_full', 'The events waited too long to be stored; none of them was.'));
      }
      if (line.length === 0) this.lines.delete(caller);
    }
  }
}
