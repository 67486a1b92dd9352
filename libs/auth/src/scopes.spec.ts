import { holdsScope, holdsScopeOn, isGrantable, isRole, ROLES, SCOPES, scopesOfRole, scopeWithin } from './scopes';

describe('scopes and roles', () => {
  it('are those of the contract', () => {
    expect([...SCOPES].sort()).toEqual(
      [
        'predict',
        'models:read',
        'models:write',
        'models:promote',
        'features:read',
        'features:write',
        'keys:read',
        'keys:write',
        'keys:grant',
        'audit:read',
        'audit:export',
        'ops:read',
        'ops:write',
      ].sort(),
    );
    expect(ROLES.team).toEqual(['predict', 'models:read', 'features:read']);
    expect(ROLES.compliance).toEqual(['audit:read', 'audit:export', 'models:read']);
    expect([...ROLES.operator].sort()).toEqual(['models:read', 'ops:read', 'ops:write']);
    expect(new Set([...ROLES.admin, 'audit:export'])).toEqual(new Set(SCOPES));
    expect(ROLES.admin).not.toContain('audit:export');
  });

  it('allow nothing to a role that does not exist, inherited names included', () => {
    for (const role of ['root', '', 'constructor', '__proto__', 'toString', 'Admin']) {
      expect(isRole(role)).toBe(false);
      expect(scopesOfRole(role)).toEqual([]);
    }
    expect(scopesOfRole('team')).toBe(ROLES.team);
  });

  it('can be granted by their exact names, and predict by model too', () => {
    for (const scope of [...SCOPES, 'predict:fraud_*', 'predict:*']) expect(isGrantable(scope)).toBe(true);
    for (const scope of [
      '',
      'Predict',
      'models',
      'models:*',
      '*',
      'predict:',
      'predict:a b',
      'models:read:x',
      'ops:read ',
    ]) {
      expect(isGrantable(scope)).toBe(false);
    }
  });

  it('hold only what they say', () => {
    for (const held of SCOPES) {
      for (const wanted of SCOPES) expect(holdsScope([held], wanted)).toBe(held === wanted);
    }
    expect(holdsScope([], 'predict')).toBe(false);
    expect(holdsScope(['predict:fraud*'], 'predict')).toBe(true);
    expect(holdsScope(['predict:fraud*'], 'models:read')).toBe(false);
  });

  it('narrow predict to the models of the glob', () => {
    expect(holdsScopeOn(['predict:fraud*'], 'predict', 'fraud_detection')).toBe(true);
    expect(holdsScopeOn(['predict:fraud*'], 'predict', 'momentum')).toBe(false);
    expect(holdsScopeOn(['predict:fraud*', 'predict'], 'predict', 'momentum')).toBe(true);
    expect(holdsScopeOn(['predict:*'], 'models:read', 'momentum')).toBe(false);
    expect(holdsScopeOn(['models:read'], 'models:read', 'momentum')).toBe(true);
  });

  it('lie within others when those allow all that they do', () => {
    expect(scopeWithin('predict:a', ['predict'])).toBe(true);
    expect(scopeWithin('predict:ab', ['predict:a*'])).toBe(true);
    expect(scopeWithin('predict', ['predict:*'])).toBe(false);
    expect(scopeWithin('predict:b', ['predict:a*'])).toBe(false);
    expect(scopeWithin('keys:grant', ['keys:write'])).toBe(false);
    expect(scopeWithin('keys:write', ['keys:write'])).toBe(true);
  });
});
