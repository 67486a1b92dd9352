import { setImmediate as nextTurn } from 'node:timers/promises';
import { isObject } from './json-document';

/** Characters that are looked at before others have a turn: one or two milliseconds. */
const SLICE = 64 * 1024;

const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/y;
/** An escape, or what has to be one: anything before the space. */
const ESCAPED = /\\|[^ -\uffff]/;
const SCALAR = /true|false|null|-?\d[\d.e+-]*/y;

/** JSON with sorted members and no space, as RFC 8785 has it: one document has one text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const present = Object.keys(value).filter((name) => value[name] !== undefined);
  return `{${present
    .sort()
    .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`)
    .join()}}`;
}

/** How many values a document has: what reading it costs, more than its length does. */
export function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, inner) => sum + (inner === undefined ? 0 : countValues(inner)), 1);
}

export interface CanonicalLimits {
  readonly depth: number;
  readonly values: number;
}

/** What keeps a text from being canonical JSON within its limits; undefined where nothing does. Made for texts of strangers: others go on meanwhile. */
export async function canonicalFault(text: string, limits: CanonicalLimits): Promise<string | undefined> {
  const scan = new CanonicalScan(text, limits);
  for (let turn = SLICE; scan.next();) {
    if (scan.at < turn) continue;
    turn = scan.at + SLICE;
    await nextTurn();
  }
  return scan.fault;
}

/** Goes through a text from value to value. */
class CanonicalScan {
  at = 0;
  fault: string | undefined;
  private values = 0;
  /** What is open: an array, or an object with its last member. */
  private readonly open: ({ last?: string } | undefined)[] = [];

  constructor(
    private readonly text: string,
    private readonly limits: CanonicalLimits,
  ) {}

  /** Goes past the beginning of a container, or past a value and what follows it; false at the end or a fault. */
  next(): boolean {
    if (++this.values > this.limits.values) return this.refuse(`more than ${this.limits.values} values`);
    const begins = this.text[this.at];
    if (begins === '{') return this.enter({}, '}');
    if (begins === '[') return this.enter(undefined, ']');
    const token = begins === '"' ? this.string() : this.scalar();
    return token !== undefined && this.after();
  }

  private enter(container: { last?: string } | undefined, end: string): boolean {
    if (this.text[++this.at] === end) {
      this.at++;
      return this.after();
    }
    if (this.open.push(container) > this.limits.depth) return this.refuse(`more than ${this.limits.depth} levels`);
    return container === undefined || this.member(container);
  }

  /** What comes after a value: the next one, or the ends of what it was in. */
  private after(): boolean {
    for (;;) {
      if (this.open.length === 0) return this.at === this.text.length ? false : this.refuse('more than one value');
      const inside = this.open.at(-1);
      const found = this.text[this.at++];
      if (found === ',') return inside === undefined || this.member(inside);
      if (found !== (inside === undefined ? ']' : '}')) return this.refuse('not canonical JSON');
      this.open.pop();
    }
  }

  private member(object: { last?: string }): boolean {
    const raw = this.string();
    if (raw === undefined) return false;
    const name = JSON.parse(raw) as string;
    if (object.last !== undefined && name <= object.last) return this.refuse('members that are not sorted');
    object.last = name;
    return this.text[this.at++] === ':' || this.refuse('not canonical JSON');
  }

  private string(): string | undefined {
    const raw = this.token(STRING);
    if (raw === undefined || !ESCAPED.test(raw) || isCanonical(raw)) return raw;
    this.refuse('a string that is not written as it should be');
    return undefined;
  }

  private scalar(): string | undefined {
    const raw = this.token(SCALAR);
    if (raw === undefined || isCanonical(raw)) return raw;
    this.refuse('a number that is not written as it should be');
    return undefined;
  }

  private token(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found === undefined) this.refuse('not canonical JSON');
    else this.at += found.length;
    return found;
  }

  private refuse(fault: string): false {
    this.fault ??= fault;
    return false;
  }
}

function isCanonical(token: string): boolean {
  try {
    return JSON.stringify(JSON.parse(token)) === token;
  } catch {
    return false;
  }
}
