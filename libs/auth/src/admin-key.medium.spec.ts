import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import type { Database } from '@sibyl/database';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import type { AdminKeyOutcome } from './admin-key';
import { newKeyText } from './key-text';
import { authMigrations } from './migrations';
import { ROLES } from './scopes';
import { type Auth, anAuth, ChangeLog, LogLines, ROOT, ROOT_ACTOR, someSecrets } from './testing';

const ADDRESS = '192.0.2.1';

describe('AdminKey', () => {
  let db: TestDatabase;
  let folder: string;
  let file: string;
  let secrets = someSecrets();
  let changes: ChangeLog;
  let log: LogLines;

  beforeAll(async () => {
    db = await createTestDatabase(authMigrations);
  });

  beforeEach(async () => {
    await emptied(db.url);
    folder = mkdtempSync(path.join(tmpdir(), 'sibyl-admin-key-'));
    file = path.join(folder, 'admin-key');
    secrets = someSecrets();
    changes = new ChangeLog();
    log = new LogLines();
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  afterAll(() => db.drop());

  /** A process that starts. */
  async function start(
    presetKey?: string,
    database: Pick<Database, 'query' | 'transaction' | 'listen'> = db.database,
  ): Promise<{ auth: Auth; outcome: AdminKeyOutcome }> {
    const auth = anAuth({ database, secrets, log });
    await auth.snapshot.refresh();
    return { auth, outcome: await auth.adminKey.ensure({ presetKey, file }, changes.record) };
  }

  function said(): string {
    return JSON.stringify(log.lines) + JSON.stringify(changes.changes);
  }

  it('makes a key at the first start and writes it where only its owner reads it, and nowhere else', async () => {
    const { auth, outcome } = await start();
    const text = readFileSync(file, 'utf8').trim();
    expect(outcome).toBe('made');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(auth.gate.authenticate(text, ADDRESS)).toMatchObject({ name: 'admin', role: 'admin', scopes: ROLES.admin });
    expect(changes.changes).toMatchObject([{ action: 'key.issue', changes: { role: { after: 'admin' } } }]);
    expect(said()).not.toContain(text.slice(16, 59));
  });

  it('leaves key and file alone at later starts', async () => {
    await start();
    const text = readFileSync(file, 'utf8');
    const { auth, outcome } = await start();
    expect(outcome).toBe('kept');
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(auth.gate.authenticate(text.trim(), ADDRESS).role).toBe('admin');
    expect(changes.changes).toHaveLength(1);
    expect(log.lines).toEqual([]);
  });

  it('does not make another key when the file is gone, and says how to get one', async () => {
    await start();
    rmSync(file);
    const { auth, outcome } = await start();
    expect(outcome).toBe('lost');
    expect(existsSync(file)).toBe(false);
    expect((await auth.keys.list()).items).toHaveLength(1);
    expect(log.lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('npm run key') as string }]);
  });

  it.each(['', 'nonsense', newKeyText()])('says so when the file holds %j instead of the key', async (content) => {
    await start();
    writeFileSync(file, content);
    expect((await start()).outcome).toBe('lost');
    expect(readFileSync(file, 'utf8')).toBe(content);
    expect(log.lines).toHaveLength(1);
  });

  it('says so when the key in the file was revoked, or another pepper is used', async () => {
    const { auth } = await start();
    const { keyId } = auth.gate.authenticate(readFileSync(file, 'utf8').trim(), ADDRESS);
    const ours = secrets;
    secrets = someSecrets();
    expect((await start()).outcome).toBe('lost');
    secrets = ours;
    expect((await start()).outcome).toBe('kept');
    await auth.keys.revoke(ROOT_ACTOR, keyId, changes.record);
    expect((await start()).outcome).toBe('lost');
    expect((await auth.keys.list()).items).toHaveLength(1);
  });

  it('writes the file again when the first start ended before its commit', async () => {
    const dies = {
      query: db.database.query.bind(db.database),
      listen: db.database.listen.bind(db.database),
      transaction: <T>(work: Parameters<Database['transaction']>[0]): Promise<T> =>
        db.database.transaction(async (tx) => {
          await work(tx);
          throw new Error('power cut');
        }),
    };
    await expect(start(undefined, dies)).rejects.toThrow('power cut');
    const orphan = readFileSync(file, 'utf8');
    const { auth, outcome } = await start();
    expect(outcome).toBe('made');
    expect(readFileSync(file, 'utf8')).not.toBe(orphan);
    expect(auth.gate.authenticate(readFileSync(file, 'utf8').trim(), ADDRESS).role).toBe('admin');
  });

  it('makes one key when two processes start at once', async () => {
    const outcomes = await Promise.all([start(), start(), start()]);
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['kept', 'kept', 'made']);
    expect((await outcomes[0].auth.keys.list()).items).toHaveLength(1);
  });

  it('makes no key that it cannot write down', async () => {
    file = path.join(folder, 'missing', 'admin-key');
    await expect(start()).rejects.toMatchObject({ code: 'internal_error' });
    expect(await db.database.query('SELECT 1 FROM auth.keys')).toEqual([]);
  });

  it('makes the preset key valid, once, without a file', async () => {
    const text = newKeyText();
    for (let i = 0; i < 2; i++) {
      const { auth, outcome } = await start(text);
      expect(outcome).toBe('preset');
      expect(auth.gate.authenticate(text, ADDRESS)).toMatchObject({ name: 'admin', role: 'admin' });
    }
    expect(existsSync(file)).toBe(false);
    expect(changes.changes.map((change) => change.action)).toEqual(['key.issue']);
    expect(said()).not.toContain(text.slice(16, 59));
  });

  it('revokes the former preset when the preset changes, and no other key', async () => {
    await start();
    const [first, second] = [newKeyText(), newKeyText()];
    const { auth } = await start(first);
    const { text: issued } = await auth.keys.issue(ROOT_ACTOR, ROOT, { name: 'n', role: 'admin' }, changes.record);
    const after = (await start(second)).auth;
    expect(() => after.gate.authenticate(first, ADDRESS)).toThrow('revoked');
    for (const text of [second, issued, readFileSync(file, 'utf8').trim()]) {
      expect(after.gate.authenticate(text, ADDRESS).role).toBe('admin');
    }
    expect(changes.changes.map((change) => change.action).slice(-2)).toEqual(['key.issue', 'key.revoke']);
  });

  it('does not bring a revoked preset back', async () => {
    const text = newKeyText();
    const { auth } = await start(text);
    await auth.keys.revoke(ROOT_ACTOR, auth.gate.authenticate(text, ADDRESS).keyId, changes.record);
    const again = await start(text);
    expect(again.outcome).toBe('lost');
    expect(() => again.auth.gate.authenticate(text, ADDRESS)).toThrow('revoked');
    expect(log.lines).toMatchObject([{ level: 'error' }]);
  });

  it('refuses a preset that is malformed, or has the id of another key', async () => {
    await expect(start('secret')).rejects.toMatchObject({ code: 'key_malformed' });
    const text = newKeyText();
    await start(text);
    secrets = someSecrets();
    await expect(start(text)).rejects.toMatchObject({ code: 'key_unknown' });
  });
});

/** A database that no process has ever started on. */
async function emptied(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query('TRUNCATE auth.keys CASCADE');
  await client.end();
}
