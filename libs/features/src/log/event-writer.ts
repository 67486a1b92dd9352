import { sqlState, type Database } from '@sibyl/database';
import { DomainError, type Clock } from '@sibyl/kernel';
import { takeEvents, type BatchOutcome } from './event-batch';
import type { EventListener, PushResult } from './feature-event';
import type { LogOptions } from './log-options';
import type { PendingEvent } from './pending-event';
import type { Periods } from './periods';
import { PushQueue, type EventResult, type Push } from './push-queue';

export interface WriterParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly periods: Periods;
  /** Of this process, for those who look into the log of commits. */
  readonly writer: string;
  readonly listeners: readonly EventListener[];
  /** Hears what became of the events of one commit. */
  readonly onResults?: (stream: string, result: PushResult, events: number) => void;
}

/** A deadlock, a cut of the log that is gone, an event that another writer has just made: again, from the beginning. */
const AGAIN: ReadonlySet<string> = new Set(['40P01', '40001', '23514', '23505']);
/** Of a foreign key: the stream. */
const STREAM_GONE = '23503';
const ATTEMPTS = 4;
/** What a transaction of ten thousand events may take on a slow disk. */
const STATEMENT_MS = 8_000;

/**
 * Writes pushes into the log: all that wait while a transaction runs are the next one, so that single events share the wait for
 * the disk. A push is one transaction, whole or not at all, and is answered when it is durable.
 */
export class EventWriter {
  private readonly queue: PushQueue;
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly parts: WriterParts,
    private readonly options: LogOptions,
  ) {
    this.queue = new PushQueue(parts.clock, options);
  }

  start(): void {
    this.writing = Promise.all(Array.from({ length: this.options.writers }, () => this.run()));
  }

  /** Resolves when the events are durable and those who listen have heard of them. */
  push(caller: string, events: readonly PendingEvent[]): Promise<readonly EventResult[]> {
    return this.queue.add(caller, events);
  }

  get depth(): number {
    return this.queue.depth;
  }

  /** Ends when what waits is written. */
  async stop(): Promise<void> {
    this.queue.close();
    await this.writing;
  }

  private async run(): Promise<void> {
    for (let batch = await this.take(); batch; batch = await this.take()) await this.write(batch);
  }

  private take(): Promise<Push[] | undefined> {
    return this.queue.take(this.options.batchEvents);
  }

  /** Never throws: each push hears of its own end. */
  private async write(pushes: readonly Push[]): Promise<void> {
    try {
      const outcome = await this.commit(pushes.flatMap(({ events }) => events));
      let at = 0;
      for (const push of pushes) {
        this.queue.release(push);
        push.resolve(outcome.decisions.slice(at, (at += push.events.length)).map(resultOf));
      }
    } catch (error) {
      // What the database refuses may be the fault of one push; an outage is nobody's.
      if (pushes.length > 1 && !(error instanceof DomainError)) {
        for (const push of pushes) await this.write([push]);
        return;
      }
      for (const push of pushes) {
        this.queue.release(push);
        push.reject(sqlState(error) === STREAM_GONE ? definedAnew() : error);
      }
    }
  }

  private async commit(events: readonly PendingEvent[]): Promise<BatchOutcome> {
    const { database, clock, periods, writer } = this.parts;
    for (let attempt = 1; ; attempt++) {
      try {
        await periods.ensure(
          events.map(({ stream, eventTime: at }) => ({ retentionClass: stream.retentionClass, at })),
        );
        const now = clock.now() * 1000;
        const limits = events.length > this.options.batchEvents ? { timeoutMs: STATEMENT_MS } : {};
        const outcome = await database.transaction((tx) => takeEvents(tx, events, writer, now), limits);
        this.tell(events, outcome);
        return outcome;
      } catch (error) {
        if (attempt === ATTEMPTS || !isWorthAnother(error)) throw error;
        periods.forget();
      }
    }
  }

  private tell(events: readonly PendingEvent[], { stored, commit, decisions }: BatchOutcome): void {
    if (stored.length > 0) for (const listener of this.parts.listeners) listener.taken(stored, commit);
    const { onResults } = this.parts;
    if (!onResults) return;
    const counts = new Map<string, [stream: string, result: PushResult, events: number]>();
    decisions.forEach(({ result }, i) => {
      const stream = events[i]?.stream.definition.name ?? '';
      const key = `${stream} ${result}`;
      const count = counts.get(key) ?? [stream, result, 0];
      counts.set(key, count);
      count[2]++;
    });
    for (const count of counts.values()) onResults(...count);
  }
}

function definedAnew(): DomainError {
  return new DomainError('stream_not_found', 'The stream was defined anew at this moment; send the events again.');
}

function isWorthAnother(error: unknown): boolean {
  return AGAIN.has(sqlState(error) ?? '');
}

function resultOf({ result, eventId, reason }: EventResult): EventResult {
  return { result, eventId, ...(reason === undefined ? {} : { reason }) };
}
