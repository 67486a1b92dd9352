import type { ApiKey, IssuedKey, KeyDraft, KeyPage, KeyPatch, KeyRights, Principal } from '@sibyl/auth';
import { timestamp } from '@sibyl/kernel';
import type { ChangeKeyBody, IssueKeyBody } from './key.dto';

/** The draft of a key as the library takes it. */
export function toKeyDraft(body: IssueKeyBody): KeyDraft {
  const { owner, models, cidrs, expires_at: expiresAt, rate_limit: rateLimit, quota } = body;
  return {
    name: body.name,
    role: body.role,
    scopes: body.scopes,
    owner: owner ?? undefined,
    models: models ?? undefined,
    cidrs: cidrs ?? undefined,
    expiresAtMs: msOf(expiresAt) ?? undefined,
    rateLimit: rateLimit ?? undefined,
    quota: quota ?? undefined,
  };
}

/** The change of a key: what is absent stays, what is null goes. */
export function toKeyPatch(body: ChangeKeyBody): KeyPatch {
  const { name, role, scopes, owner, models, cidrs, rate_limit: rateLimit, quota } = body;
  return { name, role, scopes, owner, models, cidrs, rateLimit, quota, expiresAtMs: msOf(body.expires_at) };
}

function msOf(time: string | null | undefined): number | null | undefined {
  return typeof time === 'string' ? Date.parse(time) : time;
}

/** A key without anything secret. */
export function toKeyView(key: ApiKey): Record<string, unknown> {
  return {
    id: key.id,
    prefix: key.prefix,
    name: key.name,
    owner: key.owner ?? null,
    ...rightsOf(key),
    created_at: timestamp(key.createdAtMs),
    created_by: key.createdBy,
    ...(key.lastUsedAtMs === undefined ? {} : { last_used_at: timestamp(key.lastUsedAtMs) }),
    ...(key.revokedAtMs === undefined ? {} : { revoked_at: timestamp(key.revokedAtMs) }),
  };
}

/** The only view with the key itself. */
export function toIssuedKeyView({ key, text }: IssuedKey): Record<string, unknown> {
  const { id, ...rest } = toKeyView(key);
  return { id, key: text, ...rest };
}

export function toKeyListView(page: KeyPage): Record<string, unknown> {
  return { items: page.items.map(toKeyView), ...(page.next === undefined ? {} : { next: page.next }) };
}

export function toRevokedView(revoked: { id: string; revokedAtMs: number }): Record<string, unknown> {
  return { id: revoked.id, revoked_at: timestamp(revoked.revokedAtMs) };
}

/** What a caller is and may do. */
export function toWhoamiView(principal: Principal): Record<string, unknown> {
  return {
    id: principal.keyId,
    prefix: principal.prefix,
    name: principal.name,
    owner: principal.owner ?? null,
    ...rightsOf(principal),
  };
}

function rightsOf(rights: KeyRights & { readonly role?: string }): Record<string, unknown> {
  return {
    ...(rights.role === undefined ? {} : { role: rights.role }),
    scopes: rights.scopes,
    ...(rights.models === undefined ? {} : { models: rights.models }),
    expires_at: rights.expiresAtMs === undefined ? null : timestamp(rights.expiresAtMs),
    rate_limit: rights.rateLimit ?? null,
    quota: rights.quota ?? null,
    cidrs: rights.cidrs ?? null,
  };
}
