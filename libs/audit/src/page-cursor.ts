import { DomainError, isUuid } from '@sibyl/kernel';

export type EventOrder = 'asc' | 'desc';

/** Where a page ended. `asOfMs` is when the first page was read: what came later does not shift the pages. */
export interface PagePosition {
  readonly order: EventOrder;
  readonly filterDigest: string;
  readonly recordedAt: string;
  readonly id: string;
  readonly asOfMs: number;
}

const VERSION = 1;
const LONGEST = 512;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

export function encodeCursor(position: PagePosition): string {
  const { order, filterDigest, recordedAt, id, asOfMs } = position;
  return Buffer.from(JSON.stringify([VERSION, order, filterDigest, recordedAt, id, asOfMs])).toString('base64url');
}

/** Refuses whatever this server cannot have given out for this search. */
export function decodeCursor(cursor: string, search: Pick<PagePosition, 'order' | 'filterDigest'>): PagePosition {
  const [version, order, filterDigest, recordedAt, id, asOfMs] = parse(cursor);
  if (
    version !== VERSION ||
    (order !== 'asc' && order !== 'desc') ||
    typeof filterDigest !== 'string' ||
    typeof recordedAt !== 'string' ||
    !INSTANT.test(recordedAt) ||
    Number.isNaN(Date.parse(recordedAt)) ||
    typeof id !== 'string' ||
    !isUuid(id) ||
    !Number.isSafeInteger(asOfMs)
  ) {
    throw refused('the `next` of an earlier page');
  }
  if (order !== search.order || filterDigest !== search.filterDigest) {
    throw refused('the `next` of a page with the same filters and order');
  }
  return { order, filterDigest, recordedAt, id, asOfMs: Number(asOfMs) };
}

function parse(cursor: string): readonly unknown[] {
  if (cursor.length > LONGEST) return [];
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function refused(expected: string): DomainError {
  return new DomainError('invalid_parameter', 'The cursor does not belong to this search.', {
    faults: [{ pointer: '/cursor', expected }],
  });
}
