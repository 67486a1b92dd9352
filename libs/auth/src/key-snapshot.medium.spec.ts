import { DomainError, type ErrorCode } from '@sibyl/kernel';
import { FakeClock } from '@sibyl/kernel/testing';
import type { Database } from '@sibyl/database';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { AuthOptions } from './auth-options';
import { authMigrations } from './migrations';
import { type Auth, anAuth, ChangeLog, LogLines, ROOT, ROOT_ACTOR, someSecrets } from './testing';

const ADDRESS = '192.0.2.1';
const secrets = someSecrets();
const { record } = new ChangeLog();

function codeOf(auth: Auth, text: string): ErrorCode | 'let in' {
  try {
    auth.gate.authenticate(text, ADDRESS);
    return 'let in';
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
}

/** Waits for what is promised to happen within `ms`. */
async function within(ms: number, condition: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function optionsWith(values: Partial<AuthOptions>): AuthOptions {
  return Object.assign(new AuthOptions(), values);
}

describe('KeySnapshot', () => {
  let db: TestDatabase;
  let auth: Auth;
  const started: Auth[] = [];

  async function start(
    values: Partial<AuthOptions>,
    database: Pick<Database, 'query' | 'transaction' | 'listen'> = db.database,
  ): Promise<Auth> {
    const other = anAuth({ database, secrets, options: optionsWith(values) });
    started.push(other);
    await other.start();
    return other;
  }

  async function issue(): Promise<{ id: string; text: string }> {
    const { key, text } = await auth.keys.issue(ROOT_ACTOR, ROOT, { name: 'n', role: 'team' }, record);
    return { id: key.id, text };
  }

  beforeAll(async () => {
    db = await createTestDatabase(authMigrations);
    auth = await start({ pollMs: 60_000 });
  });

  afterEach(async () => {
    await Promise.all(started.splice(1).map((other) => other.stop()));
  });

  afterAll(async () => {
    await auth.stop();
    await db.drop();
  });

  it('lets a key in, and out again when it is revoked, in the same process as soon as the call returns', async () => {
    const { id, text } = await issue();
    expect(codeOf(auth, text)).toBe('let in');
    await auth.keys.revoke(ROOT_ACTOR, id, record);
    expect(codeOf(auth, text)).toBe('key_revoked');
  });

  it('refuses a revoked key in another process within a second, by NOTIFY', async () => {
    const other = await start({ pollMs: 60_000 });
    const { id, text } = await issue();
    await within(1_000, () => codeOf(other, text) === 'let in');
    await auth.keys.revoke(ROOT_ACTOR, id, record);
    await within(1_000, () => codeOf(other, text) === 'key_revoked');
  });

  it('refuses a revoked key in another process within a second when no NOTIFY arrives', async () => {
    const { id, text } = await issue();
    const deaf = { query: db.database.query.bind(db.database), transaction: db.database.transaction.bind(db.database) };
    const other = await start({}, { ...deaf, listen: () => Promise.resolve(() => undefined) });
    expect(codeOf(other, text)).toBe('let in');
    await auth.keys.revoke(ROOT_ACTOR, id, record);
    await within(1_000, () => codeOf(other, text) === 'key_revoked');
  });

  it('brings changed rights to other processes', async () => {
    const other = await start({ pollMs: 60_000 });
    const { id, text } = await issue();
    await auth.keys.change(ROOT_ACTOR, ROOT, { id, patch: { scopes: ['ops:read'] } }, record);
    await within(1_000, () => codeOf(other, text) === 'let in');
    await within(1_000, () => other.gate.authenticate(text, ADDRESS).scopes[0] === 'ops:read');
  });

  it('does not let a load that began before a revocation bring the key back', async () => {
    const { id, text } = await issue();
    const held = new HeldDatabase(db.database);
    const other = await start({ pollMs: 60_000 }, held);
    // The load has its rows from before the revocation, and is answered only after it.
    await db.database.query('SELECT 1');
    held.hold();
    await auth.keys.change(ROOT_ACTOR, ROOT, { id, patch: { name: 'touched' } }, record);
    const load = other.snapshot.refresh();
    await held.answered();
    await other.keys.revoke(ROOT_ACTOR, id, record);
    expect(codeOf(other, text)).toBe('key_revoked');
    held.let();
    await load;
    expect(codeOf(other, text)).toBe('key_revoked');
    await other.snapshot.refresh();
    expect(codeOf(other, text)).toBe('key_revoked');
  });

  it('answers a refresh only after a load that began later, and runs one at a time', async () => {
    const held = new HeldDatabase(db.database);
    const other = await start({ pollMs: 60_000 }, held);
    held.hold();
    const first = other.snapshot.refresh();
    await held.answered();
    const { text } = await issue();
    const loads = held.loads;
    const later = [other.snapshot.refresh(), other.snapshot.refresh(), other.snapshot.refresh()];
    held.let();
    await first;
    await Promise.all(later);
    expect(codeOf(other, text)).toBe('let in');
    expect(held.loads - loads).toBe(1);
    expect(held.most).toBe(1);
  });

  it('goes on with the last known keys while the database is away, says so, and recovers', async () => {
    const { text } = await issue();
    const held = new HeldDatabase(db.database);
    const clock = new FakeClock(Date.now());
    const log = new LogLines();
    const other = anAuth({ database: held, secrets, clock, log, options: optionsWith({ pollMs: 60_000 }) });
    started.push(other);
    await other.start();
    const { epoch, activeKeys } = other.snapshot.status();
    expect(other.snapshot.status()).toMatchObject({ ageMs: 0, stale: false });
    held.failure = new DomainError('database_unavailable', 'away');
    clock.advance(16 * 60_000);
    await expect(other.snapshot.refresh()).rejects.toThrow('away');
    await expect(other.snapshot.refresh()).rejects.toThrow('away');
    expect(codeOf(other, text)).toBe('let in');
    expect(other.snapshot.status()).toMatchObject({ ageMs: 16 * 60_000, stale: true, lastError: 'away' });
    held.failure = undefined;
    await other.snapshot.refresh();
    expect(other.snapshot.status()).toMatchObject({ epoch, activeKeys, ageMs: 0, stale: false });
    expect(other.snapshot.status()).not.toHaveProperty('lastError');
    expect(log.lines.map((line) => line.level)).toEqual(['warn', 'info']);
  });

  it('loads more keys than one statement reads, and then only what has changed', async () => {
    for (let i = 0; i < 7; i++) await issue();
    const held = new HeldDatabase(db.database);
    const other = await start({ pollMs: 60_000, loadBatch: 2 }, held);
    expect(other.snapshot.status().keys).toBe(auth.snapshot.status().keys);
    expect(other.snapshot.status().epoch).toBe(auth.snapshot.status().epoch);
    held.rows = 0;
    await other.snapshot.refresh();
    expect(held.rows).toBe(1);
  });

  it('forgets keys that were revoked long ago', async () => {
    const { id, text } = await issue();
    await auth.keys.revoke(ROOT_ACTOR, id, record);
    const after = anAuth({ database: db.database, secrets, clock: new FakeClock(Date.now() + 91 * 86_400_000) });
    const before = anAuth({ database: db.database, secrets, clock: new FakeClock(Date.now() + 89 * 86_400_000) });
    await Promise.all([after.snapshot.refresh(), before.snapshot.refresh()]);
    expect(codeOf(before, text)).toBe('key_revoked');
    expect(codeOf(after, text)).toBe('key_unknown');
  });

  it('knows no key under another pepper', async () => {
    const { text } = await issue();
    const other = anAuth({ database: db.database });
    await other.snapshot.refresh();
    expect(codeOf(other, text)).toBe('key_unknown');
  });
});

/** A database that can hold an answer back after reading it, or fail. */
class HeldDatabase implements Pick<Database, 'query' | 'transaction' | 'listen'> {
  loads = 0;
  rows = 0;
  most = 0;
  failure: Error | undefined;
  private under = 0;
  private gate: Promise<void> | undefined;
  private open: () => void = () => undefined;
  private read: Promise<void> = Promise.resolve();
  private haveRead: () => void = () => undefined;
  readonly transaction: Database['transaction'];
  readonly listen: Database['listen'] = () => Promise.resolve(() => undefined);

  constructor(private readonly database: Database) {
    this.transaction = database.transaction.bind(database);
  }

  hold(): void {
    this.gate = new Promise((resolve) => (this.open = resolve));
    this.read = new Promise((resolve) => (this.haveRead = resolve));
  }

  answered(): Promise<void> {
    return this.read;
  }

  let(): void {
    this.gate = undefined;
    this.open();
  }

  async query<T>(sql: string, params?: readonly unknown[]): Promise<T[]> {
    if (!sql.includes('key_epoch')) return this.database.query<T>(sql, params);
    if (this.failure) throw this.failure;
    this.loads++;
    this.most = Math.max(this.most, ++this.under);
    const rows = await this.database.query<T>(sql, params);
    this.rows += rows.length;
    this.haveRead();
    await this.gate;
    this.under--;
    return rows;
  }
}
