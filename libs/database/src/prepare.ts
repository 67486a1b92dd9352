import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { DomainError } from '@sibyl/kernel';
import { embeddedConnections, externalConnections, userOf, type Connections } from './connections';
import { isUnreachable, sqlState } from './database-errors';
import type { DatabaseLog } from './database-log';
import type { DatabaseOptions } from './database-options';
import type { EmbeddedPostgres } from './embedded-postgres';
import { applyMigrations, type Migration } from './migrations';
import {
  acceptMissingRoles,
  ensureRoles,
  OWNER_ROLE,
  SEPARATE_ROLES,
  separationOf,
  type RoleSeparation,
} from './roles';

export interface PreparedDatabase {
  readonly connections: Connections;
  readonly separation: RoleSeparation;
}

/** Makes the embedded server's database and roles if they are missing, and migrates. */
export async function prepareEmbedded(
  server: EmbeddedPostgres,
  options: DatabaseOptions,
  migrations: readonly Migration[],
  log: DatabaseLog,
): Promise<PreparedDatabase> {
  const connections = embeddedConnections(server);
  const client = await reach(connections.owner, options).catch(async (error: unknown) => {
    if (sqlState(error) !== '3D000') throw error;
    await makeDatabase(connections.owner, options);
    return reach(connections.owner, options);
  });
  try {
    await ensureRoles(client, { canLogIn: true, runtimeUser: undefined });
    await applyMigrations(client, { migrations, cast: SEPARATE_ROLES }, log);
  } finally {
    await client.end();
  }
  return { connections, separation: 'login' };
}

/** Makes the roles on an operator's server as far as its login may, and migrates. */
export async function prepareExternal(
  options: DatabaseOptions,
  migrations: readonly Migration[],
  log: DatabaseLog,
): Promise<PreparedDatabase> {
  const client = await reach(externalConnections(options, false).owner, options);
  try {
    const owner = await currentUser(client);
    const runtime = options.ownerUrl === undefined ? undefined : userOf(options.url ?? '');
    const canUseRoles = await ensureRoles(client, { canLogIn: false, runtimeUser: runtime });
    // A database that was set up without the roles stays with its owner, whose grants name its own login.
    const hasRoles = canUseRoles && [undefined, OWNER_ROLE].includes(await ledgerOwner(client));
    const login = runtime ?? owner;
    const cast = hasRoles ? SEPARATE_ROLES : { owner, app: login, audit: login };
    const connections = externalConnections(options, hasRoles);
    const separation = await checkRuntime(connections.app, cast.owner, options);
    if (separation === 'none') acceptMissingRoles(options.requireSeparateRoles, owner, log);
    await applyMigrations(client, { migrations, cast }, log);
    return { connections, separation };
  } finally {
    await client.end();
  }
}

/** The application's own login may be another than the one that made the roles. */
async function checkRuntime(config: ClientConfig, owner: string, options: DatabaseOptions): Promise<RoleSeparation> {
  const client = await reach(config, options);
  try {
    return await separationOf(client, owner);
  } finally {
    await client.end();
  }
}

/** Connects, waiting for a server that is still starting. */
async function reach(config: ClientConfig, options: DatabaseOptions): Promise<Client> {
  const deadline = performance.now() + options.startTimeoutMs;
  for (;;) {
    const client = new Client({
      ...config,
      connectionTimeoutMillis: options.connectTimeoutMs,
      query_timeout: options.migrationTimeoutMs,
      statement_timeout: options.migrationTimeoutMs,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      // A wrong password or database does not become right by waiting.
      const isHopeless = !isUnreachable(error) || /^(28|3D)/.test(sqlState(error) ?? '');
      if (isHopeless && sqlState(error) === '3D000') throw error;
      if (isHopeless || performance.now() + options.reconnectPauseMs > deadline) throw unreachable(error, options);
      await sleep(options.reconnectPauseMs);
    }
  }
}

function unreachable(cause: unknown, options: DatabaseOptions): DomainError {
  const state = sqlState(cause) ?? '';
  const reason = state.startsWith('28') ? 'it refuses the login' : `no answer within ${options.startTimeoutMs} ms`;
  return new DomainError('database_unavailable', `The database cannot be reached: ${reason}.`, { cause });
}

async function makeDatabase(owner: ClientConfig, options: DatabaseOptions): Promise<void> {
  const client = await reach({ ...owner, database: 'postgres' }, options);
  try {
    await ensureRoles(client, { canLogIn: true, runtimeUser: undefined });
    // 42P04: another process that starts on the same folder has just made it.
    await client
      .query(`CREATE DATABASE ${client.escapeIdentifier(owner.database ?? '')} OWNER ${OWNER_ROLE}`)
      .catch((error: unknown) => {
        if (!/^(42P04|23505)$/.test(sqlState(error) ?? '')) throw error;
      });
  } finally {
    await client.end();
  }
}

async function currentUser(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>('SELECT current_user AS name');
  return rows[0]?.name ?? '';
}

async function ledgerOwner(client: Client): Promise<string | undefined> {
  const sql = `SELECT tableowner AS owner FROM pg_tables WHERE schemaname = 'sibyl' AND tablename = 'migration'`;
  const { rows } = await client.query<{ owner: string }>(sql);
  return rows[0]?.owner;
}
