/** Hot path. */
import { hash } from 'node:crypto';

/** JSON text, also in pieces that follow one another: whoever has parts need not join them, which would copy them once more. Bytes are UTF-8. */
export type Payload = string | readonly (string | Uint8Array)[];

/** The payload, or what stands for one that is too long to keep: its length and digest, so that a copy can be checked. */
export function boundedPayload(payload: Payload, mostBytes: number): Payload {
  // A character takes at most three bytes, so most payloads need no counting.
  if (3 * lengthOf(payload) <= mostBytes) return payload;
  const pieces = typeof payload === 'string' ? [payload] : payload;
  const whole = Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
  if (whole.length <= mostBytes) return payload;
  return `{"omitted_bytes":${whole.length},"sha256":"${hash('sha256', whole, 'hex')}"}`;
}

function lengthOf(payload: Payload): number {
  if (typeof payload === 'string') return payload.length;
  let length = 0;
  for (const piece of payload) length += piece.length;
  return length;
}
