import { DomainError, isUuid } from '@sibyl/kernel';

export type EventOrder = 'asc' | 'desc';

/** The place of an event in the order of time; ids settle what one millisecond leaves open. */
export interface EventInstant {
  readonly recordedAt: string;
  readonly id: string;
}

/** Where a page ended. `asOf` is the newest event when the first page was read: what came later shifts no page. */
export interface PagePosition {
  readonly order: EventOrder;
  readonly filterDigest: string;
  readonly last: EventInstant;
  readonly asOf: EventInstant;
}

const VERSION = 1;
const LONGEST = 512;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

export function encodeCursor({ order, filterDigest, last, asOf }: PagePosition): string {
  const members = [VERSION, order, filterDigest, last.recordedAt, last.id, asOf.recordedAt, asOf.id];
  return Buffer.from(JSON.stringify(members)).toString('base64url');
}

/** Refuses whatever this server cannot have given out for this search. */
export function decodeCursor(cursor: string, search: Pick<PagePosition, 'order' | 'filterDigest'>): PagePosition {
  const [version, order, filterDigest, lastAt, lastId, asOfAt, asOfId] = parse(cursor);
  const last = instantOf(lastAt, lastId);
  const asOf = instantOf(asOfAt, asOfId);
  if (version !== VERSION || !last || !asOf) throw refused('the `next` of an earlier page');
  if (order !== search.order || filterDigest !== search.filterDigest) {
    throw refused('the `next` of a page with the same filters and order');
  }
  return { ...search, last, asOf };
}

function instantOf(recordedAt: unknown, id: unknown): EventInstant | undefined {
  if (typeof recordedAt !== 'string' || !INSTANT.test(recordedAt) || Number.isNaN(Date.parse(recordedAt)))
    return undefined;
  return typeof id === 'string' && isUuid(id) ? { recordedAt, id } : undefined;
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
