import { isUtf8 } from 'node:buffer';

/** What decoding puts in the place of bytes that are no text. */
const REPLACEMENT = '\ufffd';

/** Most names of a file are as short as that, and its operators and values are named again and again. */
const SHORT = 24;
/** Texts that are remembered; a power of two. */
const REMEMBERED = 1024;

/**
 * The bytes of a text or a byte string, while they are in memory: the walk has one of these and points it at one field after
 * the other, because a Buffer for each of a file's millions of names took longer than reading them.
 */
export class FieldContent {
  private bytes: Buffer = Buffer.alloc(0);
  private from = 0;
  private to = 0;
  /** Short texts of ASCII that were read lately, by their hash: finding one costs a fifth of decoding it. */
  private readonly texts: (string | undefined)[] = Array.from({ length: REMEMBERED });

  /** Points it at bytes; for the walk. */
  at(bytes: Buffer, from: number, length: number): this {
    this.bytes = bytes;
    this.from = from;
    this.to = from + length;
    return this;
  }

  /** As text; bytes that are none come as replacement characters. */
  text(): string {
    const length = this.to - this.from;
    if (length === 0) return '';
    return length > SHORT ? this.bytes.toString('utf8', this.from, this.to) : this.short(length);
  }

  /** Whether `text`, which was read from here, is what the bytes say. */
  says(text: string): boolean {
    return !text.includes(REPLACEMENT) || isUtf8(this.bytes.subarray(this.from, this.to));
  }

  /** Bytes that may be kept. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(this.from, this.to));
  }

  private short(length: number): string {
    const { bytes, from, to, texts } = this;
    let hash = length;
    for (let at = from; at < to; at++) hash = (hash * 31 + (bytes[at] ?? 0)) | 0;
    const slot = (hash ^ (hash >>> 10)) & (REMEMBERED - 1);
    const known = texts[slot];
    if (known?.length === length && this.spells(known)) return known;
    const text = bytes.toString('utf8', from, to);
    texts[slot] = text;
    return text;
  }

  /** Only ASCII is spelled by the numbers of its bytes; any other text is decoded each time. */
  private spells(text: string): boolean {
    const { bytes, from } = this;
    for (let i = 0; i < text.length; i++)
      if (text.charCodeAt(i) !== bytes[from + i] || text.charCodeAt(i) > 0x7f) return false;
    return true;
  }
}
