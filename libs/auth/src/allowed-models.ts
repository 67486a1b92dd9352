/** Hot path. See docs/paths/predict.md. */
import type { KeyRights } from './api-key';
import { matchesGlob } from './glob';
import { holdsScopeOn, type Scope } from './scopes';

/** Whether these rights allow `scope` on this model: for leaving out what a caller may not see. */
export function allowsModel(rights: Pick<KeyRights, 'scopes' | 'models'>, scope: Scope, model: string): boolean {
  if (!holdsScopeOn(rights.scopes, scope, model)) return false;
  const { models } = rights;
  if (models === undefined || !(scope === 'predict' || scope.startsWith('models:'))) return true;
  return models.some((glob) => matchesGlob(glob, model));
}
