import type { ApiKey, Principal } from '@sibyl/auth';
import {
  toIssuedKeyView,
  toKeyDraft,
  toKeyListView,
  toKeyPatch,
  toKeyView,
  toRevokedView,
  toWhoamiView,
} from './key.view';

const KEY: ApiKey = {
  id: 'id',
  prefix: 'abc',
  name: 'dashboard',
  scopes: ['predict'],
  createdAtMs: Date.UTC(2026, 0, 15),
  createdBy: 'bootstrap',
  person: 'operator',
  version: 3,
};

describe('a key', () => {
  it('shows null where nothing restricts it, and leaves out what it does not have', () => {
    expect(toKeyView(KEY)).toEqual({
      id: 'id',
      prefix: 'abc',
      name: 'dashboard',
      owner: null,
      scopes: ['predict'],
      expires_at: null,
      rate_limit: null,
      quota: null,
      cidrs: null,
      created_at: '2026-01-15T00:00:00.000Z',
      created_by: 'bootstrap',
    });
  });

  it('shows everything that it has', () => {
    const full: ApiKey = {
      ...KEY,
      owner: 'risk',
      role: 'team',
      models: ['fraud_*'],
      cidrs: ['10.0.0.0/8'],
      expiresAtMs: Date.UTC(2030, 0, 1),
      rateLimit: { requests: 5, seconds: 10 },
      quota: { requests: 7, period: 'day' },
      revokedAtMs: Date.UTC(2027, 0, 1),
      lastUsedAtMs: Date.UTC(2026, 5, 1),
    };
    expect(toKeyView(full)).toMatchObject({
      owner: 'risk',
      role: 'team',
      models: ['fraud_*'],
      cidrs: ['10.0.0.0/8'],
      expires_at: '2030-01-01T00:00:00.000Z',
      rate_limit: { requests: 5, seconds: 10 },
      quota: { requests: 7, period: 'day' },
      revoked_at: '2027-01-01T00:00:00.000Z',
      last_used_at: '2026-06-01T00:00:00.000Z',
    });
  });

  it('shows its text only when it is issued', () => {
    expect(Object.keys(toIssuedKeyView({ key: KEY, text: 'sk_abc_secret' })).slice(0, 2)).toEqual(['id', 'key']);
    expect(JSON.stringify(toKeyListView({ items: [KEY], next: 'c' }))).not.toContain('sk_');
    expect(toKeyListView({ items: [] })).toEqual({ items: [] });
  });

  it('that was revoked says when', () => {
    expect(toRevokedView({ id: 'id', revokedAtMs: Date.UTC(2026, 0, 15) })).toEqual({
      id: 'id',
      revoked_at: '2026-01-15T00:00:00.000Z',
    });
  });

  it('is known to its holder', () => {
    const principal = {
      ...KEY,
      keyId: 'id',
      role: 'team',
      actor: { type: 'key', id: 'id', name: 'dashboard' },
    } as unknown as Principal;
    expect(toWhoamiView(principal)).toMatchObject({
      id: 'id',
      prefix: 'abc',
      role: 'team',
      scopes: ['predict'],
      rate_limit: null,
    });
  });
});

describe('a request for a key', () => {
  it('becomes a draft, null being as good as absent', () => {
    const body = {
      name: 'a',
      role: 'team' as const,
      owner: null,
      expires_at: '2030-01-01T00:00:00Z',
      rate_limit: null,
      quota: null,
    };
    expect(toKeyDraft(body)).toEqual({
      name: 'a',
      role: 'team',
      expiresAtMs: Date.UTC(2030, 0, 1),
    });
  });

  it('becomes a change, null taking a restriction away', () => {
    expect(toKeyPatch({ expires_at: null, quota: null, name: 'b' })).toEqual({
      name: 'b',
      expiresAtMs: null,
      quota: null,
    });
  });
});
