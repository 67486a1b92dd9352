import { DomainError } from '@sibyl/kernel';

/** A strong ETag of a version number or a digest. */
export function etagOf(value: string | number): string {
  return `"${value}"`;
}

/** The number in an `If-Match` that names one ETag of ours; undefined when the header is absent or says `*`. */
export function ifMatchVersion(header: string | undefined): number | undefined {
  if (header === undefined || header.trim() === '*') return undefined;
  const version = /^\s*"(\d{1,15})"\s*$/.exec(header)?.[1];
  if (version === undefined)
    throw new DomainError('etag_mismatch', 'If-Match is not an ETag that this resource has had.');
  return Number(version);
}
