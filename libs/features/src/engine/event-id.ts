/** A UUID as four 32-bit words: compared word by word they order as PostgreSQL orders the UUIDs themselves. */
export const ID_WORDS = 4;

/** Hexadecimal digits of the text, without the dashes, into `words` at `offset`. */
export function writeEventId(text: string, words: Uint32Array, offset: number): void {
  let word = 0;
  let digits = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2d) continue;
    word = (word << 4) | (code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57);
    if ((++digits & 7) === 0) words[offset + (digits >>> 3) - 1] = word >>> 0;
  }
}

export function readEventId(words: ArrayLike<number>, offset: number): string {
  let text = '';
  for (let i = 0; i < ID_WORDS; i++) text += (words[offset + i] as number).toString(16).padStart(8, '0');
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
}
