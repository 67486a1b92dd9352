/** Hot path. */
import { createHash } from 'node:crypto';

/** JSON text, also in pieces that follow one another: whoever has parts need not join them, which would copy them once more. Bytes are UTF-8. */
export type Payload = string | readonly (string | Uint8Array)[];

/** The payload, or what stands for one that is too long to keep: its length and digest, so that a copy can be checked. */
export function boundedPayload(payload: Payload, mostBytes: number): Payload {
  // A character takes at most three bytes, so most payloads need no counting.
  if (3 * lengthOf(payload) <= mostBytes) return payload;
  const pieces = typeof payload === 'string' ? [payload] : payload;
  let bytes = 0;
  for (const piece of pieces) bytes += Buffer.byteLength(piece);
  if (bytes <= mostBytes) return payload;
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return omittedPayload(bytes, hash.digest('hex'));
}

/** What stands for a payload that is not kept. */
export function omittedPayload(bytes: number, sha256: string): string {
  return `{"omitted_bytes":${bytes},"sha256":"${sha256}"}`;
}

function lengthOf(payload: Payload): number {
  if (typeof payload === 'string') return payload.length;
  let length = 0;
  for (const piece of payload) length += piece.length;
  return length;
}
