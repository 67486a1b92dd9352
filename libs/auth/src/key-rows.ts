import type { ApiKey, QuotaPeriod } from './api-key';
import { scopesOfRole } from './scopes';

/** Columns of a key, for statements that call the table `k`. */
export const KEY_COLUMNS = `k.id, k.prefix, k.name, k.owner, k.role, k.scopes, k.models, k.cidrs, k.expires_at,
  k.rate_requests, k.rate_seconds, k.quota_requests, k.quota_period, k.created_at, k.created_by, k.person, k.revoked_at, k.version`;

/** A row as pg gives it: bigint as text. */
export interface KeyRow {
  readonly id: string;
  readonly prefix: string;
  readonly name: string;
  readonly owner: string | null;
  readonly role: string | null;
  readonly scopes: readonly string[] | null;
  readonly models: readonly string[] | null;
  readonly cidrs: readonly string[] | null;
  readonly expires_at: Date | null;
  readonly rate_requests: number | null;
  readonly rate_seconds: number | null;
  readonly quota_requests: string | null;
  readonly quota_period: QuotaPeriod | null;
  readonly created_at: Date;
  readonly created_by: string;
  readonly person: string;
  readonly revoked_at: Date | null;
  readonly version: string;
  readonly last_used_at?: Date | null;
}

export function keyOfRow(row: KeyRow): ApiKey {
  return {
    id: row.id,
    prefix: row.prefix,
    name: row.name,
    ...(row.owner === null ? {} : { owner: row.owner }),
    ...(row.role === null ? {} : { role: row.role }),
    scopes: Object.freeze([...(row.role === null ? (row.scopes ?? []) : scopesOfRole(row.role))]),
    ...(row.models === null ? {} : { models: Object.freeze([...row.models]) }),
    ...(row.cidrs === null ? {} : { cidrs: Object.freeze([...row.cidrs]) }),
    ...(row.expires_at === null ? {} : { expiresAtMs: row.expires_at.getTime() }),
    ...(row.rate_requests === null || row.rate_seconds === null
      ? {}
      : { rateLimit: Object.freeze({ requests: row.rate_requests, seconds: row.rate_seconds }) }),
    ...(row.quota_requests === null || row.quota_period === null
      ? {}
      : { quota: Object.freeze({ requests: Number(row.quota_requests), period: row.quota_period }) }),
    createdAtMs: row.created_at.getTime(),
    createdBy: row.created_by,
    person: row.person,
    ...(row.revoked_at === null ? {} : { revokedAtMs: row.revoked_at.getTime() }),
    ...(row.last_used_at ? { lastUsedAtMs: row.last_used_at.getTime() } : {}),
    version: Number(row.version),
  };
}
