import type { StreamDefinition } from './feature-view';

/** Whether two definitions read the same events: they differ at most by fields that one of them has behind those of the other. */
export function readsSameEvents(a: StreamDefinition, b: StreamDefinition): boolean {
  if (a === b) return true;
  if (a.identity !== b.identity || a.table !== b.table) return false;
  const both = Math.min(a.fields.length, b.fields.length);
  for (let i = 0; i < both; i++) {
    const [one, other] = [a.fields[i], b.fields[i]];
    if (one?.name !== other?.name || one?.type !== other?.type) return false;
  }
  return true;
}
