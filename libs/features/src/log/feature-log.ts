import type { Database } from '@sibyl/database';
import { DomainError, nearestWords, TURNS, type Actor, type Clock, type FieldFault } from '@sibyl/kernel';
import { randomUUID } from 'node:crypto';
import { EventWriter } from './event-writer';
import type { EventListener, PushResult } from './feature-event';
import { LineUpload, type UploadOutcome } from './line-upload';
import { LogOptions } from './log-options';
import { isFault, readEvent, type PendingEvent } from './pending-event';
import { Periods } from './periods';
import type { LoggedStream, StreamCatalog } from './stream-catalog';

/** Events of one push; a history has another way. */
export const PUSH_EVENTS = 10_000;

export interface FeatureLogParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly streams: StreamCatalog;
  /** Hear of each commit of this process before its caller is answered. */
  readonly listeners: readonly EventListener[];
  readonly onResults?: (stream: string, result: PushResult, events: number) => void;
}

/** What became of one event. */
export interface PushedEvent {
  readonly status: PushResult;
  readonly eventId?: string;
  /** Why it was not stored. */
  readonly reason?: string;
  /** What is wrong with it; its pointer is within the event. */
  readonly fault?: FieldFault;
}

/** The way of events into the log. */
export class FeatureLog {
  /** This process among those that write the log. */
  readonly writerId = randomUUID();
  private readonly writer: EventWriter;
  private readonly periods: Periods;

  constructor(
    private readonly parts: FeatureLogParts,
    options: LogOptions = new LogOptions(),
  ) {
    const { database, clock, listeners, onResults } = parts;
    this.periods = new Periods(database);
    this.writer = new EventWriter(
      {
        database,
        clock,
        periods: this.periods,
        writer: this.writerId,
        listeners,
        ...(onResults === undefined ? {} : { onResults }),
      },
      options,
    );
  }

  start(): void {
    this.writer.start();
  }

  /** Events that wait to be stored. */
  get depth(): number {
    return this.writer.depth;
  }

  /**
   * Stores what can be stored of these events, in one transaction, and says of each what became of it. They are durable when it
   * resolves; if it rejects, none is stored, or the database has not said so and they may be sent again.
   */
  async push(actor: Actor, name: string, given: readonly unknown[]): Promise<readonly PushedEvent[]> {
    const stream = this.stream(name);
    if (given.length > PUSH_EVENTS)
      throw new DomainError('batch_too_large', `A push may have ${PUSH_EVENTS} events; this one has ${given.length}.`);
    const now = this.parts.clock.now() * 1000;
    const read: (PendingEvent | FieldFault)[] = [];
    for (const one of given) {
      if (TURNS.due) await TURNS.next();
      read.push(readEvent(stream, one, now));
    }
    return this.store(actor, read);
  }

  /** Stores the events of a file of JSON lines as they come, a thousand at a time. `name`: of those that name no stream. */
  upload(actor: Actor, name: string | undefined, body: AsyncIterable<Buffer>): Promise<UploadOutcome> {
    if (name !== undefined) this.stream(name);
    const now = (): number => this.parts.clock.now() * 1000;
    return new LineUpload(
      name,
      (stream) => this.stream(stream),
      (events) => this.store(actor, events),
      now,
    ).run(body);
  }

  /** Cuts of the log have been dropped. */
  forgetPeriods(): void {
    this.periods.forget();
  }

  /** What waits is stored first. */
  stop(): Promise<void> {
    return this.writer.stop();
  }

  private stream(name: string): LoggedStream {
    const found = this.parts.streams.stream(name);
    if (found) return found;
    const near = nearestWords(name, [...this.parts.streams.streamNames()]);
    const hint = near.length === 0 ? '' : ` Did you mean ${near.map((one) => `'${one}'`).join(' or ')}?`;
    throw new DomainError('stream_not_found', `There is no stream '${name.slice(0, 64)}'.${hint}`);
  }

  private async store(actor: Actor, read: readonly (PendingEvent | FieldFault)[]): Promise<readonly PushedEvent[]> {
    const events = read.filter((one): one is PendingEvent => !isFault(one));
    const stored = events.length === 0 ? [] : await this.writer.push(actor.keyId ?? actor.id, events);
    let next = 0;
    return read.map((one) => {
      if (isFault(one)) return { status: 'INVALID', fault: one };
      const { result: status, ...result } = stored[next++] ?? { result: 'INVALID' };
      return { status, ...result };
    });
  }
}
