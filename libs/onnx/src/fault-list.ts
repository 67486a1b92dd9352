import type { FieldFault } from '@sibyl/kernel';

const PER_KIND = 10;
const QUOTED_CHARACTERS = 80;

/** Collects the reasons against a model: up to a limit, and not a thousand times the same. */
export class FaultList {
  private readonly faults: FieldFault[] = [];
  private readonly kinds = new Map<string, number>();
  private left = 0;

  constructor(private readonly limit: number) {}

  get isEmpty(): boolean {
    return this.faults.length === 0;
  }

  add(fault: FieldFault & { readonly expected: string }): void {
    const alike = (this.kinds.get(fault.expected) ?? 0) + 1;
    this.kinds.set(fault.expected, alike);
    if (alike > PER_KIND || this.faults.length >= this.limit) this.left++;
    else this.faults.push(fault);
  }

  list(): readonly FieldFault[] {
    if (this.left === 0) return this.faults;
    return [...this.faults, { pointer: '', received: `${this.left} more faults of the same kinds or past the limit` }];
  }
}

/** Text from a file, safe to repeat in an answer or a log line. */
export function quote(text: string): string {
  const shown = text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)}…` : text;
  // JSON leaves controls beyond ASCII and the characters that reorder text as they are; a terminal does not.
  return JSON.stringify(shown).replace(/[^\p{L}\p{N}\p{M}\p{P}\p{S} ]/gu, escape);
}

function escape(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
