import type { Actor } from '@sibyl/kernel';

/**
 * Whether two actors may be one person: the same key, or keys whose owners, or names where they have no owner, read alike. One
 * person with two keys is found by their owner; where in doubt two keys are one person, because then an approval more is needed.
 */
export function samePerson(a: Actor, b: Actor): boolean {
  if (a.type !== b.type) return false;
  return a.id === b.id || (a.type === 'key' && labelOf(a) === labelOf(b));
}

function labelOf({ owner, name }: Actor): string {
  return (owner ?? name).normalize('NFKC').trim().toLowerCase();
}
