import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { AnswerSeal } from './answer-seal';
import { AuthOptions } from './auth-options';
import { IdempotencyStore, requestFingerprint, type IdempotencyLease, type StoredAnswer } from './idempotency-store';
import { authMigrations } from './migrations';
import { LogLines } from './testing';

const KEY = '00000000-0000-7000-8000-000000000001';
const OTHER_KEY = '00000000-0000-7000-8000-000000000002';
const ANSWER: StoredAnswer = { status: 201, headers: { location: '/v1/keys/1' }, body: '{"key":"sk_secret"}' };

function code(value: string): Error {
  return expect.objectContaining({ code: value }) as unknown as Error;
}

describe('IdempotencyStore', () => {
  let db: TestDatabase;
  let store: IdempotencyStore;
  const sealKey = randomBytes(32);

  beforeAll(async () => {
    db = await createTestDatabase(authMigrations);
  });

  beforeEach(async () => {
    await db.database.query('DELETE FROM auth.idempotency');
    store = aStore();
  });

  afterAll(() => db.drop());

  function aStore(values: Partial<AuthOptions> = {}, key = sealKey): IdempotencyStore {
    return new IdempotencyStore(
      db.database,
      new AnswerSeal(key),
      Object.assign(new AuthOptions(), values),
      new LogLines(),
    );
  }

  async function begin(from: IdempotencyStore, fingerprint = 'f', key = 'k'): Promise<IdempotencyLease> {
    const start = await from.begin(KEY, key, fingerprint);
    if (start.kind !== 'new') throw new Error('there is an answer already');
    return start.lease;
  }

  /** As if the process that holds the lease had died this long ago. */
  async function age(column: 'leased_until' | 'expires_at', ms: number): Promise<void> {
    await db.database.query(`UPDATE auth.idempotency SET ${column} = ${column} - $1 * interval '1 ms'`, [ms]);
  }

  it('runs a request once and gives its answer to every repeat, in other processes too', async () => {
    await store.finish(await begin(store), ANSWER);
    expect(await store.begin(KEY, 'k', 'f')).toEqual({ kind: 'stored', answer: ANSWER });
    expect(await aStore().begin(KEY, 'k', 'f')).toEqual({ kind: 'stored', answer: ANSWER });
  });

  it('refuses another request under the same key, while it runs and afterwards', async () => {
    const lease = await begin(store);
    await expect(store.begin(KEY, 'k', 'other')).rejects.toThrow(code('idempotency_conflict'));
    await store.finish(lease, ANSWER);
    await expect(store.begin(KEY, 'k', 'other')).rejects.toThrow(code('idempotency_conflict'));
  });

  it('keeps callers apart', async () => {
    await store.finish(await begin(store), ANSWER);
    expect(await store.begin(OTHER_KEY, 'k', 'f')).toMatchObject({ kind: 'new' });
    expect(await store.begin(KEY, 'k2', 'f')).toMatchObject({ kind: 'new' });
  });

  it('lets exactly one of many at once through', async () => {
    const stores = [store, aStore(), aStore()];
    const results = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => stores[i % 3]!.begin(KEY, 'k', 'f')));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    expect(refused.map((result) => (result.reason as { code: string }).code)).toEqual(
      new Array<string>(29).fill('idempotency_running'),
    );
  });

  it('forgets a 5xx and a release, so that the request may be tried again', async () => {
    await store.finish(await begin(store), { status: 503, headers: {}, body: '' });
    await store.release(await begin(store));
    await store.finish(await begin(store, 'another body is fine then'), ANSWER);
  });

  it('keeps refusals', async () => {
    const refusal = { status: 422, headers: {}, body: '{"code":"model_rejected"}' };
    await store.finish(await begin(store), refusal);
    expect(await store.begin(KEY, 'k', 'f')).toEqual({ kind: 'stored', answer: refusal });
  });

  it('takes over from a process that died, whose late answer then changes nothing', async () => {
    const dead = await begin(store);
    await expect(aStore().begin(KEY, 'k', 'f')).rejects.toThrow(code('idempotency_running'));
    await age('leased_until', 59_000);
    await expect(aStore().begin(KEY, 'k', 'f')).rejects.toThrow(code('idempotency_running'));
    await age('leased_until', 2_000);
    await expect(aStore().begin(KEY, 'k', 'other')).rejects.toThrow(code('idempotency_conflict'));
    const successor = aStore();
    const lease = await begin(successor);
    await store.finish(dead, { ...ANSWER, body: 'late' });
    await store.release(dead);
    await successor.finish(lease, ANSWER);
    await store.finish(dead, { ...ANSWER, body: 'later' });
    expect(await store.begin(KEY, 'k', 'f')).toEqual({ kind: 'stored', answer: ANSWER });
  });

  it('keeps the lease of a long request alive', async () => {
    const lease = await begin(store);
    await age('leased_until', 61_000);
    await store.renew();
    await expect(aStore().begin(KEY, 'k', 'f')).rejects.toThrow(code('idempotency_running'));
    await store.finish(lease, ANSWER);
    await store.renew();
    expect(await store.begin(KEY, 'k', 'f')).toEqual({ kind: 'stored', answer: ANSWER });
  });

  it('renews and purges on its own timers', async () => {
    const done = { renewed: 0, purged: 0 };
    let both = (): void => undefined;
    const happened = new Promise<void>((resolve) => (both = resolve));
    const watched = {
      query: async <T>(sql: string, params?: readonly unknown[]): Promise<T[]> => {
        const rows = await db.database.query<T>(sql, params);
        if (sql.includes('renewed')) done.renewed++;
        if (sql.includes('gone')) done.purged++;
        if (done.renewed > 0 && done.purged > 0) both();
        return rows;
      },
    };
    const options = Object.assign(new AuthOptions(), { idempotencyLeaseMs: 300, idempotencyPurgeMs: 100 });
    const other = new IdempotencyStore(watched, new AnswerSeal(sealKey), options, new LogLines());
    const lease = await begin(other);
    await age('leased_until', 10_000);
    other.start();
    await happened;
    await other.stop();
    await expect(store.begin(KEY, 'k', 'f')).rejects.toThrow(code('idempotency_running'));
    await other.release(lease);
  });

  it('keeps answers for 24 hours', async () => {
    await store.finish(await begin(store), ANSWER);
    await age('expires_at', 24 * 3_600_000 - 60_000);
    expect(await store.begin(KEY, 'k', 'other').catch((error: { code: string }) => error.code)).toBe(
      'idempotency_conflict',
    );
    await age('expires_at', 61_000);
    expect(await store.begin(KEY, 'k', 'other')).toMatchObject({ kind: 'new' });
  });

  it('purges what has expired, in batches, and nothing else', async () => {
    for (let i = 0; i < 7; i++) await begin(store, 'f', `old ${i}`);
    await age('expires_at', 25 * 3_600_000);
    await store.finish(await begin(store, 'f', 'new'), ANSWER);
    const purging = aStore({ idempotencyPurgeBatch: 2, idempotencyPurgeRounds: 2 });
    expect(await purging.purge()).toBe(4);
    expect(await purging.purge()).toBe(3);
    expect(await purging.purge()).toBe(0);
    expect(await store.begin(KEY, 'new', 'f')).toMatchObject({ kind: 'stored' });
  });

  it('stores answers so that they cannot be read, nor used in another place', async () => {
    await store.finish(await begin(store), ANSWER);
    const client = new Client({ connectionString: db.url });
    await client.connect();
    const { rows } = await client.query<{ answer: Buffer }>('SELECT answer FROM auth.idempotency');
    await client.query(
      `INSERT INTO auth.idempotency SELECT $1, idempotency_key, fingerprint, lease, leased_until, answer, expires_at
      FROM auth.idempotency`,
      [OTHER_KEY],
    );
    await client.end();
    expect(rows[0]?.answer.toString('latin1')).not.toContain('secret');
    await expect(store.begin(OTHER_KEY, 'k', 'f')).rejects.toThrow(code('idempotency_conflict'));
    await expect(aStore({}, randomBytes(32)).begin(KEY, 'k', 'f')).rejects.toThrow(code('idempotency_conflict'));
  });

  it('keeps of an answer that is too large what says that the request was done', async () => {
    const small = aStore({ idempotencyAnswerBytes: 10 });
    await small.finish(await begin(small), { ...ANSWER, body: 'ü'.repeat(6) });
    expect(await small.begin(KEY, 'k', 'f')).toEqual({
      kind: 'stored',
      answer: { status: 201, headers: ANSWER.headers },
    });
  });

  it('takes keys of 1 to 255 characters', async () => {
    await begin(store, 'f', 'ü'.repeat(255));
    for (const key of ['', 'x'.repeat(256)]) {
      await expect(store.begin(KEY, key, 'f')).rejects.toThrow(code('invalid_parameter'));
    }
  });

  it('runs a bounded number of requests at once', async () => {
    const narrow = aStore({ idempotencyRunning: 1 });
    const lease = await begin(narrow);
    await expect(narrow.begin(KEY, 'k2', 'f')).rejects.toThrow(code('queue_full'));
    await narrow.release(lease);
    await begin(narrow, 'f', 'k2');
  });

  it('tells requests apart by method, path and body', () => {
    const base = requestFingerprint('POST', '/v1/keys', '{}');
    expect(requestFingerprint('POST', '/v1/keys', Buffer.from('{}'))).toBe(base);
    for (const other of [
      requestFingerprint('PUT', '/v1/keys', '{}'),
      requestFingerprint('POST', '/v1/key', 's{}'),
      requestFingerprint('POST', '/v1/keys', '{ }'),
    ]) {
      expect(other).not.toBe(base);
    }
  });
});
