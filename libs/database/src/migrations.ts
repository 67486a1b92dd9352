import { createHash } from 'node:crypto';
import { DomainError } from '@sibyl/kernel';
import type { ClientBase } from 'pg';
import type { DatabaseLog } from './database-log';
import { recast, type Cast } from './roles';

/** One step of one library's schema. Applied ones never change: a correction is a new step. */
export interface Migration {
  /** Unique and rising within the schema, such as `0001_events`. */
  readonly id: string;
  /** Made before its first step, with USAGE for the application and audit roles. */
  readonly schema: string;
  /** Runs as `sibyl_owner` in one transaction; grants `sibyl_app` and `sibyl_audit` what they need. */
  readonly sql: string;
}

export interface MigrationRun {
  readonly migrations: readonly Migration[];
  readonly cast: Cast;
}

/** Any number that nobody else uses for an advisory lock: the bytes of "sibyl". */
const LOCK_KEY = '495689300332';

/** Brings the database to the state of the list: in order, once, checked against what was applied before. */
export async function applyMigrations(client: ClientBase, run: MigrationRun, log: DatabaseLog): Promise<void> {
  if (pending(run.migrations, await applied(client, run), log).length === 0) return;
  await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
  try {
    await makeLedger(client, run);
    // Another process may have migrated while this one waited for the lock.
    for (const migration of pending(run.migrations, await applied(client, run), log)) {
      await applyOne(client, migration, run);
      log.info({ migration: nameOf(migration) }, 'migrated the database');
    }
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [LOCK_KEY]);
  }
}

async function applied(client: ClientBase, run: MigrationRun): Promise<Map<string, string>> {
  return asOwner(client, run, async () => {
    const { rows: found } = await client.query<{ ledger: string | null }>(
      `SELECT to_regclass('sibyl.migration') AS ledger`,
    );
    if (!found[0]?.ledger) return new Map<string, string>();
    const { rows } = await client.query<{ name: string; checksum: string }>(
      `SELECT schema || '/' || id AS name, checksum FROM sibyl.migration ORDER BY applied_at, name`,
    );
    return new Map(rows.map(({ name, checksum }) => [name, checksum]));
  });
}

function pending(migrations: readonly Migration[], done: ReadonlyMap<string, string>, log: DatabaseLog): Migration[] {
  const known = new Set(migrations.map(nameOf));
  if (known.size !== migrations.length) throw refused('two migrations have the same name');
  const unknown = [...done.keys()].filter((name) => !known.has(name));
  if (unknown.length > 0) log.warn({ migrations: unknown }, 'the database was migrated by a newer version of Sibyl');
  return migrations.filter((migration) => {
    const checksum = done.get(nameOf(migration));
    if (checksum !== undefined && checksum !== checksumOf(migration)) {
      throw refused(`migration ${nameOf(migration)} has changed since it was applied`);
    }
    if (checksum === undefined) refuseLate(migration, done);
    return checksum === undefined;
  });
}

/** A step that sorts before an applied one of its schema would run on tables that it was not written for. */
function refuseLate(migration: Migration, done: ReadonlyMap<string, string>): void {
  const later = [...done.keys()].find((name) => name.startsWith(`${migration.schema}/`) && name > nameOf(migration));
  if (later !== undefined)
    throw refused(`migration ${nameOf(migration)} comes before ${later}, which was applied already`);
}

async function makeLedger(client: ClientBase, run: MigrationRun): Promise<void> {
  await makeSchema(client, 'sibyl', run.cast);
  await asOwner(client, run, async () => {
    await client.query(`CREATE TABLE IF NOT EXISTS sibyl.migration (
      schema text NOT NULL, id text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (schema, id))`);
  });
}

async function applyOne(client: ClientBase, migration: Migration, run: MigrationRun): Promise<void> {
  const { schema, id, sql } = migration;
  try {
    await makeSchema(client, schema, run.cast);
    await asOwner(client, run, async () => {
      const readers = [run.cast.app, run.cast.audit].map((role) => client.escapeIdentifier(role));
      await client.query(`GRANT USAGE ON SCHEMA ${client.escapeIdentifier(schema)} TO ${readers.join(', ')}`);
      await client.query(recast(sql, run.cast));
      const record = 'INSERT INTO sibyl.migration (schema, id, checksum) VALUES ($1, $2, $3)';
      await client.query(record, [schema, id, checksumOf(migration)]);
    });
  } catch (cause) {
    throw refused(`migration ${nameOf(migration)} failed`, cause);
  }
}

async function makeSchema(client: ClientBase, schema: string, { owner }: Cast): Promise<void> {
  const names = [schema, owner].map((name) => client.escapeIdentifier(name));
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${names[0]} AUTHORIZATION ${names[1]}`);
}

async function asOwner<T>(client: ClientBase, run: MigrationRun, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL ROLE ${client.escapeIdentifier(run.cast.owner)}`);
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function nameOf({ schema, id }: Migration): string {
  return `${schema}/${id}`;
}

function checksumOf({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex');
}

function refused(reason: string, cause?: unknown): DomainError {
  return new DomainError(
    'internal_error',
    `The database cannot be used: ${reason}.`,
    cause === undefined ? {} : { cause },
  );
}
