/** Hot path. See docs/paths/predict.md. */
import * as crypto from 'node:crypto';
import type { Pace } from '@sibyl/kernel';

const BLOCK_BYTES = 64;
/** Requests and answers of a few rows fit, and a sequence of 64 steps by 16 columns. */
const KEPT_BYTES = 64 * 1024;
/** Hashed without a pause; less than a millisecond. */
const LONG_BYTES = 256 * 1024;

/** Asked for text: with `buffer` Node copies the digest through two more objects. */
type OneShotHash = (algorithm: string, bytes: Uint8Array, encoding: 'hex' | 'binary') => string;

/**
 * HMAC-SHA-256 (RFC 2104) of what a prediction took and gave. Keyed, because the plain hash of a patient's few values can be
 * found by trying them. Two one-shot hashes cost half of what an Hmac object does.
 */
export class PayloadDigest {
  /** The inner key, and room for a payload behind it: new memory for each would be most of the cost of a short one. */
  private readonly inner: Buffer;
  private readonly outer: Buffer;

  constructor(
    private readonly key: Uint8Array,
    private readonly oneShot: OneShotHash | null = (crypto.hash as OneShotHash | undefined) ?? null,
  ) {
    this.inner = Buffer.concat([pad(key, 0x36), Buffer.alloc(KEPT_BYTES)]);
    this.outer = Buffer.concat([pad(key, 0x5c), Buffer.alloc(32)]);
  }

  /** `hmac-sha256:` and 64 hexadecimal digits. */
  of(payload: string | Uint8Array): string {
    const { oneShot } = this;
    if (oneShot === null) return `hmac-sha256:${crypto.createHmac('sha256', this.key).update(payload).digest('hex')}`;
    // UTF-8 takes at most three bytes a UTF-16 unit.
    const most = typeof payload === 'string' ? 3 * payload.length : payload.length;
    const message = most <= KEPT_BYTES ? this.inner : this.roomFor(most);
    const end = BLOCK_BYTES + put(payload, message);
    this.outer.write(oneShot('sha256', message.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1');
    return `hmac-sha256:${oneShot('sha256', this.outer, 'hex')}`;
  }

  /** The same of pieces that follow one another, in slices. */
  async ofLong(pieces: readonly Uint8Array[], pace: Pace): Promise<string> {
    return `hmac-sha256:${await digestLong(crypto.createHmac('sha256', this.key), pieces, pace)}`;
  }

  private roomFor(bytes: number): Buffer {
    const message = Buffer.allocUnsafe(BLOCK_BYTES + bytes);
    this.inner.copy(message, 0, 0, BLOCK_BYTES);
    return message;
  }
}

/** Digests pieces that follow one another, in slices; answers hexadecimal digits. */
export async function digestLong(
  hash: crypto.Hash | crypto.Hmac,
  pieces: readonly Uint8Array[],
  pace: Pace,
): Promise<string> {
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += LONG_BYTES) {
      hash.update(piece.subarray(at, at + LONG_BYTES));
      if (pace.due) await pace.next();
    }
  }
  return hash.digest('hex');
}

/** Writes a payload behind the inner key; answers its bytes. */
function put(payload: string | Uint8Array, message: Buffer): number {
  if (typeof payload === 'string') return message.write(payload, BLOCK_BYTES);
  message.set(payload, BLOCK_BYTES);
  return payload.length;
}

function pad(key: Uint8Array, byte: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES, byte);
  for (let i = 0; i < key.length && i < BLOCK_BYTES; i++) block[i] = byte ^ (key[i] ?? 0);
  return block;
}
