import type { RateLimit } from './rate-limiter';
import type { Role } from './scopes';

export const QUOTA_PERIODS = ['day', 'month'] as const;

export type QuotaPeriod = (typeof QUOTA_PERIODS)[number];

/** So many requests in a calendar day or month of UTC. */
export interface Quota {
  readonly requests: number;
  readonly period: QuotaPeriod;
}

/** What a key allows. Absent members allow everything. */
export interface KeyRights {
  readonly scopes: readonly string[];
  readonly models?: readonly string[];
  readonly cidrs?: readonly string[];
  readonly expiresAtMs?: number;
  readonly rateLimit?: RateLimit;
  readonly quota?: Quota;
}

/** A key as lists show it. There is no secret in it, nor anything it could be made from. */
export interface ApiKey extends KeyRights {
  readonly id: string;
  /** The `<id>` inside the key's text. */
  readonly prefix: string;
  readonly name: string;
  readonly owner?: string;
  readonly role?: string;
  readonly createdAtMs: number;
  /** Id of the key, or name of the system part, that issued it. */
  readonly createdBy: string;
  /** Whose it is, as `Actor.person` says. Never changes. */
  readonly person: string;
  readonly revokedAtMs?: number;
  readonly lastUsedAtMs?: number;
  /** Number of the change that made it what it is; grows over all keys. Good for an ETag. */
  readonly version: number;
}

/** What one asks for in a new key; `role` or `scopes`, never both. */
export interface KeyDraft {
  readonly name: string;
  readonly owner?: string | undefined;
  readonly role?: Role | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly models?: readonly string[] | undefined;
  readonly cidrs?: readonly string[] | undefined;
  readonly expiresAtMs?: number | undefined;
  readonly rateLimit?: RateLimit | undefined;
  readonly quota?: Quota | undefined;
}

/** What shall change: absent members stay, null takes the restriction away. */
export interface KeyPatch {
  readonly name?: string | undefined;
  readonly owner?: string | null | undefined;
  readonly role?: Role | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly models?: readonly string[] | null | undefined;
  readonly cidrs?: readonly string[] | null | undefined;
  readonly expiresAtMs?: number | null | undefined;
  readonly rateLimit?: RateLimit | null | undefined;
  readonly quota?: Quota | null | undefined;
}
