import { DomainError } from '@sibyl/kernel';

/**
 * Looks at a name that a server lists. Nothing is ever opened under such a name unless the package may have it; but a server that
 * tries to lead somewhere else is not believed at all.
 */
export function checkListedName(name: string): void {
  const hostile =
    name.length === 0 ||
    name.length > NAME_MAX ||
    /[\p{Cc}\\]/u.test(name) ||
    name.startsWith('/') ||
    /^[A-Za-z]:/.test(name) ||
    decoded(name).split(/[\\/]/).includes('..');
  if (!hostile) return;
  throw new DomainError('model_rejected', 'The place lists a file under a name that leads out of its folder.', {
    faults: [
      { pointer: '/', expected: 'plain relative names', received: name.slice(0, 100).replace(/[^\x20-\x7e]/g, '?') },
    ],
  });
}

const NAME_MAX = 1024;

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
