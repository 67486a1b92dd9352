import { DomainError } from '@sibyl/kernel';
import type { ClientBase } from 'pg';
import { sqlState } from './database-errors';
import type { DatabaseLog } from './database-log';

export const OWNER_ROLE = 'sibyl_owner';
export const APP_ROLE = 'sibyl_app';
export const AUDIT_ROLE = 'sibyl_audit';

/** From version 16 on, whoever makes a role is a member of it without being able to become it. */
const MAY_BECOME = `CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END`;

const ROLES = [OWNER_ROLE, APP_ROLE, AUDIT_ROLE] as const;

/**
 * How far the application is kept from the owner's rights: `login`, it has none and cannot get them; `session`, its
 * connections drop them, but its login could take them back; `none`, it has them.
 */
export type RoleSeparation = 'login' | 'session' | 'none';

/** Who takes each part in this database. */
export interface Cast {
  readonly owner: string;
  readonly app: string;
  readonly audit: string;
}

export const SEPARATE_ROLES: Cast = { owner: OWNER_ROLE, app: APP_ROLE, audit: AUDIT_ROLE };

export interface RoleRequest {
  /** The embedded server's roles log in themselves; elsewhere they are groups that logins become. */
  readonly canLogIn: boolean;
  /** The login of the application, where it is another than that of the owner. */
  readonly runtimeUser: string | undefined;
}

/** Makes the three roles and lets the logins use them, as far as this connection may. False where they cannot be used. */
export async function ensureRoles(client: ClientBase, request: RoleRequest): Promise<boolean> {
  try {
    await createMissing(client, request);
    if (!request.canLogIn) await grantMemberships(client, request.runtimeUser);
    await allowSchemas(client);
    for (const role of ROLES) await client.query(`SET ROLE ${role}`);
    return true;
  } catch (error) {
    if (sqlState(error) === undefined || !/^(42501|42704|22023|0LP01)$/.test(sqlState(error) ?? '')) throw error;
    return false;
  } finally {
    await client.query('RESET ROLE');
  }
}

/** What the login behind a connection of the application could still do, given who owns the tables. */
export async function separationOf(client: ClientBase, owner: string): Promise<RoleSeparation> {
  const { rows } = await client.query<{ powerful: boolean; same: boolean }>(
    `SELECT rolsuper OR pg_has_role(session_user, $1, 'MEMBER') AS powerful, current_user = $1 AS same
     FROM pg_roles WHERE rolname = session_user`,
    [owner],
  );
  const [login] = rows;
  if (!login || login.same) return 'none';
  return login.powerful ? 'session' : 'login';
}

/** Says what is lost without separate roles, or refuses to go on without them. */
export function acceptMissingRoles(isRequired: boolean, user: string, log: DatabaseLog): void {
  const remedy = `let the database user "${user}" create roles, or create ${ROLES.join(', ')} and grant them to it, and start on an empty database`;
  const lost =
    'the application runs with the rights of the owner, so PostgreSQL does not keep it from changing or deleting audit rows';
  if (isRequired)
    throw new DomainError(
      'database_unavailable',
      `Refused to start: without separate database roles ${lost}; ${remedy}.`,
    );
  log.warn({ remedy }, `without separate database roles ${lost}`);
}

/** The SQL of a migration for those who take the parts here. */
export function recast(sql: string, cast: Cast): string {
  return sql.replace(/\bsibyl_(owner|app|audit)\b/g, (role, part: keyof Cast) =>
    cast[part] === role ? role : `"${cast[part].replaceAll('"', '""')}"`,
  );
}

async function createMissing(client: ClientBase, { canLogIn }: RoleRequest): Promise<void> {
  const { rows } = await client.query<{ rolname: string }>('SELECT rolname FROM pg_roles WHERE rolname = ANY($1)', [
    ROLES,
  ]);
  const present = new Set(rows.map(({ rolname }) => rolname));
  for (const role of ROLES.filter((name) => !present.has(name))) {
    await tolerating(['42710', '23505'], () => client.query(`CREATE ROLE ${role} ${canLogIn ? 'LOGIN' : 'NOLOGIN'}`));
  }
}

async function grantMemberships(client: ClientBase, runtimeUser: string | undefined): Promise<void> {
  const { rows } = await client.query<{ name: string; role: string }>(
    `SELECT login.rolname AS name, role.rolname AS role FROM pg_roles login, pg_roles role
     WHERE (login.rolname = current_user OR (login.rolname = $1 AND role.rolname <> '${OWNER_ROLE}'))
       AND role.rolname = ANY($2) AND NOT login.rolsuper AND NOT pg_has_role(login.oid, role.oid, ${MAY_BECOME})`,
    [runtimeUser ?? null, ROLES],
  );
  for (const { name, role } of rows) {
    await tolerating(['XX000', '23505'], () => client.query(`GRANT ${role} TO ${client.escapeIdentifier(name)}`));
  }
}

/** Migrations may make schemas as the owner; where the database belongs to somebody else, its schemas are made for it. */
async function allowSchemas(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ database: string; may: boolean }>(
    `SELECT current_database() AS database, has_database_privilege('${OWNER_ROLE}', current_database(), 'CREATE') AS may`,
  );
  const [found] = rows;
  if (!found || found.may) return;
  const grant = `GRANT CREATE ON DATABASE ${client.escapeIdentifier(found.database)} TO ${OWNER_ROLE}`;
  await tolerating(['42501', 'XX000'], () => client.query(grant));
}

/** Several processes may make the same roles at once; XX000 is "tuple concurrently updated". */
async function tolerating(states: readonly string[], work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!states.includes(sqlState(error) ?? '')) throw error;
  }
}
