import type { Actor } from '@sibyl/kernel';
import type { ApiKey, KeyRights } from './api-key';

/** The caller, as the gate has recognised it: one frozen object for all requests of a key. */
export interface Principal extends KeyRights {
  readonly keyId: string;
  readonly prefix: string;
  readonly name: string;
  readonly owner?: string;
  readonly role?: string;
  readonly actor: Actor;
}

export function principalOf(key: ApiKey): Principal {
  const { id, prefix, name, owner, role, person, scopes, models, cidrs, expiresAtMs, rateLimit, quota } = key;
  return Object.freeze({
    keyId: id,
    prefix,
    name,
    ...(owner === undefined ? {} : { owner }),
    ...(role === undefined ? {} : { role }),
    scopes,
    ...(models === undefined ? {} : { models }),
    ...(cidrs === undefined ? {} : { cidrs }),
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    ...(rateLimit === undefined ? {} : { rateLimit }),
    ...(quota === undefined ? {} : { quota }),
    actor: Object.freeze({
      type: 'key',
      id,
      keyId: id,
      name,
      ...(owner === undefined ? {} : { owner }),
      ...(role === undefined ? {} : { role }),
      person,
    }),
  });
}
