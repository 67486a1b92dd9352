import { DomainError } from '@sibyl/kernel';

/** Part of a list; `next` is the cursor of the part after it. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

export interface PageRequest {
  readonly limit?: number;
  /** `next` of the page before. */
  readonly cursor?: string;
}

/** The rows of one page: what was asked for, within the limits. */
export function pageLimit(
  asked: number | undefined,
  { pageRows, pageRowsMax }: { pageRows: number; pageRowsMax: number },
): number {
  if (asked === undefined) return Math.min(pageRows, pageRowsMax);
  if (Number.isSafeInteger(asked) && asked >= 1 && asked <= pageRowsMax) return asked;
  throw new DomainError('invalid_parameter', `A page has 1 to ${pageRowsMax} entries.`, {
    faults: [{ pointer: '/limit', expected: `a whole number from 1 to ${pageRowsMax}`, received: String(asked) }],
  });
}

type CursorPart = { string: string; number: number };

/** A place in a list as opaque text. */
export function encodeCursor(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** The place that a cursor stands for; invalid_parameter for anything that is not one of ours. */
export function decodeCursor<K extends readonly (keyof CursorPart)[]>(
  cursor: string,
  kinds: readonly [...K],
): { [I in keyof K]: CursorPart[K[I]] } {
  let place: unknown;
  try {
    place = JSON.parse(Buffer.from(cursor.slice(0, 1024), 'base64url').toString('utf8'));
  } catch {
    place = undefined;
  }
  const parts: unknown[] = Array.isArray(place) ? (place as unknown[]) : [];
  const fits = parts.length === kinds.length && kinds.every((kind, i) => isPart(parts[i], kind));
  if (fits) return parts as unknown as { [I in keyof K]: CursorPart[K[I]] };
  throw new DomainError('invalid_parameter', 'The cursor is not one that this list has given.', {
    faults: [{ pointer: '/cursor', expected: 'the `next` of an earlier page, unchanged' }],
  });
}

function isPart(part: unknown, kind: keyof CursorPart): boolean {
  return kind === 'number' ? Number.isSafeInteger(part) : typeof part === 'string' && !part.includes('\0');
}
