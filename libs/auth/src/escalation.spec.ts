import { DomainError } from '@sibyl/kernel';
import type { KeyRights } from './api-key';
import { excessOver, issueAction, refuseLift } from './escalation';
import { ROLES, SCOPES, type Role } from './scopes';
import { aPrincipal } from './testing';

const LIMITED: KeyRights = {
  scopes: ['predict:a*', 'models:read', 'keys:write'],
  models: ['a*'],
  cidrs: ['10.0.0.0/8'],
  expiresAtMs: 1_000,
  rateLimit: { requests: 10, seconds: 10 },
  quota: { requests: 310, period: 'month' },
};

function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
  }
  throw new Error('nothing was refused');
}

function without(rights: KeyRights, field: keyof KeyRights): KeyRights {
  return Object.fromEntries(Object.entries(rights).filter(([name]) => name !== field)) as unknown as KeyRights;
}

describe('excessOver', () => {
  it('finds nothing in the same rights or fewer', () => {
    expect(excessOver(LIMITED, LIMITED)).toEqual([]);
    const fewer: KeyRights = {
      scopes: ['predict:ab'],
      models: ['ab', 'ac*'],
      cidrs: ['10.1.0.0/16'],
      expiresAtMs: 999,
      rateLimit: { requests: 5, seconds: 10 },
      quota: { requests: 10, period: 'day' },
    };
    expect(excessOver(fewer, LIMITED)).toEqual([]);
    expect(excessOver(fewer, { scopes: ['predict'] })).toEqual([]);
  });

  it.each<[string, Partial<KeyRights>, string]>([
    ['another scope', { scopes: ['models:write'] }, '/scopes/0'],
    ['keys:grant', { scopes: ['models:read', 'keys:grant'] }, '/scopes/1'],
    ['predict without a glob', { scopes: ['predict'] }, '/scopes/0'],
    ['predict with a wider glob', { scopes: ['predict:*'] }, '/scopes/0'],
    ['another model', { models: ['ab', 'b'] }, '/models/1'],
    ['a wider model glob', { models: ['*'] }, '/models/0'],
    ['another network', { cidrs: ['11.0.0.0/8'] }, '/cidrs/0'],
    ['a wider network', { cidrs: ['10.0.0.0/7'] }, '/cidrs/0'],
    ['a later end', { expiresAtMs: 1_001 }, '/expires_at'],
    ['a larger burst', { rateLimit: { requests: 11, seconds: 100 } }, '/rate_limit'],
    ['a faster pace', { rateLimit: { requests: 10, seconds: 9 } }, '/rate_limit'],
    ['a larger quota', { quota: { requests: 311, period: 'month' } }, '/quota'],
    ['a daily quota that makes more in a month', { quota: { requests: 11, period: 'day' } }, '/quota'],
  ])('finds %s', (_, rights, pointer) => {
    expect(excessOver({ ...LIMITED, ...rights }, LIMITED).map((excess) => excess.pointer)).toEqual([pointer]);
  });

  it.each(['models', 'cidrs', 'expiresAtMs', 'rateLimit', 'quota'] as const)('finds that %s is left out', (field) => {
    const open = without(LIMITED, field);
    expect(excessOver(open, LIMITED)).toHaveLength(1);
    expect(excessOver(LIMITED, open)).toEqual([]);
  });

  it('allows a monthly quota within a daily one only up to one day', () => {
    const own: KeyRights = { scopes: [], quota: { requests: 10, period: 'day' } };
    expect(excessOver({ scopes: [], quota: { requests: 10, period: 'month' } }, own)).toEqual([]);
    expect(excessOver({ scopes: [], quota: { requests: 11, period: 'month' } }, own)).toHaveLength(1);
  });
});

