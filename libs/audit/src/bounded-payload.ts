/** Hot path. */
import { hash } from 'node:crypto';

/** JSON text, also in pieces that follow one another: whoever has parts need not join them, which would copy them once more. */
export type Payload = string | readonly string[];

/** The payload, or what stands for one that is too long to keep: its length and digest, so that a copy can be checked. */
export function boundedPayload(payload: Payload, mostBytes: number): Payload {
  // A character takes at most three bytes, so most payloads need no counting.
  if (3 * lengthOf(payload) <= mostBytes) return payload;
  const text = typeof payload === 'string' ? payload : payload.join('');
  const bytes = Buffer.byteLength(text);
  return bytes <= mostBytes ? payload : `{"omitted_bytes":${bytes},"sha256":"${hash('sha256', text, 'hex')}"}`;
}

function lengthOf(payload: Payload): number {
  if (typeof payload === 'string') return payload.length;
  let length = 0;
  for (const piece of payload) length += piece.length;
  return length;
}
