import { DomainError, type Pace } from '@sibyl/kernel';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
export const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
export const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** An object or array around a place. */
export interface Level {
  readonly kind: typeof OPEN_BRACKET | typeof OPEN_BRACE;
  /** Where the name stands under which it is a member of the level before, if that is an object. */
  readonly nameAt: number;
}

/** A comma at which a text is cut, and what is open there. */
export interface Cut {
  readonly at: number;
  readonly levels: readonly Level[];
  /** Levels that were open all the way since the cut before. */
  readonly kept: number;
}

/** Where a text can be cut, and where it ends: behind its value, or where it is certain to be malformed. */
export interface Cuts {
  readonly cuts: readonly Cut[];
  readonly end: number;
  /** Of the first byte behind the value that is no blank; -1 where there is none. */
  readonly restAt: number;
}

/** Bytes between two looks at the time. */
const STRETCH_BYTES = 64 * 1024;

/** Finds places at least `apart` bytes from each other; refuses what nests deeper than `maxDepth`. */
export async function findCuts(bytes: Uint8Array, maxDepth: number, apart: number, pace: Pace): Promise<Cuts> {
  const walk = new Walk(bytes, maxDepth, apart);
  while (walk.go(STRETCH_BYTES)) {
    walk.refuseEndless();
    if (pace.due) await pace.next();
  }
  return walk.found();
}

/** Counts levels as `checkDepth` does, to the end of the bytes, and looks for cuts as long as brackets match. */
class Walk {
  private at = 0;
  private inString = false;
  private stringAt = 0;
  private depth = 0;
  private levels: Level[] = [];
  private kept = 0;
  private lastCut = 0;
  private readonly cuts: Cut[] = [];
  /** The value has ended, or cannot end well. */
  private end = -1;
  private restAt = -1;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly maxDepth: number,
    private readonly apart: number,
  ) {}

  /** Goes on for so many bytes; false at the end. */
  go(stretch: number): boolean {
    const { bytes } = this;
    const until = Math.min(bytes.length, this.at + stretch);
    while (this.at < until) {
      if (this.inString) this.passString(until);
      else this.passPlain(until);
    }
    return this.at < bytes.length;
  }

  /** Refuses a number as long as the stretch that was passed: no parser can stop in the middle of it, and nobody can mean it. */
  refuseEndless(): void {
    if (this.inString || this.end >= 0) return;
    const from = Math.max(0, this.at - STRETCH_BYTES);
    let at = this.at - 1;
    while (at >= from && ROLES[this.bytes[at] as number] === 0) at--;
    if (at >= from) return;
    throw new DomainError('malformed_json', `A number or word of the body has ${STRETCH_BYTES} characters or more.`);
  }

  found(): Cuts {
    return { cuts: this.cuts, end: this.end < 0 ? this.bytes.length : this.end, restAt: this.restAt };
  }

  private passString(until: number): void {
    const { bytes } = this;
    let { at } = this;
    while (at < until && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
    if (at < until) {
      this.inString = false;
      at++;
    }
    this.at = at;
  }

  private passPlain(until: number): void {
    const { bytes } = this;
    let { at } = this;
    for (; at < until; at++) {
      const role = ROLES[bytes[at] as number] as number;
      if (role <= BLANK && (this.end < 0 || role === BLANK || this.restAt >= 0)) continue;
      if (role === COMMA && this.end < 0 && at - this.lastCut < this.apart) continue;
      this.at = at;
      this.passRole(role);
      if (role === QUOTE) return;
    }
    this.at = at;
  }

  private passRole(role: number): void {
    if (this.end >= 0 && this.restAt < 0 && role !== BLANK && this.levels.length === 0) this.restAt = this.at;
    if (role === QUOTE) {
      this.stringAt = this.at++;
      this.inString = true;
    } else if (role === COMMA) this.cut();
    else if (role === OPEN_BRACKET || role === OPEN_BRACE) this.opens(role);
    else if (role === CLOSE_BRACKET || role === CLOSE_BRACE) this.closes(role);
  }

  private opens(kind: Level['kind']): void {
    if (++this.depth > this.maxDepth) {
      throw new DomainError('json_too_deep', `Objects and arrays may be nested ${this.maxDepth} deep.`);
    }
    if (this.end < 0) this.levels.push({ kind, nameAt: this.stringAt });
  }

  private closes(kind: number): void {
    this.depth--;
    if (this.end >= 0) return;
    const level = this.levels.at(-1);
    // The codes of a pair of brackets are two apart.
    if (level === undefined || level.kind + 2 !== kind) {
      this.end = this.at + 1;
      return;
    }
    this.levels.pop();
    this.kept = Math.min(this.kept, this.levels.length);
    if (this.levels.length === 0) this.end = this.at + 1;
  }

  private cut(): void {
    if (this.end >= 0 || this.levels.length === 0 || this.at - this.lastCut < this.apart) return;
    this.cuts.push({ at: this.at, levels: this.levels.slice(), kept: this.kept });
    this.lastCut = this.at;
    this.kept = this.levels.length;
  }
}

/** Blanks; bytes without a role are 0. */
const BLANK = 1;
/** Every byte that has a role, under its own code; blanks share one. */
const ROLES = new Uint8Array(256);
for (const byte of [QUOTE, COMMA, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE]) ROLES[byte] = byte;
for (const byte of [0x20, 0x0a, 0x0d, 0x09]) ROLES[byte] = BLANK;
