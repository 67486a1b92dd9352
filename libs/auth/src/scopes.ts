/** Hot path. See docs/paths/predict.md. */
import { globWithin, isGlob, matchesGlob } from './glob';

/** Everything that can be allowed to a key. */
export const SCOPES = [
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
] as const;

export type Scope = (typeof SCOPES)[number];

/** Bundles of scopes. Keys store the role's name, so that a bundle may grow with the product. */
export const ROLES = {
  team: ['predict', 'models:read', 'features:read'],
  admin: SCOPES.filter((scope) => scope !== 'audit:export'),
  compliance: ['audit:read', 'audit:export', 'models:read'],
  operator: ['ops:read', 'ops:write', 'models:read'],
} as const satisfies Record<string, readonly Scope[]>;

export type Role = keyof typeof ROLES;

const PREDICT_ON = 'predict:';

export function isRole(text: string): text is Role {
  return Object.hasOwn(ROLES, text);
}

/** The scopes of a role; of a role that this version does not know, none. */
export function scopesOfRole(role: string): readonly string[] {
  return isRole(role) ? ROLES[role] : [];
}

/** Whether a key may be given this: a scope, or `predict:<model glob>`. */
export function isGrantable(text: string): boolean {
  if (text.startsWith(PREDICT_ON)) return isGlob(text.slice(PREDICT_ON.length));
  return (SCOPES as readonly string[]).includes(text);
}

/** Whether one of the scopes allows `scope` on some model at least. */
export function holdsScope(scopes: readonly string[], scope: Scope): boolean {
  if (scopes.includes(scope)) return true;
  return scope === 'predict' && scopes.some((held) => held.startsWith(PREDICT_ON));
}

/** Whether one of the scopes allows `scope` on this model. */
export function holdsScopeOn(scopes: readonly string[], scope: Scope, model: string): boolean {
  if (scopes.includes(scope)) return true;
  if (scope !== 'predict') return false;
  for (const held of scopes) {
    if (held.startsWith(PREDICT_ON) && matchesGlob(held.slice(PREDICT_ON.length), model)) return true;
  }
  return false;
}

/** Whether `scope` (possibly `predict:<glob>`) allows nothing that `held` does not. */
export function scopeWithin(scope: string, held: readonly string[]): boolean {
  if (held.includes(scope)) return true;
  if (!scope.startsWith(PREDICT_ON)) return false;
  const glob = scope.slice(PREDICT_ON.length);
  return held.some(
    (own) => own === 'predict' || (own.startsWith(PREDICT_ON) && globWithin(glob, own.slice(PREDICT_ON.length))),
  );
}
