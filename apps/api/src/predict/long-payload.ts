import { createHash } from 'node:crypto';
import { omittedPayload } from '@sibyl/audit';
import type { Pace } from '@sibyl/kernel';
import { digestLong } from '@sibyl/prediction';

/** The payload, or what the audit log would keep in place of one that is too long for it, found in slices. */
export async function longPayload(
  pieces: readonly (string | Uint8Array)[],
  mostBytes: number,
  pace: Pace,
): Promise<string | readonly (string | Uint8Array)[]> {
  let bytes = 0;
  for (const piece of pieces) bytes += Buffer.byteLength(piece);
  if (bytes <= mostBytes) return pieces;
  const all = pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece));
  return omittedPayload(bytes, await digestLong(createHash('sha256'), all, pace));
}
