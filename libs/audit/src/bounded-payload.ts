import { hash } from 'node:crypto';

/** The payload, or what stands for one that is too long to keep: its length and digest, so that a copy can be checked. */
export function boundedPayload(payload: string, mostBytes: number): string {
  // A character takes at most three bytes, so most payloads need no counting.
  if (3 * payload.length <= mostBytes || Buffer.byteLength(payload) <= mostBytes) return payload;
  return `{"omitted_bytes":${Buffer.byteLength(payload)},"sha256":"${hash('sha256', payload, 'hex')}"}`;
}
