import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { invariant } from '@sibyl/kernel';

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = 1;

/**
 * AES-256-GCM around stored answers, because the answer to a created key holds its secret. The place of the row is
 * bound in, so that an answer copied to another row cannot be read there. Layout: format byte, IV, tag, ciphertext.
 */
export class AnswerSeal {
  private readonly key: Buffer;

  constructor(key: Uint8Array) {
    invariant(key.length === KEY_BYTES, 'the key of stored answers has 32 bytes');
    this.key = Buffer.from(key);
  }

  seal(text: string, place: string): Buffer {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.key, iv).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(FORMAT), iv, cipher.getAuthTag(), sealed]);
  }

  /** Throws when the bytes were changed, moved, or sealed with another key. */
  open(bytes: Uint8Array, place: string): string {
    const sealed = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (sealed[0] !== FORMAT) throw new Error('unknown format of a stored answer');
    const iv = sealed.subarray(1, 1 + IV_BYTES);
    const tag = sealed.subarray(1 + IV_BYTES, 1 + IV_BYTES + TAG_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.key, iv, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(place)).setAuthTag(tag);
    return Buffer.concat([decipher.update(sealed.subarray(1 + IV_BYTES + TAG_BYTES)), decipher.final()]).toString(
      'utf8',
    );
  }
}
