import type { RecordChange } from '@sibyl/audit';
import type { Database } from '@sibyl/database';
import { DomainError, nearestWords, TURNS, type Actor, type Clock, type FieldFault } from '@sibyl/kernel';
import { randomUUID } from 'node:crypto';
import { MICROS_PER_MS, type Micros } from '../time';
import { CommitFollower } from './commit-follower';
import { EventWriter } from './event-writer';
import type { EventListener, PushResult } from './feature-event';
import { LineUpload, type UploadOutcome } from './line-upload';
import { LogKeeper } from './log-keeper';
import { LogOptions } from './log-options';
import { isFault, readEvent, type Arrival, type PendingEvent } from './pending-event';
import { Periods } from './periods';
import type { PushedEvent } from './pushed-event';
import { RedisFanOut } from './redis-fan-out';
import type { Settlement } from './settlement';
import type { LoggedStream, StreamCatalog } from './stream-catalog';
import { ToldCommits } from './told-commits';
import { Watermarks } from './watermarks';

/** Events of one push; a history has another way. */
const PUSH_EVENTS = 10_000;

export interface FeatureLogParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly streams: StreamCatalog;
  /** Hear of each commit of this process before its caller is answered, and of those of others soon after. */
  readonly listeners: readonly EventListener[];
  /** Is told how far what was heard is all that there is. */
  readonly settlement: Settlement;
  readonly onResults?: (stream: string, result: PushResult, events: number) => void;
  /** Of what the log drops by itself. */
  readonly record: RecordChange;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** The log of events: the way in, and how this process hears of what it and others have taken. */
export class FeatureLog {
  private readonly writer: EventWriter;
  private readonly follower: CommitFollower;
  private readonly keeper: LogKeeper;
  private constructor(
    private readonly parts: FeatureLogParts,
    private readonly options: LogOptions,
    private readonly fanOut: RedisFanOut | undefined,
    private readonly watermarks: Watermarks,
    writer: string,
  ) {
    const { database, clock, streams, listeners, settlement, log, onResults, record } = parts;
    const periods = new Periods(database);
    const own = new ToldCommits();
    const told = [...listeners, ...(fanOut ? [fanOut] : []), own];
    const hears = onResults === undefined ? {} : { onResults };
    this.writer = new EventWriter({ database, clock, periods, writer, listeners: told, ...hears }, options);
    const known = (commit: string): boolean => own.has(commit) || fanOut?.knows(commit) === true;
    this.follower = new CommitFollower({ database, clock, streams, listeners, settlement, known, log }, options.pollMs);
    this.keeper = new LogKeeper({ database, log, record, onDropped: () => periods.forget() }, options.retentionMs);
  }

  static async start(asked: FeatureLogParts, options: LogOptions = new LogOptions()): Promise<FeatureLog> {
    const writer = randomUUID();
    const watermarks = new Watermarks(asked.database);
    const parts = { ...asked, listeners: [...asked.listeners, watermarks] };
    const log = new FeatureLog(parts, options, await fanOutOf(parts, options, writer), watermarks, writer);
    await log.follower.start();
    log.writer.start();
    log.fanOut?.start();
    log.keeper.start();
    return log;
  }

  /** Events that wait to be stored. */
  get depth(): number {
    return this.writer.depth;
  }

  /**
   * Stores what can be stored of these events, in one transaction, and says of each what became of it. They are durable when it
   * resolves; if it rejects, none is stored, or the database has not said so and they may be sent again. `pointer`: where they stand
   * in the request.
   */
  async push(
    actor: Actor,
    name: string,
    given: readonly unknown[],
    pointer = '/events',
  ): Promise<readonly PushedEvent[]> {
    const stream = this.stream(name);
    if (given.length > PUSH_EVENTS) {
      const faults = [{ pointer, expected: `at most ${PUSH_EVENTS}`, received: String(given.length) }];
      const detail = `A push may have ${PUSH_EVENTS} events; this one has ${given.length}.`;
      throw new DomainError('batch_too_large', detail, { faults });
    }
    await this.watermarks.begin(stream);
    const arrival = this.arrival();
    const read: (PendingEvent | FieldFault)[] = [];
    for (const one of given) {
      if (TURNS.due) await TURNS.next();
      read.push(readEvent(stream, one, arrival));
    }
    const results = await this.store(actor, read);
    this.countRefused(name, read.filter(isFault).length);
    return results;
  }

  /** Stores the events of a file of JSON lines as they come, some thousands at a time. `name`: of those that name no stream. */
  async upload(actor: Actor, name: string | undefined, body: AsyncIterable<Buffer>): Promise<UploadOutcome> {
    if (name !== undefined) await this.watermarks.begin(this.stream(name));
    return new LineUpload(
      name,
      (stream) => this.stream(stream),
      (events) => this.store(actor, events),
      () => this.arrival(),
      (stream) => this.countRefused(stream, 1),
    ).run(body);
  }

  /** The time of the newest event of a stream, as far as this process knows; of one that was pushed to. */
  watermark(stream: string): Micros | undefined {
    return this.watermarks.of(stream);
  }

  /** What waits is stored first. */
  async stop(): Promise<void> {
    await this.writer.stop();
    await Promise.all([this.follower.stop(), this.keeper.stop()]);
    this.fanOut?.stop();
  }

  /** What cannot be read as an event never reaches the writer, which counts the others. */
  private countRefused(stream: string, events: number): void {
    if (events > 0) this.parts.onResults?.(stream, 'INVALID', events);
  }

  private arrival(): Arrival {
    return { now: this.parts.clock.now() * MICROS_PER_MS, skew: this.options.clockSkewMs * MICROS_PER_MS };
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

async function fanOutOf(
  { database, listeners, log }: FeatureLogParts,
  { redisUrl: url }: LogOptions,
  writer: string,
): Promise<RedisFanOut | undefined> {
  if (url === undefined) return undefined;
  const [installation] = await database.query<{ id: string }>('SELECT id FROM features.installation');
  const channel = `sibyl:${installation?.id}:feature-events`;
  return new RedisFanOut({ url, channel, writer, listeners, log });
}
