import type { Database } from '@sibyl/database';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { SystemClock, type Clock } from '@sibyl/kernel';
import { randomUUID } from 'node:crypto';
import type { StreamDefinition } from '../definitions/feature-view';
import { EventWriter } from '../log/event-writer';
import type { EventListener } from '../log/feature-event';
import { LogHistory } from '../log/log-history';
import { LogOptions } from '../log/log-options';
import { isFault, readEvent, type PendingEvent } from '../log/pending-event';
import { Periods } from '../log/periods';
import type { EventResult } from '../log/push-queue';
import { retentionClassOf } from '../log/retention-class';
import { Settlement } from '../log/settlement';
import type { LoggedStream, StreamCatalog } from '../log/stream-catalog';
import { featureMigrations } from '../migrations';
import { streamDefinition } from './stream-definition';

class TestStreams implements StreamCatalog {
  readonly all: LoggedStream[] = [];

  stream(name: string): LoggedStream | undefined {
    return this.all.find(({ definition }) => definition.name === name);
  }

  kept(name: string): LoggedStream | undefined {
    return this.stream(name);
  }

  keptOfId(id: number): LoggedStream | undefined {
    return this.all.find((one) => one.id === id);
  }

  streamNames(): readonly string[] {
    return this.all.map(({ definition }) => definition.name);
  }
}

/** For those to whom it does not matter what is on record. */
export const unrecorded = (): Promise<void> => Promise.resolve();

/** A log in a database of its own, without anything around it. */
export class LogStand {
  readonly streams = new TestStreams();
  readonly history: LogHistory;
  private readonly writers: EventWriter[] = [];

  private constructor(
    private readonly test: TestDatabase,
    readonly clock: Clock,
  ) {
    this.history = new LogHistory(test.database, this.streams, clock);
  }

  static async open(clock: Clock = new SystemClock()): Promise<LogStand> {
    const stand = new LogStand(await createTestDatabase(featureMigrations), clock);
    await stand.addStream(streamDefinition({ name: 'candles', identity: 'event_time' }));
    await stand.addStream(streamDefinition({ name: 'ticks' }));
    return stand;
  }

  get database(): Database {
    return this.test.database;
  }

  /** Of the superuser. */
  get url(): string {
    return this.test.url;
  }

  async addStream(definition: StreamDefinition, more: Partial<LoggedStream> = {}): Promise<LoggedStream> {
    const { name, retention } = definition;
    const retentionClass = retentionClassOf(retention);
    const [row] = await this.database.query<{ id: number }>(
      `INSERT INTO features.stream (name, view, retention_class, retention, definition, made_at)
       VALUES ($1, 'tests', $2, $3, $4, now()) RETURNING id`,
      [name, retentionClass, retention, JSON.stringify(definition)],
    );
    const entity = { name: 'symbol', type: 'string', maxLength: 64 } as const;
    const stream = { id: row?.id ?? 0, retentionClass, definition, entity, ...more };
    this.streams.all.push(stream);
    return stream;
  }

  /** Of a process of its own. */
  settlement(): Settlement {
    return new Settlement(() => this.clock.now() * 1000);
  }

  /** Of a process of its own, as far as the log is concerned. */
  writer(listeners: readonly EventListener[] = [], options: Partial<LogOptions> = {}): EventWriter {
    const { database, clock } = this;
    const parts = { database, clock, periods: new Periods(database), writer: randomUUID(), listeners };
    const writer = new EventWriter(parts, Object.assign(new LogOptions(), options));
    writer.start();
    this.writers.push(writer);
    return writer;
  }

  /** An event as a caller gives it. */
  event(stream: string, given: object): PendingEvent {
    const known = this.streams.stream(stream);
    if (!known) throw new Error(`no stream ${stream}`);
    const read = readEvent(known, given, { now: this.clock.now() * 1000, skew: 5_000_000 });
    if (isFault(read)) throw new Error(JSON.stringify(read));
    return read;
  }

  push(writer: EventWriter, stream: string, ...given: object[]): Promise<readonly EventResult[]> {
    return writer.push(
      'test',
      given.map((one) => this.event(stream, one)),
    );
  }

  async close(): Promise<void> {
    for (const writer of this.writers) await writer.stop();
    await this.test.drop();
  }
}
