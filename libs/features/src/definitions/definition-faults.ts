import { DomainError, type FieldFault } from '@sibyl/kernel';

/** Most faults of one answer. */
const FAULTS_MAX = 100;

/** What is wrong with a definition, so that its author learns all of it at once. */
export class DefinitionFaults {
  readonly list: FieldFault[] = [];
  /** Of all of them, those beyond the limit too. */
  count = 0;

  add(pointer: string, fault: Omit<FieldFault, 'pointer'>): undefined {
    this.count++;
    if (this.list.length < FAULTS_MAX) this.list.push({ pointer, ...fault });
    return undefined;
  }

  /** Throws `invalid_definition` where there are any. */
  throwAny(what: string): void {
    const [first] = this.list;
    if (!first) return;
    const more = this.count > 1 ? ` (and ${this.count - 1} more)` : '';
    const said = first.hint ?? (first.expected === undefined ? first.received : `expected ${first.expected}`) ?? '';
    throw new DomainError(
      'invalid_definition',
      `The ${what} cannot be used: ${first.pointer || '/'}: ${said}${more}.`,
      {
        faults: this.list,
      },
    );
  }
}

/** RFC 6901: a member behind a pointer. */
export function pointerTo(pointer: string, member: string | number): string {
  return `${pointer}/${String(member).slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** A value as a fault may show it: definitions hold nothing personal. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
