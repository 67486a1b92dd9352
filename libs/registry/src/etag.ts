import { DomainError } from '@sibyl/kernel';

/** The conditional headers of a request, as they came. */
export interface Precondition {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

/** Holds a change to its precondition: `present` is the ETag of what is there now, undefined where there is nothing. */
export function checkPrecondition(
  { ifMatch, ifNoneMatch }: Precondition,
  present: string | undefined,
  what = 'alias',
): void {
  const create = ifNoneMatch?.trim() === '*';
  // It would hold wherever the thing is: a change that nobody has looked for is what the header is there to prevent.
  if (ifMatch?.trim() === '*')
    throw new DomainError(
      'precondition_required',
      `Send the ETag of the ${what} as If-Match; * would hold wherever it is.`,
    );
  if (ifMatch === undefined && !create) {
    throw new DomainError(
      'precondition_required',
      `Send the ETag of the ${what} as If-Match, or If-None-Match: * for a new ${what}.`,
    );
  }
  if (ifMatch !== undefined && (present === undefined || !listed(ifMatch, present))) throw mismatch(present, what);
  if (create && present !== undefined) throw mismatch(present, what);
}

// Strong comparison (RFC 9110 §8.8.3.2): a weak tag never matches.
function listed(header: string, present: string): boolean {
  return header.split(',').some((tag) => tag.trim() === present);
}

function mismatch(present: string | undefined, what: string): DomainError {
  const detail = present === undefined ? `The ${what} does not exist yet.` : `The ${what} is at ETag ${present} now.`;
  return new DomainError('etag_mismatch', detail);
}
