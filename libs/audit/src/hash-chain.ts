import { hash } from 'node:crypto';

/** What the first event of every chain follows. */
export const GENESIS: Buffer = Buffer.alloc(32);

/** Bytes of a SHA-256. */
export const HASH_BYTES = 32;

const LEAF_PREFIX = 0x00;

/** SHA-256(0x00 || body): the prefix keeps a leaf from ever being taken for an inner node of a Merkle tree (RFC 6962). */
export function leafHash(body: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(body.length + 1);
  input[0] = LEAF_PREFIX;
  input.set(body, 1);
  return hash('sha256', input, 'buffer');
}

/** SHA-256(prev || leaf). */
export function chainHash(previous: Uint8Array, leaf: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(2 * HASH_BYTES);
  input.set(previous, 0);
  input.set(leaf, HASH_BYTES);
  return hash('sha256', input, 'buffer');
}

/** Hashes of many events at once, each 64 bytes: leaf, then chain hash. Reuses its buffers: one allocation a batch. */
export class ChainHasher {
  private readonly link = Buffer.alloc(2 * HASH_BYTES);
  private scratch = Buffer.alloc(4096);

  constructor(head: Uint8Array) {
    this.link.set(head, 0);
  }

  get head(): Buffer {
    return Buffer.from(this.link.subarray(0, HASH_BYTES));
  }

  /** Hashes `chunk[offset, offset + length)` as the next body and writes both hashes to `out` at `at`. */
  add(chunk: Buffer, offset: number, length: number, out: Buffer, at: number): void {
    if (this.scratch.length < length + 1) this.scratch = Buffer.alloc(2 * length + 1);
    this.scratch[0] = LEAF_PREFIX;
    chunk.copy(this.scratch, 1, offset, offset + length);
    // 'binary' strings are cheaper than a Buffer each, and are copied into place in one call.
    out.write(hash('sha256', this.scratch.subarray(0, length + 1), 'binary'), at, HASH_BYTES, 'latin1');
    out.copy(this.link, HASH_BYTES, at, at + HASH_BYTES);
    this.link.write(hash('sha256', this.link, 'binary'), 0, HASH_BYTES, 'latin1');
    this.link.copy(out, at + HASH_BYTES, 0, HASH_BYTES);
  }
}