describe('issueAction', () => {
  const roles = Object.keys(ROLES) as Role[];

  it('lets each role with keys:write but without keys:grant issue only what lies within it', () => {
    for (const role of roles) {
      const own = new Set<string>([...ROLES[role], 'keys:write']);
      own.delete('keys:grant');
      const principal = aPrincipal({ scopes: [...own] });
      for (const other of roles) {
        const within = ROLES[other].every((scope) => own.has(scope));
        const issue = (): unknown => issueAction(principal, { scopes: ROLES[other] });
        if (within) expect(issue()).toBe('key.issue');
        else expect(refusal(issue).code).toBe('scope_missing');
      }
      for (const scope of SCOPES) {
        const issue = (): unknown => issueAction(principal, { scopes: [scope] });
        if (own.has(scope)) expect(issue()).toBe('key.issue');
        else expect(refusal(issue).detail).toContain(`\`${scope}\``);
      }
    }
  });

  it('records what only keys:grant allows as a grant, and the rest as ordinary', () => {
    const admin = aPrincipal({ scopes: ROLES.admin });
    expect(issueAction(admin, { scopes: ROLES.team })).toBe('key.issue');
    expect(issueAction(admin, { scopes: ROLES.admin })).toBe('key.issue');
    expect(issueAction(admin, { scopes: ROLES.compliance })).toBe('key.grant');
    expect(issueAction(aPrincipal({ ...LIMITED, scopes: ['keys:grant'] }), { scopes: ['ops:write'] })).toBe(
      'key.grant',
    );
  });

  it('issues nothing for a key with neither', () => {
    expect(refusal(() => issueAction(aPrincipal(), { scopes: ['predict'] })).detail).toContain('keys:write');
  });

  it('names in its faults all that goes too far', () => {
    const error = refusal(() => issueAction(aPrincipal(LIMITED), { scopes: ['ops:read', 'predict:ab'] }));
    expect(error.faults?.map((fault) => fault.pointer)).toEqual([
      '/scopes/0',
      '/models',
      '/cidrs',
      '/expires_at',
      '/rate_limit',
      '/quota',
    ]);
    expect(error.faults?.[0]).not.toHaveProperty('scope');
  });

  it('says which limit is too wide where no scope is', () => {
    const error = refusal(() => issueAction(aPrincipal(LIMITED), { ...LIMITED, cidrs: ['0.0.0.0/0'] }));
    expect(error.detail).toContain('`cidrs/0`');
  });
});

describe('refuseLift', () => {
  const admin = aPrincipal({ scopes: ROLES.admin });

  it('refuses a change beyond the caller, even with keys:grant', () => {
    const error = refusal(() => refuseLift(admin, { scopes: ['predict'] }, { scopes: ['predict', 'audit:export'] }));
    expect(error).toMatchObject({ code: 'scope_missing' });
    expect(error.detail).toContain('audit:export');
  });

  it('refuses to prolong or widen a key that allows more than the caller', () => {
    const compliance: KeyRights = { scopes: ROLES.compliance, expiresAtMs: 10, cidrs: ['10.0.0.0/8'] };
    expect(refusal(() => refuseLift(admin, compliance, { ...compliance, expiresAtMs: 11 })).code).toBe('scope_missing');
    const open = without(compliance, 'cidrs');
    expect(refusal(() => refuseLift(admin, compliance, open)).code).toBe('scope_missing');
  });

  it('lets the caller take rights away from any key, and widen keys within its own', () => {
    expect(() => refuseLift(admin, { scopes: ROLES.compliance }, { scopes: ['audit:export'] })).not.toThrow();
    expect(() => refuseLift(admin, { scopes: ROLES.compliance }, { scopes: ROLES.compliance })).not.toThrow();
    expect(() => refuseLift(admin, { scopes: ['predict'] }, { scopes: ROLES.admin })).not.toThrow();
  });

  it('does not let a limited key lift itself', () => {
    const own = aPrincipal(LIMITED);
    expect(refusal(() => refuseLift(own, LIMITED, { ...LIMITED, rateLimit: { requests: 11, seconds: 10 } })).code).toBe(
      'scope_missing',
    );
    const open = without(LIMITED, 'rateLimit');
    expect(refusal(() => refuseLift(own, LIMITED, open)).code).toBe('scope_missing');
  });
});
