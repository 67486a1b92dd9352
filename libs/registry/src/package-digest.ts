import { createHash } from 'node:crypto';

/** One file of a stored package. */
export interface PackageFile {
  /** Relative, with `/`. */
  readonly path: string;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** `sha256:` and 64 hex digits: names a package by its content. */
export type PackageDigest = `sha256:${string}`;

/**
 * SHA-256 over one line per file, `path NUL sha256 NUL size LF`, sorted by the bytes of the path. `sha256sum` and `sort`
 * can compute it, so that an auditor needs no program of ours.
 */
export function packageDigest(files: readonly PackageFile[]): PackageDigest {
  const hash = createHash('sha256');
  // Package paths are ASCII, so that the order of code units is the order of bytes.
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const file of sorted) hash.update(`${file.path}\0${file.sha256}\0${file.bytes}\n`);
  return `sha256:${hash.digest('hex')}`;
}

const DIGEST = /^sha256:([0-9a-f]{64})$/;

/** The hex digits of a digest; undefined for anything else, so that no other text becomes a folder's name. */
export function digestHex(digest: string): string | undefined {
  return DIGEST.exec(digest)?.[1];
}
