import type { Database } from '@sibyl/database';
import type { Clock } from '@sibyl/kernel';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import type { EventListener, TakenEvent } from './feature-event';
import { INTAKE_KEPT } from './log-keeper';
import type { Settlement } from './settlement';
import type { StreamCatalog } from './stream-catalog';

export interface FollowerParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly streams: StreamCatalog;
  readonly listeners: readonly EventListener[];
  readonly settlement: Settlement;
  /** Commits whose events came another way already. */
  readonly known: (commit: string) => boolean;
  readonly log: { warn(fields: object, message: string): void };
}

/** Commits that are looked at at once. */
const COMMITS = 500;
/** Events that are read at once. */
const EVENTS = 10_000;
/** While somebody waits to hear of all that had arrived at a moment, looks are so far apart. */
const SOON_MS = 10;
/** Looks that lie further apart than this, or than so many of them should, are told of: who reads has not heard of everything. */
const DEAF_MS = 5000;
const DEAF_POLLS = 3;
/** A stamp of the same microsecond may be taken a moment later. */
const STAMP_MARGIN: Micros = 1000;
/** The first number of transactions; with 32 bits of them they begin anew. */
const FIRST_XID = 3;

/** What a look shows. */
interface Shown {
  readonly snapshot: string;
  /** The number of the next transaction: all that stamped before `at` have a smaller one. */
  readonly next: bigint;
  readonly at: Micros;
}

interface Commit {
  readonly id: string;
  readonly xid: string;
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
  readonly previous: string;
  readonly log_only: boolean;
  readonly vals: FeatureValue[];
}

/**
 * Hears of what was committed, here or elsewhere, by looking at what each snapshot shows that the one before did not: whatever else tells this
 * process of events, this finds those that it was not told of, however long a commit took and whatever the clock said. Finding one
 * twice does no harm.
 */
