/** Hot path. See docs/paths/predict.md. */
import { timestamp, type Clock } from '@sibyl/kernel';
import type { Database } from '@sibyl/database';
import { QUOTA_PERIODS, type Quota, type QuotaPeriod } from './api-key';
import type { AuthLog } from './auth-log';
import type { AuthOptions } from './auth-options';
import type { LimitExchange } from './limit-exchange';
import type { LimitDecision } from './rate-limiter';
import { repeat } from './repeat';

/** Requests of one key in one calendar period. */
interface Count {
  startMs: number;
  endMs: number;
  used: number;
  /** Part of `used` that the database does not know yet. */
  unsaved: number;
}

interface Usage {
  lastUsedMs: number;
  savedLastUsedMs: number;
  readonly counts: Map<QuotaPeriod, Count>;
}

interface QuotaRow {
  readonly key_id: string;
  readonly period: QuotaPeriod;
  readonly period_start: Date;
  readonly used: string;
}

interface Unsaved {
  readonly keyId: string;
  readonly period: QuotaPeriod;
  readonly count: Count;
  readonly startMs: number;
  readonly requests: number;
}

/** When each key was last used and how much of its quota is gone: counted in memory, saved every few seconds. */
export class KeyUsage {
  private readonly keys = new Map<string, Usage>();
  private lastUsedSavedAt = Number.NEGATIVE_INFINITY;
  private failing = false;
  private stopTimer: (() => Promise<void>) | undefined;
  private exchange: LimitExchange | undefined = undefined;

  constructor(
    private readonly database: Pick<Database, 'query'>,
    private readonly clock: Clock,
    private readonly options: AuthOptions,
    private readonly log: AuthLog,
  ) {}

  /** Loads the counts of the present periods, then saves on a timer. */
  async start(): Promise<void> {
    const rows = await this.database.query<QuotaRow>(
      'SELECT key_id, period, period_start, used FROM auth.key_quota_usage WHERE period_start >= $1',
      [timestamp(periodBounds('month', this.clock.now()).startMs)],
    );
    for (const row of rows) {
      const bounds = periodBounds(row.period, row.period_start.getTime());
      this.usageOf(row.key_id).counts.set(row.period, { ...bounds, used: Number(row.used), unsaved: 0 });
    }
    this.stopTimer = repeat(
      this.options.quotaFlushMs,
      () => this.flush(),
      (error) => this.flushFailed(error),
    );
  }

  /** Saves what is left. */
  async stop(): Promise<void> {
    await this.stopTimer?.();
    this.lastUsedSavedAt = Number.NEGATIVE_INFINITY;
    await this.flush().catch((error: unknown) => this.flushFailed(error));
  }

  touch(keyId: string, nowMs: number): void {
    this.usageOf(keyId).lastUsedMs = nowMs;
  }

  lastUsedMs(keyId: string): number | undefined {
    return this.keys.get(keyId)?.lastUsedMs || undefined;
  }

  /** Counts `cost` requests against the quota if they are there; with 0 only tells how it stands. */
  take(keyId: string, quota: Quota, cost = 1): LimitDecision {
    const now = this.clock.now();
    const count = this.countOf(keyId, quota.period, now);
    const allowed = count.used + cost <= quota.requests;
    if (allowed) {
      count.used += cost;
      count.unsaved += cost;
      if (cost > 0)
        this.exchange?.note({ policy: 'quota', id: keyId, period: quota.period, cost }, quota.requests - count.used);
    }
    const resetSeconds = Math.max(1, Math.ceil((count.endMs - now) / 1_000));
    return {
      allowed,
      policy: 'quota',
      limit: quota.requests,
      seconds: (count.endMs - count.startMs) / 1_000,
      remaining: Math.max(0, quota.requests - count.used),
      resetSeconds,
      retryAfterSeconds: allowed ? 0 : resetSeconds,
    };
  }

  /** From here on other processes are told what is counted here. */
  shareWith(exchange: LimitExchange): void {
    this.exchange = exchange;
  }

  /** What another process has counted, and saves itself. */
  hear(keyId: string, period: QuotaPeriod, cost: number): void {
    this.countOf(keyId, period, this.clock.now()).used += cost;
    // What this process has not told of it is told in a moment anyway.
  }

  /** Saves counts, and from time to time when keys were last used; learns what other processes have counted. */
  async flush(): Promise<void> {
    await this.flushCounts();
    if (this.clock.monotonic() - this.lastUsedSavedAt >= this.options.lastUsedFlushMs) await this.flushLastUsed();
    if (this.failing) this.log.info({}, 'key usage can be saved again');
    this.failing = false;
  }

