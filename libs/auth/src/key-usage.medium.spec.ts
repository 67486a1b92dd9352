import { DomainError } from '@sibyl/kernel';
import { FakeClock } from '@sibyl/kernel/testing';
import type { Database } from '@sibyl/database';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { AuthOptions } from './auth-options';
import type { Quota } from './api-key';
import { KeyUsage } from './key-usage';
import { authMigrations } from './migrations';
import { LogLines } from './testing';

const DAILY: Quota = { requests: 10, period: 'day' };
const MONTHLY: Quota = { requests: 100, period: 'month' };

describe('KeyUsage', () => {
  let db: TestDatabase;
  let clock: FakeClock;
  let log: LogLines;
  let count = 0;

  beforeAll(async () => {
    db = await createTestDatabase(authMigrations);
  });

  beforeEach(() => {
    clock = new FakeClock();
    log = new LogLines();
  });

  afterAll(() => db.drop());

  function aKeyId(): string {
    return `00000000-0000-7000-8000-${String(++count).padStart(12, '0')}`;
  }

  function usageOver(database: Pick<Database, 'query'> = db.database): KeyUsage {
    return new KeyUsage(database, clock, Object.assign(new AuthOptions(), { usageBatch: 3 }), log);
  }

  async function started(): Promise<KeyUsage> {
    const usage = usageOver();
    await usage.start();
    return usage;
  }

  function take(usage: KeyUsage, id: string, quota: Quota, times: number): number {
    let allowed = 0;
    for (let i = 0; i < times; i++) if (usage.take(id, quota).allowed) allowed++;
    return allowed;
  }

  it('knows what it heard of another process, also after a flush that did not see it yet', async () => {
    const id = aKeyId();
    const [one, other] = [await started(), await started()];
    expect([take(one, id, DAILY, 4), take(other, id, DAILY, 3)]).toEqual([4, 3]);
    one.hear(id, 'day', 3);
    other.hear(id, 'day', 4);
    await one.flush();
    expect(one.take(id, DAILY, 0).remaining).toBe(3);
    expect(take(one, id, DAILY, 10)).toBe(3);
    await Promise.all([one.stop(), other.stop()]);
    const after = await started();
    expect(after.take(id, DAILY, 0).remaining).toBe(0);
    await after.stop();
  });

  it('keeps counts over a restart, day and month apart', async () => {
    const id = aKeyId();
    const before = await started();
    expect(take(before, id, DAILY, 7)).toBe(7);
    expect(take(before, id, MONTHLY, 9)).toBe(9);
    await before.stop();
    const after = await started();
    expect(after.take(id, DAILY, 0).remaining).toBe(3);
    expect(after.take(id, MONTHLY, 0).remaining).toBe(91);
    expect(take(after, id, DAILY, 5)).toBe(3);
    await after.stop();
  });

  it('begins anew with the calendar day and month of UTC', async () => {
    const id = aKeyId();
    const usage = await started();
    take(usage, id, DAILY, 20);
    take(usage, id, MONTHLY, 20);
    await usage.flush();
    clock.advance(Date.parse('2026-01-16T00:00:00Z') - clock.now());
    expect(take(usage, id, DAILY, 4)).toBe(4);
    expect(usage.take(id, MONTHLY, 0).remaining).toBe(80);
    await usage.stop();
    const after = await started();
    expect(after.take(id, DAILY, 0).remaining).toBe(6);
    clock.advance(Date.parse('2026-02-01T00:00:00Z') - clock.now());
    expect(after.take(id, MONTHLY, 0).remaining).toBe(100);
    await after.stop();
  });

  it('adds up what several processes count, without loss', async () => {
    const id = aKeyId();
    const [a, b] = [await started(), await started()];
    take(a, id, MONTHLY, 30);
    take(b, id, MONTHLY, 40);
    await Promise.all([a.flush(), b.flush()]);
    await Promise.all([a.flush(), b.flush()]);
    take(a, id, MONTHLY, 1);
    take(b, id, MONTHLY, 1);
    await a.flush();
    await b.flush();
    expect(b.take(id, MONTHLY, 0).remaining).toBe(28);
    await Promise.all([a.stop(), b.stop()]);
    const c = await started();
    expect(c.take(id, MONTHLY, 0).remaining).toBe(28);
    await c.stop();
  });

  it('keeps counting while the database is away, and saves everything afterwards', async () => {
    const ids = Array.from({ length: 7 }, aKeyId);
    let failure: Error | undefined = new DomainError('database_unavailable', 'away');
    const usage = usageOver({
      query: (sql, params) => (failure ? Promise.reject(failure) : db.database.query(sql, params)),
    });
    for (const id of ids) take(usage, id, DAILY, 2);
    await expect(usage.flush()).rejects.toThrow('away');
    for (const id of ids) take(usage, id, DAILY, 1);
    failure = undefined;
    await usage.flush();
    await usage.flush();
    const after = await started();
    for (const id of ids) expect(after.take(id, DAILY, 0).remaining).toBe(7);
    await after.stop();
  });

  it('does not lose what is counted while a save is under way', async () => {
    const id = aKeyId();
    const usage: KeyUsage = usageOver({
      query: async (sql, params) => {
        const rows = await db.database.query<never>(sql, params);
        take(usage, id, MONTHLY, 1);
        return rows;
      },
    });
    take(usage, id, MONTHLY, 5);
    await usage.flush();
    const used = 100 - usage.take(id, MONTHLY, 0).remaining;
    expect(used).toBeGreaterThan(5);
    await usage.flush();
    expect(usage.take(id, MONTHLY, 0).remaining).toBeLessThan(100 - used);
    const [row] = await db.database.query<{ used: string }>('SELECT used FROM auth.key_quota_usage WHERE key_id = $1', [
      id,
    ]);
    expect(Number(row?.used)).toBe(used);
  });

  it('saves when keys were last used, at most every 15 s, and never an earlier time', async () => {
    const id = aKeyId();
    const saved = async (): Promise<string | undefined> => {
      const [row] = await db.database.query<{ at: Date }>(
        'SELECT last_used_at AS at FROM auth.key_usage WHERE key_id = $1',
        [id],
      );
      return row?.at.toISOString();
    };
    const usage = usageOver();
    usage.touch(id, clock.now());
    await usage.flush();
    expect(await saved()).toBe('2026-01-15T10:30:00.000Z');
    clock.advance(14_999);
    usage.touch(id, clock.now());
    await usage.flush();
    expect(await saved()).toBe('2026-01-15T10:30:00.000Z');
    clock.advance(1);
    await usage.flush();
    expect(await saved()).toBe('2026-01-15T10:30:14.999Z');
    const late = usageOver();
    late.touch(id, Date.parse('2026-01-15T10:30:05Z'));
    await late.flush();
    expect(await saved()).toBe('2026-01-15T10:30:14.999Z');
    expect(usage.lastUsedMs(id)).toBe(Date.parse('2026-01-15T10:30:14.999Z'));
  });

  it('saves on a timer and what is left at the end, and complains once while it cannot', async () => {
    const id = aKeyId();
    let failures = 0;
    let enough = (): void => undefined;
    const failedTwice = new Promise<void>((resolve) => (enough = resolve));
    let broken = false;
    const database: Pick<Database, 'query'> = {
      query: (sql, params) => {
        if (!broken) return db.database.query(sql, params);
        if (++failures === 2) enough();
        return Promise.reject(new Error('away'));
      },
    };
    const usage = new KeyUsage(database, clock, Object.assign(new AuthOptions(), { quotaFlushMs: 50 }), log);
    await usage.start();
    broken = true;
    take(usage, id, DAILY, 4);
    await failedTwice;
    broken = false;
    await usage.stop();
    const after = await started();
    expect(after.take(id, DAILY, 0).remaining).toBe(6);
    await after.stop();
    expect(log.lines.map((line) => line.level)).toEqual(['warn', 'info']);
  });
});
