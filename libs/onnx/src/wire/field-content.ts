import { isUtf8 } from 'node:buffer';

/** What decoding puts in the place of bytes that are no text. */
const REPLACEMENT = '\ufffd';

/**
 * The bytes of a text or a byte string, while they are in memory: the walk has one of these and points it at one field after
 * the other, because a Buffer for each of a file's millions of names took longer than reading them.
 */
export class FieldContent {
  private bytes: Buffer = Buffer.alloc(0);
  private from = 0;
  private to = 0;

  /** Points it at bytes; for the walk. */
  at(bytes: Buffer, from: number, length: number): this {
    this.bytes = bytes;
    this.from = from;
    this.to = from + length;
    return this;
  }

  /** As text; bytes that are none come as replacement characters. */
  text(): string {
    return this.from === this.to ? '' : this.bytes.toString('utf8', this.from, this.to);
  }

  /** Whether `text`, which was read from here, is what the bytes say. */
  says(text: string): boolean {
    return !text.includes(REPLACEMENT) || isUtf8(this.bytes.subarray(this.from, this.to));
  }

  /** Bytes that may be kept. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(this.from, this.to));
  }
}