  private async flushCounts(): Promise<void> {
    const unsaved = this.unsavedCounts();
    for (let at = 0; at < unsaved.length; at += this.options.usageBatch) {
      const batch = unsaved.slice(at, at + this.options.usageBatch);
      // Ordered by key, so that two processes take the row locks in the same order and never deadlock.
      const rows = await this.database.query<QuotaRow>(
        `WITH saved AS (
           INSERT INTO auth.key_quota_usage AS q (key_id, period, period_start, used)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[]) AS f (key_id, period, start, used)
           ORDER BY f.key_id, f.period
           ON CONFLICT (key_id, period) DO UPDATE SET
             used = CASE WHEN excluded.period_start = q.period_start THEN q.used + excluded.used
                         WHEN excluded.period_start > q.period_start THEN excluded.used
                         ELSE q.used END,
             period_start = greatest(q.period_start, excluded.period_start)
           RETURNING key_id, period, period_start, used)
         SELECT * FROM saved`,
        [
          batch.map((entry) => entry.keyId),
          batch.map((entry) => entry.period),
          batch.map((entry) => timestamp(entry.startMs)),
          batch.map((entry) => entry.requests),
        ],
      );
      for (const { count, startMs, requests } of batch) {
        if (count.startMs === startMs) count.unsaved -= requests;
      }
      for (const row of rows) this.learn(row);
    }
  }

  private async flushLastUsed(): Promise<void> {
    const startedAt = this.clock.monotonic();
    const used = [...this.keys].filter(([, usage]) => usage.lastUsedMs > usage.savedLastUsedMs).sort(byKey);
    for (let at = 0; at < used.length; at += this.options.usageBatch) {
      const batch = used.slice(at, at + this.options.usageBatch).map(([keyId, usage]) => ({
        keyId,
        usage,
        ms: usage.lastUsedMs,
      }));
      await this.database.query(
        `WITH saved AS (
           INSERT INTO auth.key_usage AS u (key_id, last_used_at)
           SELECT * FROM unnest($1::uuid[], $2::timestamptz[]) AS f (key_id, used_at) ORDER BY f.key_id
           ON CONFLICT (key_id) DO UPDATE SET last_used_at = greatest(u.last_used_at, excluded.last_used_at)
           RETURNING 1)
         SELECT count(*) FROM saved`,
        [batch.map((entry) => entry.keyId), batch.map((entry) => timestamp(entry.ms))],
      );
      for (const { usage, ms } of batch) usage.savedLastUsedMs = ms;
    }
    this.lastUsedSavedAt = startedAt;
  }

  private unsavedCounts(): Unsaved[] {
    const unsaved: Unsaved[] = [];
    for (const [keyId, usage] of [...this.keys].sort(byKey)) {
      for (const period of QUOTA_PERIODS) {
        const count = usage.counts.get(period);
        if (!count || count.unsaved === 0) continue;
        unsaved.push({ keyId, period, count, startMs: count.startMs, requests: count.unsaved });
      }
    }
    return unsaved;
  }

  /**
   * The database's number holds what every process has saved; ours on top is what only we know. What was heard of and is not
   * saved yet makes ours the larger one.
   */
  private learn(row: QuotaRow): void {
    const count = this.keys.get(row.key_id)?.counts.get(row.period);
    if (count?.startMs === row.period_start.getTime())
      count.used = Math.max(count.used, Number(row.used) + count.unsaved);
  }

  private countOf(keyId: string, period: QuotaPeriod, now: number): Count {
    const counts = this.usageOf(keyId).counts;
    const count = counts.get(period);
    // A clock that is put back does not open an earlier period again.
    if (count && now < count.endMs) return count;
    const fresh = { ...periodBounds(period, now), used: 0, unsaved: 0 };
    counts.set(period, fresh);
    return fresh;
  }

  private usageOf(keyId: string): Usage {
    const known = this.keys.get(keyId);
    if (known) return known;
    const usage: Usage = { lastUsedMs: 0, savedLastUsedMs: 0, counts: new Map() };
    this.keys.set(keyId, usage);
    return usage;
  }

  private flushFailed(error: unknown): void {
    if (!this.failing) this.log.warn({ err: error }, 'key usage cannot be saved; it is kept in memory');
    this.failing = true;
  }
}

/** The calendar period of UTC that holds `ms`. */
function periodBounds(period: QuotaPeriod, ms: number): { startMs: number; endMs: number } {
  const date = new Date(ms);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  return period === 'day'
    ? { startMs: Date.UTC(year, month, day), endMs: Date.UTC(year, month, day + 1) }
    : { startMs: Date.UTC(year, month), endMs: Date.UTC(year, month + 1) };
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
