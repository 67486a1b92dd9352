import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { Database, type DatabaseStart } from './database';
import type { DatabaseLog } from './database-log';
import { EMBEDDED_SUPERUSER, EmbeddedPostgres } from './embedded-postgres';
import type { Migration } from './migrations';

export { EMBEDDED_SUPERUSER, EmbeddedPostgres } from './embedded-postgres';

/** Tests that expect nothing of the log. */
export const silentLog: DatabaseLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export interface TestDatabase {
  readonly database: Database;
  /** Of the superuser, for what the application may not do. */
  readonly url: string;
  /** Closes the database and removes it. */
  drop(): Promise<void>;
}

/**
 * A PostgreSQL of this file's own, which `createTestDatabase` uses from now on: for tests to which transactions of others would
 * make a difference, as those of all databases of a server are counted together. Resolves to what stops it.
 */
export async function startOwnPostgres(): Promise<() => Promise<void>> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sibyl-postgres-'));
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
  const server = await EmbeddedPostgres.start({ folder, settings }, silentLog);
  process.env['TEST_DATABASE_URL'] = server.url(EMBEDDED_SUPERUSER, 'postgres');
  return async () => {
    await server.stop();
    for (const place of [server.folder, folder]) rmSync(place, { recursive: true, force: true });
  };
}

/** An empty database of its own with these migrations applied, on the server that `scripts/test.mjs` has started. */
export async function createTestDatabase(
  migrations: readonly Migration[] = [],
  options: Partial<DatabaseStart> = {},
): Promise<TestDatabase> {
  const server = process.env['TEST_DATABASE_URL'];
  if (server === undefined) throw new Error('run this test with: node scripts/test.mjs --only <path pattern>');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await asSuperuser(server, `CREATE DATABASE ${name}`);
  const url = server.replace(/\/[^/?]*(\?|$)/, `/${name}$1`);
  const database = await Database.start({ url, ...options, migrations }, silentLog);
  const drop = async (): Promise<void> => {
    await database.close();
    await asSuperuser(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  };
  return { database, url, drop };
}

async function asSuperuser(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
