/** Hot path. See docs/paths/predict.md. */
import * as crypto from 'node:crypto';
import { invariant } from '@sibyl/kernel';

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const PEPPER_BYTES = 32;
/** Longest message: prefix, separator and secret take 56 bytes. */
const MESSAGE_BYTES = 64;

/** Hex, because the one-shot call makes a short string three times faster than a Buffer. */
type OneShotHash = (algorithm: string, bytes: Uint8Array, encoding: 'hex') => string;

/**
 * HMAC-SHA-256 of keys under the server's pepper. Secrets have 256 random bits, so a slow hash would add nothing;
 * the pepper, which is not in the database, makes rows that somebody else wrote there worthless.
 */
export class KeyDigest {
  /** Tells peppers apart without giving anything away: rows say which one made them. */
  readonly pepperId: string;
  private readonly pepper: Buffer;
  private readonly inner = Buffer.alloc(BLOCK_BYTES + MESSAGE_BYTES, 0x36);
  private readonly innerViews: Uint8Array[] = [];
  private readonly outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);
  private readonly result = Buffer.alloc(DIGEST_BYTES);
  private readonly dummy = crypto.randomBytes(DIGEST_BYTES);

  /** `oneShot` is `crypto.hash`, which Node before 20.12 lacks; with null the slower createHmac is used. */
  constructor(
    pepper: Uint8Array,
    private readonly oneShot: OneShotHash | null = (crypto.hash as OneShotHash | undefined) ?? null,
  ) {
    invariant(pepper.length === PEPPER_BYTES, 'the pepper has 32 bytes');
    this.pepper = Buffer.from(pepper);
    // RFC 2104: a key shorter than the block is padded with zeros, then mixed with the two pads.
    for (let i = 0; i < PEPPER_BYTES; i++) {
      this.inner[i] = 0x36 ^ (this.pepper[i] ?? 0);
      this.outer[i] = 0x5c ^ (this.pepper[i] ?? 0);
    }
    for (let length = 0; length <= MESSAGE_BYTES; length++) {
      this.innerViews.push(this.inner.subarray(0, BLOCK_BYTES + length));
    }
    this.pepperId = this.hmac('pepper id').toString('hex', 0, 8);
  }

  /** What is stored of a key. The prefix is part of it, so that a row's digest is worth nothing under another prefix. */
  of(prefix: string, secret: string): Buffer {
    return Buffer.from(this.hmac(`${prefix}_${secret}`));
  }

  /** Whether the secret is the stored one. An unknown prefix (no `stored`) takes the same steps and the same time. */
  matches(prefix: string, secret: string, stored: Uint8Array | undefined): boolean {
    const equal = crypto.timingSafeEqual(this.hmac(`${prefix}_${secret}`), stored ?? this.dummy);
    return equal && stored !== undefined;
  }

  /** HMAC of up to 64 ASCII characters; the buffer is overwritten by the next call. */
  private hmac(message: string): Buffer {
    const view = this.innerViews[message.length];
    invariant(view !== undefined, 'the message of an HMAC fits its buffer');
    if (this.oneShot === null) return crypto.createHmac('sha256', this.pepper).update(message).digest();
    this.inner.write(message, BLOCK_BYTES, 'latin1');
    this.outer.write(this.oneShot('sha256', view, 'hex'), BLOCK_BYTES, 'hex');
    this.result.write(this.oneShot('sha256', this.outer, 'hex'), 'hex');
    return this.result;
  }
}