export class CommitFollower {
  /** The snapshot whose commits were all told of. */
  private seen = '';
  /** Up to its moment nothing new is stamped: who stamped had a transaction by then. Whether all of those have ended is not known yet. */
  private pending: Shown | undefined;
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
    const shown = await this.show();
    this.seen = shown.snapshot;
    // Nothing is in memory yet that could have missed anything.
    this.settle(shown);
    this.lookedAt = this.parts.clock.monotonic();
    this.looked();
    this.parts.settlement.onWanted(() => this.hurry());
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.looking;
  }

  private schedule(ms = this.parts.settlement.wanted ? SOON_MS : this.pollMs): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.looking = this.look().finally(() => this.schedule());
    }, ms).unref();
  }

  /** A look that is under way is followed by the next one soon. */
  private hurry(): void {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.schedule(Math.max(0, this.lookedAt + SOON_MS - this.parts.clock.monotonic()));
  }

  private async look(): Promise<void> {
    try {
      const now = this.parts.clock.monotonic();
      this.forgetIfLapsed(now);
      const shown = await this.show();
      // A database that was restored from before counts its transactions anew: nobody knows what it has and what it has lost.
      if (endOf(shown.snapshot) < endOf(this.seen)) this.lapsed();
      else await this.commitsUpTo(shown.snapshot);
      if (this.stopped) return;
      this.seen = shown.snapshot;
      this.settle(shown);
      this.lookedAt = now;
      this.looked();
      this.failed = false;
    } catch (error) {
      if (!this.failed) this.parts.log.warn({ err: error }, 'events of other processes cannot be looked for');
      this.failed = true;
    }
  }

  private looked(): void {
    this.parts.settlement.looked(Math.max(DEAF_MS, DEAF_POLLS * this.pollMs));
  }

  /** Away for longer than commits are kept, it cannot know what it missed. */
  private forgetIfLapsed(now: number): void {
    if (now - this.lookedAt >= INTAKE_KEPT / 2000) this.lapsed();
  }

  private lapsed(): void {
    for (const listener of this.parts.listeners) listener.lapsed?.();
  }

  /** All that the snapshot shows was told of. Each stamp is taken by a transaction that has its number already. */
  private settle(shown: Shown): void {
    // A clock that was set back stamps what was told of once more.
    if (shown.at < this.parts.settlement.upTo) {
      this.pending = undefined;
      this.parts.settlement.told(Number.NEGATIVE_INFINITY);
    }
    const begin = beginOf(shown.snapshot);
    for (const one of [this.pending, shown]) {
      if (!one || begin < one.next) continue;
      this.pending = undefined;
      this.parts.settlement.told(one.at);
    }
    if (this.parts.settlement.upTo < shown.at) this.pending ??= shown;
  }

  private async show(): Promise<Shown> {
    // now() is when the transaction began, before all else is looked at. The end of a snapshot is behind the last transaction that
    // ended, and not behind the last one that began: that is what age() counts to.
    const [row] = await this.parts.database.query<{ snapshot: string; age: number; at: string }>(
      `SELECT pg_current_snapshot()::text AS snapshot, age('${FIRST_XID}'::xid) AS age,
         (extract(epoch FROM now()) * 1000000)::bigint AS at`,
    );
    const { snapshot = '', age = 0, at } = row ?? {};
    const end = endOf(snapshot);
    const next = end + BigInt.asUintN(32, BigInt(age + FIRST_XID) - end);
    return { snapshot, next, at: Number(at) - STAMP_MARGIN };
  }

  /** Tells of the commits that are in this snapshot and were not in the one before. */
  private async commitsUpTo(shown: string): Promise<void> {
    const { database, known } = this.parts;
    let last = '0';
    for (let more = true; more && !this.stopped;) {
      const commits = await database.query<Commit>(
        `SELECT id, xid, retention_class, first_time, last_time, first_stamp, last_stamp FROM features.intake
         WHERE xid >= pg_snapshot_xmin($1::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, $1::pg_snapshot)
           AND pg_visible_in_snapshot(xid, $2::pg_snapshot) AND id > $3 ORDER BY id LIMIT ${COMMITS}`,
        [this.seen, shown, last],
      );
      const unheard = commits.filter(({ xid }) => !known(xid));
      for (const group of grouped(unheard)) await this.tell(group);
      last = commits.at(-1)?.id ?? last;
      more = commits.length === COMMITS;
    }
  }

  /** Events of these commits, and of others that lie between them. */
  private async tell(span: Span): Promise<void> {
    for (let from = span.firstStamp; ;) {
      // The numbers stand in the statement so that it is planned for the cuts of the log that it needs.
      const rows = await this.parts.database.query<EventRow>(
        `SELECT stream, entity, event_time, event_id, ingested_at, previous, log_only, vals FROM features.event
         WHERE retention_class = ${span.retentionClass} AND event_time BETWEEN ${span.firstTime} AND ${span.lastTime}
           AND ingested_at BETWEEN ${from} AND ${span.lastStamp} ORDER BY ingested_at LIMIT ${EVENTS}`,
      );
      const events = rows.flatMap((row) => this.eventOf(row));
      if (events.length > 0) for (const listener of this.parts.listeners) listener.taken(events);
      if (rows.length < EVENTS) return;
      from = Math.max(from + 1, Number(rows.at(-1)?.ingested_at));
    }
  }

  private eventOf({ stream: id, entity, log_only: logOnly, vals: values, ...row }: EventRow): TakenEvent[] {
    const stream = this.parts.streams.keptOfId(id);
    if (!stream) return [];
    const { event_time, event_id: eventId, ingested_at } = row;
    const times = { eventTime: Number(event_time), ingestedAt: Number(ingested_at), previous: Number(row.previous) };
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

/** Of a snapshot, `xmin:xmax:…`: the first transaction that had not ended. */
function beginOf(snapshot: string): bigint {
  return BigInt(snapshot.split(':')[0] ?? 0);
}

/** Of a snapshot, `xmin:xmax:…`: the transaction from which on nothing had begun. */
function endOf(snapshot: string): bigint {
  return BigInt(snapshot.split(':')[1] ?? 0);
}
