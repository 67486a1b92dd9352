import type { Database } from '@sibyl/database';
import type { Clock } from '@sibyl/kernel';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import { plainArray } from './array-literal';
import type { EventListener, FeatureEvent } from './feature-event';
import { INTAKE_KEPT } from './log-keeper';
import type { StreamCatalog } from './stream-catalog';

export interface FollowerParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly streams: StreamCatalog;
  readonly listeners: readonly EventListener[];
  /** Of this process, whose own commits it has heard of. */
  readonly writer: string;
  /** Commits that came another way already. */
  readonly known?: (writer: string, lastStamp: Micros) => boolean;
  readonly log: { warn(fields: object, message: string): void };
}

/** A commit may become visible so much after the stamps of its events; longer than any statement may take. */
const OVERLAP: Micros = 5_000_000;
const COMMITS = 500;
/** Events that are read at once. */
const EVENTS = 10_000;

interface Commit {
  readonly id: string;
  readonly writer: string;
  readonly retention_class: number;
  readonly first_time: string;
  readonly last_time: string;
  readonly first_stamp: string;
  readonly last_stamp: string;
}

interface EventRow {
  readonly stream: number;
  readonly entity: string;
  readonly event_time: string;
  readonly event_id: string;
  readonly ingested_at: string;
  readonly log_only: boolean;
  readonly vals: FeatureValue[];
}

/**
 * Hears of what other processes commit by looking, again and again a little further back than what it has seen: whatever else
 * tells this process of events, this finds those that it was not told of. Finding one twice does no harm.
 */
export class CommitFollower {
  private readonly seen = new Map<string, Micros>();
  private highWater: Micros | undefined;
  private lookedAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private failed = false;
  private stopped = false;

  constructor(
    private readonly parts: FollowerParts,
    private readonly pollMs: number,
  ) {}

  /** Everything that is committed from now on is heard. */
  async start(): Promise<void> {
    const [row] = await this.parts.database.query<{ at: string }>('SELECT features.now_us() AS at');
    this.highWater = Number(row?.at);
    this.lookedAt = this.parts.clock.monotonic();
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.looking;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.looking = this.look().finally(() => this.schedule());
    }, this.pollMs).unref();
  }

  private async look(): Promise<void> {
    try {
      const now = this.parts.clock.monotonic();
      this.forgetIfLapsed(now);
      while ((await this.commits()) && !this.stopped);
      this.lookedAt = now;
      this.failed = false;
    } catch (error) {
      if (!this.failed) this.parts.log.warn({ err: error }, 'events of other processes cannot be looked for');
      this.failed = true;
    }
  }

  /** Away for longer than commits are kept, it cannot know what it missed. */
  private forgetIfLapsed(now: number): void {
    if (now - this.lookedAt < INTAKE_KEPT / 2000) return;
    for (const listener of this.parts.listeners) listener.lapsed?.();
  }

  /** Whether there may be more. */
  private async commits(): Promise<boolean> {
    const { database, writer, known } = this.parts;
    const since = (this.highWater ?? 0) - OVERLAP;
    for (const [id, stamp] of this.seen) if (stamp <= since) this.seen.delete(id);
    const commits = await database.query<Commit>(
      `SELECT id, writer, retention_class, first_time, last_time, first_stamp, last_stamp FROM features.intake
       WHERE last_stamp > $1 AND writer <> $2 AND NOT id = ANY ($3::bigint[]) ORDER BY last_stamp LIMIT ${COMMITS}`,
      [since, writer, plainArray([...this.seen.keys()])],
    );
    const unheard = commits.filter((one) => known?.(one.writer, Number(one.last_stamp)) !== true);
    for (const group of grouped(unheard)) await this.tell(group);
    for (const { id, last_stamp } of commits) {
      this.seen.set(id, Number(last_stamp));
      this.highWater = Math.max(this.highWater ?? 0, Number(last_stamp));
    }
    return commits.length === COMMITS;
  }

  /** Events of these commits, and of others that lie between them. */
  private async tell(span: Span): Promise<void> {
    for (let from = span.firstStamp; ;) {
      // The numbers stand in the statement so that it is planned for the cuts of the log that it needs.
      const rows = await this.parts.database.query<EventRow>(
        `SELECT stream, entity, event_time, event_id, ingested_at, log_only, vals FROM features.event
         WHERE retention_class = ${span.retentionClass} AND event_time BETWEEN ${span.firstTime} AND ${span.lastTime}
           AND ingested_at BETWEEN ${from} AND ${span.lastStamp} ORDER BY ingested_at LIMIT ${EVENTS}`,
      );
      const events = rows.flatMap((row) => this.eventOf(row));
      if (events.length > 0) for (const listener of this.parts.listeners) listener.taken(events);
      if (rows.length < EVENTS) return;
      from = Math.max(from + 1, Number(rows.at(-1)?.ingested_at));
    }
  }

  private eventOf({ stream: id, entity, log_only: logOnly, vals: values, ...row }: EventRow): FeatureEvent[] {
    const stream = this.parts.streams.streamOfId(id);
    if (!stream) return [];
    const { event_time, event_id: eventId, ingested_at } = row;
    const times = { eventTime: Number(event_time), ingestedAt: Number(ingested_at) };
    while (values.length < stream.definition.fields.length) values.push(null);
    return [{ stream: stream.definition.name, entity, ...times, eventId, logOnly, values }];
  }
}

interface Span {
  readonly retentionClass: number;
  firstTime: Micros;
  lastTime: Micros;
  firstStamp: Micros;
  lastStamp: Micros;
}

/** One span a class: commits of one look follow each other closely. */
function grouped(commits: readonly Commit[]): Span[] {
  const spans = new Map<number, Span>();
  for (const { retention_class: retentionClass, ...commit } of commits) {
    const [firstTime, lastTime] = [Number(commit.first_time), Number(commit.last_time)];
    const [firstStamp, lastStamp] = [Number(commit.first_stamp), Number(commit.last_stamp)];
    const span = spans.get(retentionClass) ?? { retentionClass, firstTime, lastTime, firstStamp, lastStamp };
    spans.set(retentionClass, span);
    span.firstTime = Math.min(span.firstTime, firstTime);
    span.lastTime = Math.max(span.lastTime, lastTime);
    span.firstStamp = Math.min(span.firstStamp, firstStamp);
    span.lastStamp = Math.max(span.lastStamp, lastStamp);
  }
  return [...spans.values()];
}
