import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { Database, type DatabaseStart } from './database';
import type { DatabaseLog } from './database-log';
import type { Migration } from './migrations';
import { createTestDatabase, silentLog, type TestDatabase } from './testing';

const records: Migration[] = [
  {
    id: '0001_record',
    schema: 'records',
    sql: `CREATE TABLE records.record (id int) PARTITION BY RANGE (id);
      CREATE TABLE records.record_1 PARTITION OF records.record FOR VALUES FROM (0) TO (100);
      GRANT SELECT, INSERT ON records.record TO sibyl_app;
      GRANT SELECT ON records.record TO sibyl_audit;`,
  },
];

let test: TestDatabase;
const users: string[] = [];

beforeEach(async () => {
  test = await createTestDatabase(records);
});

afterEach(async () => {
  const names = users.splice(0);
  for (const name of names) await sql(test.url, `DROP OWNED BY ${name}`);
  const server = process.env['TEST_DATABASE_URL']!;
  await test.drop();
  for (const name of names) await sql(server, `DROP OWNED BY ${name}; DROP ROLE ${name}`);
});

async function sql(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<object>(text)).rows;
  } finally {
    await client.end();
  }
}

/** A login, and the URL with which it reaches this test's database. */
async function login(attributes = ''): Promise<{ name: string; url: string }> {
  const name = `user_${randomBytes(6).toString('hex')}`;
  await sql(test.url, `CREATE ROLE ${name} LOGIN ${attributes}`);
  users.push(name);
  return { name, url: test.url.replace('user=postgres', `user=${name}`) };
}

async function started<T>(
  options: Partial<DatabaseStart>,
  work: (database: Database) => Promise<T>,
  log = silentLog,
): Promise<T> {
  const database = await Database.start({ migrations: records, ...options }, log);
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

it.each([
  'UPDATE records.record SET id = 2',
  'DELETE FROM records.record',
  'TRUNCATE records.record',
  'TRUNCATE records.record_1',
  'DELETE FROM records.record_1',
  'ALTER TABLE records.record DETACH PARTITION records.record_1',
  'DROP TABLE records.record',
  'DROP SCHEMA records CASCADE',
  'ALTER TABLE records.record DISABLE TRIGGER ALL',
  'SET session_replication_role = replica',
  'CREATE TABLE records.other (id int)',
  `INSERT INTO sibyl.migration (schema, id, checksum) VALUES ('x', 'y', 'z')`,
])('the application, granted INSERT and SELECT, may not: %s', async (statement) => {
  await test.database.query('INSERT INTO records.record VALUES (1)');
  const failure: unknown = await test.database.query(statement).catch((error: unknown) => error);
  expect((failure as { code?: string }).code).toBe('42501');
  expect(await test.database.query('SELECT id FROM records.record')).toEqual([{ id: 1 }]);
});

it('owns its tables with a role that is neither the application nor the login', async () => {
  const rows = await sql(
    test.url,
    `SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('records', 'sibyl')`,
  );
  expect(rows).toEqual([{ tableowner: 'sibyl_owner' }]);
});

it('separates roles by session where one login does everything', () => {
  expect(test.database.status()).toMatchObject({ separation: 'session', embedded: false });
});

it('separates roles by login where the application has one of its own', async () => {
  const runtime = await login();
  await started({ url: runtime.url, ownerUrl: test.url }, async (database) => {
    expect(database.status().separation).toBe('login');
    expect(await database.query('SELECT session_user::text AS login, current_user::text AS role')).toEqual([
      { login: runtime.name, role: 'sibyl_app' },
    ]);
    await expect(database.query('SET ROLE sibyl_owner')).rejects.toThrow('permission denied');
  });
});

it('lets a login that may create roles, but is no superuser, set up an empty database of its own', async () => {
  const owner = await login('CREATEROLE');
  await sql(
    test.url,
    `DROP SCHEMA records, sibyl CASCADE; GRANT CREATE ON DATABASE ${databaseOf(test.url)} TO ${owner.name}`,
  );
  for (const role of ['sibyl_owner', 'sibyl_app', 'sibyl_audit']) await sql(test.url, `GRANT ${role} TO ${owner.name}`);
  await started({ url: owner.url }, async (database) => {
    expect(database.status().separation).toBe('session');
    await expect(database.query('DELETE FROM records.record')).rejects.toThrow('permission denied');
  });
});

describe('a login that may neither create nor use the roles', () => {
  async function powerless(): Promise<string> {
    const { name, url } = await login();
    await sql(
      test.url,
      `DROP SCHEMA records, sibyl CASCADE; GRANT CREATE ON DATABASE ${databaseOf(test.url)} TO ${name}`,
    );
    return url;
  }

  it('works with a warning that names what is lost', async () => {
    const warnings: string[] = [];
    const log: DatabaseLog = { ...silentLog, warn: (_fields, message) => warnings.push(message) };
    const url = await powerless();
    await started(
      { url },
      async (database) => {
        expect(database.status().separation).toBe('none');
        await database.query('INSERT INTO records.record VALUES (1)');
        expect(await database.auditQuery('SELECT id FROM records.record')).toEqual([{ id: 1 }]);
      },
      log,
    );
    expect(warnings).toEqual([expect.stringContaining('changing or deleting audit rows')]);
  });

  it('still works after somebody grants it the roles', async () => {
    const url = await powerless();
    await started({ url }, () => Promise.resolve());
    for (const role of ['sibyl_owner', 'sibyl_app', 'sibyl_audit'])
      await sql(test.url, `GRANT ${role} TO ${users.at(-1)!}`);
    await started({ url }, async (database) => {
      expect(database.status().separation).toBe('none');
      await database.query('INSERT INTO records.record VALUES (1)');
    });
  });

  it('is kept from the owner by a login of its own all the same', async () => {
    const owner = await powerless();
    const runtime = await login();
    await started({ url: runtime.url, ownerUrl: owner, requireSeparateRoles: true }, async (database) => {
      expect(database.status().separation).toBe('login');
      await database.query('INSERT INTO records.record VALUES (1)');
      await expect(database.query('DELETE FROM records.record')).rejects.toThrow('permission denied');
    });
  });

  it('is refused where separate roles are required', async () => {
    const url = await powerless();
    await expect(started({ url, requireSeparateRoles: true }, () => Promise.resolve())).rejects.toThrow(
      'Refused to start',
    );
  });
});

describe('a database that cannot be reached at the start', () => {
  const attempt = (url: string): Promise<unknown> =>
    started({ url, startTimeoutMs: 300 }, () => Promise.resolve()).catch((error: unknown) => error);

  it.each([
    ['nobody listens', 'postgres://user:secret@127.0.0.1:1/db', 'no answer within 300 ms'],
    ['it is no URL', 'postgres://user:secret@[', 'not a valid PostgreSQL URL'],
  ])('%s: a clear error within the limit, without the password', async (_name, url, reason) => {
    const error = await attempt(url);
    expect(error).toMatchObject({ code: 'database_unavailable', detail: expect.stringContaining(reason) as string });
    expect((error as Error).message).not.toContain('secret');
  });

  it('a login that does not exist is refused at once', async () => {
    const error = await started(
      { url: test.url.replace('user=postgres', 'user=nobody_here'), startTimeoutMs: 600_000 },
      () => Promise.resolve(),
    ).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ detail: 'The database cannot be reached: it refuses the login.' });
  });
});

function databaseOf(url: string): string {
  return /\/(test_[0-9a-f]+)/.exec(url)![1]!;
}
