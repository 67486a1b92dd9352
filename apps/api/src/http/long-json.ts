import { isAscii, isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { DomainError, type Pace } from '@sibyl/kernel';
import { endOfString } from '@sibyl/protocol';
import { findCuts, OPEN_BRACKET, type Cut, type Level } from './json-cuts';
import { malformed, notUtf8, parseWide, positionOf } from './json-text';

type JsonContainer = unknown[] | Record<string, unknown>;

/** Some milliseconds even for the exact parser, which takes ten times as long as JSON.parse. */
const PIECE_BYTES = 64 * 1024;

/** Members of one object: whoever lists the names of a larger one, as nearly all who read it do, cannot stop in the middle of it. */
const MEMBERS_MAX = 65_536;

/** Names that nobody can know: of what goes on with a container of the piece before, and of what is to be dropped. */
const ONWARD = randomUUID();
const FILLER = randomUUID();

/**
 * What `decodeJson` and `parseWideJson` make of a body without byte order mark, in slices. `JSON.parse` cannot be left in its
 * middle, so the text is cut at commas and each piece is parsed by itself, with the brackets around it that are open there, and
 * grafted onto what is read. A filler stands for the value on the other side of each cut, so that the parser itself finds one
 * that is missing.
 */
export async function parseLongJson(
  bytes: Buffer,
  maxDepth: number,
  pace: Pace,
  pieceBytes = PIECE_BYTES,
): Promise<unknown> {
  const { cuts, end, restAt } = await findCuts(bytes, maxDepth, pieceBytes, pace);
  await checkUtf8(bytes, cuts, pace);
  const growing = new GrowingJson(bytes);
  for (let i = 0; i <= cuts.length; i++) {
    growing.add(cuts[i - 1], cuts[i], end);
    if (pace.due) await pace.next();
  }
  if (restAt >= 0) throw malformed(growing.characters + textOf(bytes, end, restAt).length);
  return growing.root;
}

async function checkUtf8(bytes: Buffer, cuts: readonly Cut[], pace: Pace): Promise<void> {
  for (let i = 0; i <= cuts.length; i++) {
    if (!isUtf8(bytes.subarray(cuts[i - 1]?.at ?? 0, cuts[i]?.at ?? bytes.length))) throw notUtf8();
    if (pace.due) await pace.next();
  }
}

/** The value as far as it is read, and the containers that are open at the end of it. */
class GrowingJson {
  root: unknown;
  /** Characters read. */
  characters = 0;
  private readonly open: JsonContainer[] = [];
  /** Members of the open objects behind the piece that each begins in; those that come twice count twice. */
  private readonly members: number[] = [];

  constructor(private readonly bytes: Buffer) {}

  /** Adds what stands between two cuts, or up to the end. */
  add(from: Cut | undefined, to: Cut | undefined, end: number): void {
    const text = textOf(this.bytes, from === undefined ? 0 : from.at + 1, to?.at ?? end);
    const before = from === undefined ? '' : opening(from.levels);
    const part = this.parse(before, text, to === undefined ? '' : closing(to.levels));
    if (from === undefined) this.root = part;
    else this.graft(part as JsonContainer, from.levels.length);
    if (to !== undefined) this.follow(to);
    this.characters += text.length + (to === undefined ? 0 : 1);
  }

  private parse(before: string, text: string, after: string): unknown {
    try {
      return parseWide(before + text + after);
    } catch (cause) {
      const position = positionOf(cause);
      throw malformed(position === undefined ? undefined : this.characters + position - before.length, cause);
    }
  }

  /** Adds the members of each container of a piece to the one that it goes on with. */
  private graft(part: JsonContainer, depth: number): void {
    let from = part;
    for (let level = 0; level < depth; level++) {
      const into = this.open[level] as JsonContainer;
      if (Array.isArray(into)) {
        const items = from as unknown[];
        if (typeof into[0] === 'number') addNumbers(into as number[], items);
        else addOthers(into, items, 1);
        from = items[0] as JsonContainer;
      } else {
        this.count(level, addMembers(into, from as Record<string, unknown>));
        from = (from as Record<string, unknown>)[ONWARD] as JsonContainer;
      }
    }
  }

  /** Finds the containers that are open at a cut, and takes the filler out of the innermost. */
  private follow(cut: Cut): void {
    const { open } = this;
    for (let level = cut.kept; level < cut.levels.length; level++) {
      this.members[level] = 0;
      open[level] = level === 0 ? (this.root as JsonContainer) : this.lastOf(open[level - 1], cut.levels[level]);
    }
    open.length = cut.levels.length;
    const innermost = open.at(-1) as JsonContainer;
    if (Array.isArray(innermost)) innermost.pop();
    else delete innermost[FILLER];
  }

  private count(level: number, added: number): void {
    const members = (this.members[level] ?? 0) + added;
    this.members[level] = members;
    if (members <= MEMBERS_MAX) return;
    throw new DomainError('invalid_parameter', `An object of the body may have ${MEMBERS_MAX} members.`, {
      faults: [{ pointer: '', expected: `objects of at most ${MEMBERS_MAX} members` }],
    });
  }

  private lastOf(parent: JsonContainer | undefined, level: Level | undefined): JsonContainer {
    if (Array.isArray(parent)) return parent.at(-1) as JsonContainer;
    const at = level?.nameAt ?? 0;
    const name = JSON.parse(this.bytes.toString('utf8', at, endOfString(this.bytes, at) + 1)) as string;
    return parent?.[name] as JsonContainer;
  }
}

/**
 * Adds items, and leaves those behind the first that is no number to the slow way. For itself, because a loop that has seen arrays of
 * other things makes objects of all numbers that it adds from then on: three times the memory, and long collections of it.
 */
function addNumbers(into: number[], items: readonly unknown[]): void {
  for (let i = 1; i < items.length; i++) {
    const item = items[i];
    if (typeof item !== 'number') {
      addOthers(into, items, i);
      return;
    }
    into.push(item);
  }
}

function addOthers(into: unknown[], items: readonly unknown[], from: number): void {
  for (let i = from; i < items.length; i++) into.push(items[i]);
}

/** Answers how many they are. */
function addMembers(into: Record<string, unknown>, members: Record<string, unknown>): number {
  const names = Object.keys(members);
  for (const name of names) {
    if (name === ONWARD || name === FILLER) continue;
    // As JSON.parse does it: a member of that name is a member like any other.
    if (name === '__proto__') Object.defineProperty(into, name, { ...OWN, value: members[name] });
    else into[name] = members[name];
  }
  return names.length;
}

const OWN = { writable: true, enumerable: true, configurable: true };

/** The brackets around a piece, and a filler in place of what stands before its comma. */
function opening(levels: readonly Level[]): string {
  const open = levels.map(({ kind }) => (kind === OPEN_BRACKET ? '[' : `{"${ONWARD}":`)).join('');
  const innermost = levels.at(-1)?.kind === OPEN_BRACKET;
  return innermost ? `${open}0,` : `${open.slice(0, -ONWARD.length - 3)}"${FILLER}":0,`;
}

/** The other end of a piece: a filler in place of what stands behind its comma. */
function closing(levels: readonly Level[]): string {
  const close = levels.map(({ kind }) => (kind === OPEN_BRACKET ? ']' : '}')).reverse();
  return `${levels.at(-1)?.kind === OPEN_BRACKET ? ',0' : `,"${FILLER}":0`}${close.join('')}`;
}

/** ASCII is the same in Latin-1, which is read several times faster. */
function textOf(bytes: Buffer, from: number, to: number): string {
  return bytes.toString(isAscii(bytes.subarray(from, to)) ? 'latin1' : 'utf8', from, to);
}
