import { DomainError } from '@sibyl/kernel';
import type { ApiKey, KeyDraft, KeyPatch } from './api-key';
import { AuthOptions } from './auth-options';
import { settingsOfDraft, settingsOfPatch } from './key-rules';

const NOW = Date.parse('2026-01-15T10:30:00Z');
const KEY: ApiKey = {
  id: 'id',
  prefix: 'prefix',
  name: 'desk',
  owner: 'trading',
  role: 'team',
  scopes: ['predict', 'models:read', 'features:read'],
  models: ['a*'],
  cidrs: ['10.0.0.0/8'],
  expiresAtMs: NOW + 1,
  rateLimit: { requests: 1, seconds: 1 },
  quota: { requests: 1, period: 'day' },
  createdAtMs: 0,
  createdBy: 'x',
  person: 'operator',
  version: 1,
};

function pointersOf(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError && error.code === 'invalid_parameter')
      return error.faults?.map((f) => f.pointer) ?? [];
    throw error;
  }
  return [];
}

function faults(draft: Partial<KeyDraft>): string[] {
  return pointersOf(() => settingsOfDraft({ name: 'n', role: 'team', ...draft }, new AuthOptions(), NOW));
}

describe('settingsOfDraft', () => {
  it('takes over what is good, expands roles and drops doubles', () => {
    const draft: KeyDraft = {
      name: 'desk',
      scopes: ['predict:a*', 'models:read', 'models:read'],
      models: ['a*', 'a*'],
      cidrs: ['10.0.0.0/8'],
      expiresAtMs: NOW + 1,
      rateLimit: { requests: 1_000_000, seconds: 86_400 },
      quota: { requests: 1, period: 'month' },
    };
    expect(settingsOfDraft(draft, new AuthOptions(), NOW)).toEqual({
      ...draft,
      scopes: ['predict:a*', 'models:read'],
      models: ['a*'],
    });
    expect(settingsOfDraft({ name: 'n', role: 'team' }, new AuthOptions(), NOW)).toEqual({
      name: 'n',
      role: 'team',
      scopes: ['predict', 'models:read', 'features:read'],
    });
  });

  it('wants role or scopes, exactly one', () => {
    expect(faults({ scopes: ['predict'] })).toEqual(['/scopes']);
    expect(faults({ role: undefined })).toEqual(['/role']);
    expect(faults({ role: undefined, scopes: ['predict'] })).toEqual([]);
    expect(faults({ role: undefined, scopes: [] })).toEqual(['/scopes']);
  });

  it.each([
    [{ name: '' }, '/name'],
    [{ name: '   ' }, '/name'],
    [{ name: 'a\nb' }, '/name'],
    [{ name: 'x'.repeat(201) }, '/name'],
    [{ owner: '\u0007' }, '/owner'],
    [{ role: 'root' as 'admin' }, '/role'],
    [{ role: 'constructor' as 'admin' }, '/role'],
    [{ role: undefined, scopes: ['predict', 'everything'] }, '/scopes/1'],
    [{ role: undefined, scopes: ['predict:a b'] }, '/scopes/0'],
    [{ role: undefined, scopes: new Array<string>(101).fill('predict') }, '/scopes'],
    [{ models: [] }, '/models'],
    [{ models: ['ok', 'not/ok'] }, '/models/1'],
    [{ cidrs: ['10.0.0.0/33'] }, '/cidrs/0'],
    [{ cidrs: [] }, '/cidrs'],
    [{ expiresAtMs: NOW }, '/expires_at'],
    [{ expiresAtMs: Number.NaN }, '/expires_at'],
    [{ expiresAtMs: 1e15 }, '/expires_at'],
    [{ rateLimit: { requests: 0, seconds: 60 } }, '/rate_limit/requests'],
    [{ rateLimit: { requests: 1.5, seconds: 60 } }, '/rate_limit/requests'],
    [{ rateLimit: { requests: 1_000_001, seconds: 60 } }, '/rate_limit/requests'],
    [{ rateLimit: { requests: 1, seconds: 86_401 } }, '/rate_limit/seconds'],
    [{ quota: { requests: -1, period: 'day' as const } }, '/quota/requests'],
    [{ quota: { requests: 1, period: 'year' as 'day' } }, '/quota/period'],
  ])('refuses %j at %s', (draft, pointer) => {
    expect(faults(draft)).toEqual([pointer]);
  });

  it('names all faults at once', () => {
    expect(faults({ name: '', models: [' '], expiresAtMs: 0 })).toEqual(['/name', '/models/0', '/expires_at']);
  });
});

describe('settingsOfPatch', () => {
  function patched(patch: KeyPatch): unknown {
    return settingsOfPatch(KEY, patch, new AuthOptions(), NOW);
  }

  it('changes what it names and keeps the rest', () => {
    const { name, owner, role, scopes, models, cidrs, expiresAtMs, rateLimit, quota } = KEY;
    const settings = { name, owner, role, scopes, models, cidrs, expiresAtMs, rateLimit, quota };
    expect(patched({})).toEqual(settings);
    expect(patched({ name: 'other' })).toEqual({ ...settings, name: 'other' });
  });

  it('takes restrictions away with null', () => {
    const patch = { owner: null, models: null, cidrs: null, expiresAtMs: null, rateLimit: null, quota: null };
    expect(patched(patch)).toEqual({ name: 'desk', role: 'team', scopes: KEY.scopes });
  });

  it('replaces a role by scopes and scopes by a role, but not by both', () => {
    expect(patched({ scopes: ['predict'] })).toMatchObject({ scopes: ['predict'] });
    expect(patched({ scopes: ['predict'] })).not.toHaveProperty('role');
    expect(patched({ role: 'operator' })).toMatchObject({
      role: 'operator',
      scopes: ['ops:read', 'ops:write', 'models:read'],
    });
    expect(pointersOf(() => patched({ role: 'team', scopes: ['predict'] }))).toEqual(['/scopes']);
  });

  it('holds what it changes to the rules', () => {
    expect(pointersOf(() => patched({ cidrs: ['x'], expiresAtMs: NOW - 1 }))).toEqual(['/cidrs/0', '/expires_at']);
  });

  it('does not stumble over what was set long ago', () => {
    const expired = { ...KEY, expiresAtMs: NOW - 5 };
    expect(settingsOfPatch(expired, { name: 'x' }, new AuthOptions(), NOW)).toMatchObject({
      name: 'x',
      expiresAtMs: NOW - 5,
    });
  });
});
