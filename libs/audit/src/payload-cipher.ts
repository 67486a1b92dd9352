import { createCipheriv, createDecipheriv, hash, hkdfSync, randomFillSync } from 'node:crypto';
import { invariant } from '@sibyl/kernel';

export const KEY_ID_BYTES = 8;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;
const KEY_BYTES = 32;
const IV_POOL = 256;

export interface SealedPayloads {
  readonly iv: Buffer;
  readonly tag: Buffer;
  readonly ciphertext: Buffer;
}

/**
 * AES-256-GCM with a key derived for one chain. A chain lives as long as its process, so random 96-bit IVs stay far
 * below the 2^32 messages that SP 800-38D allows for one key.
 */
export class PayloadCipher {
  /** Names the master key without telling anything about it, so that old payloads find theirs after a change of keys. */
  readonly keyId: Buffer;
  private readonly key: Buffer;
  private readonly ivs = Buffer.alloc(IV_BYTES * IV_POOL);
  private nextIv = IV_POOL;

  constructor(
    masterKey: Uint8Array,
    private readonly chain: string,
  ) {
    this.keyId = payloadKeyId(masterKey);
    this.key = Buffer.from(hkdfSync('sha256', masterKey, chain, 'sibyl audit payload', KEY_BYTES));
  }

  seal(plain: Uint8Array, firstSeq: number, count: number): SealedPayloads {
    if (this.nextIv === IV_POOL) {
      randomFillSync(this.ivs);
      this.nextIv = 0;
    }
    const iv = this.ivs.subarray(this.nextIv * IV_BYTES, (this.nextIv + 1) * IV_BYTES);
    this.nextIv++;
    const cipher = createCipheriv('aes-256-gcm', this.key, iv);
    cipher.setAAD(this.boundTo(firstSeq, count));
    const ciphertext = cipher.update(plain);
    cipher.final();
    return { iv, tag: cipher.getAuthTag(), ciphertext };
  }

  /** Throws when a byte of what was sealed, or where it belongs, has changed. */
  open(sealed: SealedPayloads, firstSeq: number, count: number): Buffer {
    const decipher = createDecipheriv('aes-256-gcm', this.key, sealed.iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(this.boundTo(firstSeq, count));
    decipher.setAuthTag(sealed.tag);
    return Buffer.concat([decipher.update(sealed.ciphertext), decipher.final()]);
  }

  private boundTo(firstSeq: number, count: number): Buffer {
    return Buffer.from(`${this.chain}|${firstSeq}|${count}`, 'latin1');
  }
}

/** First bytes of a digest of the key under a label of its own. */
export function payloadKeyId(masterKey: Uint8Array): Buffer {
  invariant(masterKey.length === KEY_BYTES, 'a payload key has 32 bytes');
  const labelled = Buffer.concat([Buffer.from('sibyl payload key id'), masterKey]);
  return hash('sha256', labelled, 'buffer').subarray(0, KEY_ID_BYTES);
}
