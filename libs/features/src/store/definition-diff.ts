/** One difference of two documents: at an RFC 6901 pointer, where members of lists with names are found by them. */
export interface DefinitionChange {
  readonly pointer: string;
  readonly change: 'added' | 'removed' | 'changed';
  readonly from?: unknown;
  readonly to?: unknown;
}

const MOST = 500;

/** What differs, in the order of the documents; of very different ones the first few hundred. */
export function diffOf(from: unknown, to: unknown): DefinitionChange[] {
  const changes: DefinitionChange[] = [];
  compare(from, to, '', changes);
  return changes.slice(0, MOST);
}

function compare(from: unknown, to: unknown, pointer: string, changes: DefinitionChange[]): void {
  if (changes.length >= MOST || JSON.stringify(from) === JSON.stringify(to)) return;
  const [before, after] = [membersOf(from), membersOf(to)];
  if (!before || !after) {
    changes.push({ pointer, change: 'changed', from, to });
    return;
  }
  for (const [name, member] of before) {
    const at = `${pointer}/${escaped(name)}`;
    if (after.has(name)) compare(member, after.get(name), at, changes);
    else changes.push({ pointer: at, change: 'removed', from: member });
  }
  for (const [name, member] of after)
    if (!before.has(name)) changes.push({ pointer: `${pointer}/${escaped(name)}`, change: 'added', to: member });
}

/** Members of an object, or of a list of things that have names. */
function membersOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return new Map(Object.entries(value));
  const names = value.map((item: unknown) => (item as { name?: unknown } | null)?.name);
  const named = names.every((name) => typeof name === 'string') && new Set(names).size === names.length;
  return named ? new Map(value.map((item: unknown, i) => [names[i] as string, item])) : undefined;
}

function escaped(name: string): string {
  return name.replace(/~/g, '~0').replace(/\//g, '~1');
}
