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
/** What a transaction of ten thousand events, or ten megabytes, may take on a slow disk. */
const STATEMENT_MS = 8_000;
/** Transactions in a row that may take too long for the sake of one batch, before the rest of it is told. */
const SLOW_ATTEMPTS = 3;

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
    const { batchEvents, batchBytes } = this.options;
    return this.queue.take(batchEvents, batchBytes);
  }

  /** Never throws: each push hears of its own end. */
  private async write(pushes: readonly Push[], patience = { left: SLOW_ATTEMPTS }): Promise<void> {
    try {
      const outcome = await this.commit(pushes);
      let at = 0;
      for (const push of pushes) {
        this.queue.release(push);
        push.resolve(outcome.decisions.slice(at, (at += push.events.length)).map(resultOf));
      }
    } catch (error) {
      if (isTooSlow(error)) patience.left--;
      const parts = partsAfter(error, pushes);
      for (const part of parts) {
        if (parts.length > 1 && patience.left > 0) await this.write(part, patience);
        else this.fail(part, error);
      }
    }
  }

  private fail(pushes: readonly Push[], error: unknown): void {
    for (const push of pushes) {
      this.queue.release(push);
      push.reject(sqlState(error) === STREAM_GONE ? definedAnew() : error);
    }
  }

  private async commit(pushes: readonly Push[]): Promise<BatchOutcome> {
    const { database, clock, periods, writer } = this.parts;
    const events = pushes.flatMap((push) => push.events);
    const limits = this.limitsOf(pushes);
    for (let attempt = 1; ; attempt++) {
      try {
        await periods.ensure(
          events.map(({ stream, eventTime: at }) => ({ retentionClass: stream.retentionClass, at })),
        );
        const now = clock.now() * 1000;
        const outcome = await database.transaction((tx) => takeEvents(tx, events, writer, now), limits);
        this.tell(events, outcome);
        return outcome;
      } catch (error) {
        if (attempt === ATTEMPTS || !isWorthAnother(error)) throw error;
        periods.forget();
      }
    }
  }

  /** A push that is larger than a batch has the time that it needs. */
  private limitsOf(pushes: readonly Push[]): { timeoutMs?: number } {
    const { batchEvents, batchBytes } = this.options;
    const events = pushes.reduce((sum, push) => sum + push.events.length, 0);
    const bytes = pushes.reduce((sum, push) => sum + push.bytes, 0);
    return events > batchEvents || bytes > batchBytes ? { timeoutMs: STATEMENT_MS } : {};
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

/** PostgreSQL has cancelled a statement. */
function isTooSlow(error: unknown): boolean {
  return error instanceof DomainError && sqlState(error.cause) === '57014';
}

/**
 * What is tried again after a batch has failed. What the database refuses may be the fault of one push, and what it takes too long for
 * that of one caller, whose entities are locked or whose events are large; an outage is nobody's.
 */
function partsAfter(error: unknown, pushes: readonly Push[]): (readonly Push[])[] {
  if (!(error instanceof DomainError)) return pushes.map((push) => [push]);
  if (!isTooSlow(error)) return [pushes];
  const callers = new Set(pushes.map(({ caller }) => caller));
  return [...callers].map((caller) => pushes.filter((push) => push.caller === caller));
}

function resultOf({ result, eventId, reason }: EventResult): EventResult {
  return { result, eventId, ...(reason === undefined ? {} : { reason }) };
}
