import { OPERATOR, type Actor } from '@sibyl/kernel';

/** For whoever is refused for it. */
export const ONE_PERSON = 'Keys that stem from one key which the operator issued are one person.';

/**
 * Whether two actors may be one person. They are where their keys stem from one key that the operator issued, which nobody can
 * choose; and where their owners, or the names of keys without one, read alike: in doubt they are one, because then an approval
 * more is needed. What the server does by itself the operator answers for.
 */
export function samePerson(a: Actor, b: Actor): boolean {
  const persons = personsOf(a);
  if (personsOf(b).some((person) => persons.includes(person))) return true;
  const label = labelOf(a);
  return label !== undefined && label === labelOf(b);
}

// A key is its own person's: what was written down before persons were known names the key alone.
function personsOf({ type, id, person }: Actor): string[] {
  return type === 'system' ? [person ?? OPERATOR] : person === undefined ? [id] : [id, person];
}

function labelOf({ type, owner, name }: Actor): string | undefined {
  return (owner ?? (type === 'key' ? name : undefined))?.normalize('NFKC').trim().toLowerCase();
}
