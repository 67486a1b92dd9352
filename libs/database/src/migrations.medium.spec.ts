import { Client } from 'pg';
import { Database } from './database';
import type { DatabaseLog } from './database-log';
import type { Migration } from './migrations';
import { createTestDatabase, silentLog, type TestDatabase } from './testing';

const table: Migration = {
  id: '0001_table',
  schema: 'things',
  sql: 'CREATE TABLE things.thing (id int); GRANT SELECT ON things.thing TO sibyl_app;',
};
const column: Migration = { id: '0002_column', schema: 'things', sql: 'ALTER TABLE things.thing ADD name text;' };

let test: TestDatabase;

beforeEach(async () => {
  test = await createTestDatabase([table]);
});

afterEach(() => test.drop());

async function migrate(migrations: Migration[], log = silentLog): Promise<void> {
  const database = await Database.start({ url: test.url, migrations }, log);
  await database.close();
}

async function ledger(): Promise<string[]> {
  const client = new Client({ connectionString: test.url });
  await client.connect();
  const { rows } = await client.query<{ id: string }>('SELECT id FROM sibyl.migration ORDER BY applied_at');
  await client.end();
  return rows.map(({ id }) => id);
}

it('applies each step once and later steps after them', async () => {
  await migrate([table]);
  await migrate([table, column]);
  expect(await ledger()).toEqual(['0001_table', '0002_column']);
});

it('refuses to start when an applied step has changed', async () => {
  const changed = { ...table, sql: `${table.sql} ` };
  await expect(migrate([changed])).rejects.toMatchObject({
    code: 'internal_error',
    detail: 'The database cannot be used: migration things/0001_table has changed since it was applied.',
  });
});

it('refuses a step that would come before an applied one of its schema, and two steps of one name', async () => {
  await expect(migrate([{ ...table, id: '0000_late' }, table])).rejects.toThrow('comes before things/0001_table');
  await expect(migrate([table, table])).rejects.toThrow('two migrations have the same name');
});

it('leaves nothing of a step that fails, and names it without its SQL', async () => {
  const broken = { id: '0002_broken', schema: 'things', sql: 'CREATE TABLE things.half (id int); SELECT 1/0;' };
  await expect(migrate([table, broken])).rejects.toMatchObject({
    detail: 'The database cannot be used: migration things/0002_broken failed.',
    cause: { code: '22012' },
  });
  expect(await ledger()).toEqual(['0001_table']);
  await expect(test.database.query('SELECT * FROM things.half')).rejects.toThrow('does not exist');
});

it('applies each step once when several processes start at the same time', async () => {
  const slow = { id: '0002_slow', schema: 'things', sql: 'SELECT pg_sleep(0.2); CREATE TABLE things.once (id int);' };
  await Promise.all([1, 2, 3].map(() => migrate([table, slow, { ...column, id: '0003_column' }])));
  expect(await ledger()).toEqual(['0001_table', '0002_slow', '0003_column']);
});

it('starts on a database that a newer version has migrated, and says so', async () => {
  await migrate([table, column]);
  const warnings: object[] = [];
  const log: DatabaseLog = { ...silentLog, warn: (fields) => warnings.push(fields) };
  await migrate([table], log);
  expect(warnings).toContainEqual({ migrations: ['things/0002_column'] });
});
