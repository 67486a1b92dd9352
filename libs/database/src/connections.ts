import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import { DomainError } from '@sibyl/kernel';
import type { DatabaseOptions } from './database-options';
import { EMBEDDED_SUPERUSER, type EmbeddedPostgres } from './embedded-postgres';
import { APP_ROLE, AUDIT_ROLE } from './roles';

const EMBEDDED_DATABASE = 'sibyl';

/** How each part of the library reaches the database. */
export interface Connections {
  /** Makes roles and runs migrations. */
  readonly owner: ClientConfig;
  readonly app: ClientConfig;
  readonly audit: ClientConfig;
}

/** The embedded server's roles are logins of their own. */
export function embeddedConnections(server: EmbeddedPostgres): Connections {
  const as = (user: string): ClientConfig => withDefaults({ ...server.address, user, database: EMBEDDED_DATABASE });
  return { owner: as(EMBEDDED_SUPERUSER), app: as(APP_ROLE), audit: as(AUDIT_ROLE) };
}

/** Connections to an operator's server; they become the application's and the audit role only where `hasRoles`. */
export function externalConnections({ url, ownerUrl }: DatabaseOptions, hasRoles: boolean): Connections {
  const runtime = parsed(url ?? '');
  return {
    owner: withDefaults(ownerUrl === undefined ? runtime : parsed(ownerUrl)),
    app: withDefaults(hasRoles ? become(runtime, APP_ROLE) : runtime),
    audit: withDefaults(hasRoles ? become(runtime, AUDIT_ROLE) : runtime),
  };
}

/** The login of an address, as the operator wrote it. */
export function userOf(url: string): string | undefined {
  return parsed(url).user;
}

function parsed(url: string): ClientConfig {
  try {
    return parseIntoClientConfig(url);
  } catch (cause) {
    throw new DomainError('database_unavailable', 'The address of the database is not a valid PostgreSQL URL.', {
      cause,
    });
  }
}

function become(config: ClientConfig, role: string): ClientConfig {
  return { ...config, options: [config.options, `-c role=${role}`].filter(Boolean).join(' ') };
}

function withDefaults(config: ClientConfig): ClientConfig {
  const options = [config.options, '-c timezone=UTC'].filter(Boolean).join(' ');
  return { application_name: 'sibyl', keepAlive: true, ...config, options };
}
