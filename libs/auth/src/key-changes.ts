import { timestamp } from '@sibyl/kernel';
import type { ApiKey } from './api-key';

type AuditedFields = Readonly<Record<string, unknown>>;

/** The fields of a new key, as its audit event lists them. */
export function auditedCreation(key: ApiKey): AuditedFields {
  return Object.fromEntries(
    Object.entries(auditedFields(key)).flatMap(([field, after]) =>
      after === null ? [] : [[field, { before: null, after }]],
    ),
  );
}

/** The fields in which a key has changed, with what they were and what they are. */
export function auditedDifference(before: ApiKey, after: ApiKey): AuditedFields {
  const old = auditedFields(before);
  return Object.fromEntries(
    Object.entries(auditedFields(after)).flatMap(([field, value]) =>
      JSON.stringify(old[field]) === JSON.stringify(value) ? [] : [[field, { before: old[field], after: value }]],
    ),
  );
}

/** In the words of the API, because that is where audit events are read. A list by name, so that no secret slips in. */
function auditedFields(key: ApiKey): Record<string, unknown> {
  return {
    prefix: key.prefix,
    name: key.name,
    owner: key.owner ?? null,
    role: key.role ?? null,
    scopes: key.scopes,
    models: key.models ?? null,
    cidrs: key.cidrs ?? null,
    expires_at: key.expiresAtMs === undefined ? null : timestamp(key.expiresAtMs),
    rate_limit: key.rateLimit ?? null,
    quota: key.quota ?? null,
    revoked_at: key.revokedAtMs === undefined ? null : timestamp(key.revokedAtMs),
  };
}
