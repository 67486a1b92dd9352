import type { ByteWindow } from './byte-window';
import { Malformed } from './malformed';

/** A varint has at most ten bytes. */
export const VARINT_BYTES = 10;

const TWO_28 = 2 ** 28;
const TWO_56 = 2 ** 56;

/** Reads varints one after the other; `position` is where the next byte of the file is read. */
export class VarintCursor {
  position = 0;

  constructor(private readonly window: ByteWindow) {}

  /**
   * A varint as a signed 64-bit number. Exact up to 2^53 and for small negative numbers; larger ones are rounded, which
   * is enough to refuse them.
   */
  read(end: number): number {
    const { bytes, start } = this.window;
    let index = this.position - start;
    const stop = end - start;
    const first = index < stop ? bytes[index] : undefined;
    if (first !== undefined && first < 0x80) {
      this.position++;
      return first;
    }
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let count = 0; count < VARINT_BYTES; count++) {
      const byte = index < stop ? bytes[index] : undefined;
      if (byte === undefined) throw new Malformed(this.position, 'a number is cut off');
      index++;
      const seven = byte & 0x7f;
      if (count < 4) low += seven << (7 * count);
      else if (count < 8) middle += seven << (7 * (count - 4));
      else high += seven << (7 * (count - 8));
      if (byte < 0x80) {
        if (high > 0xff) break;
        this.position = start + index;
        return signed(high) * TWO_56 + middle * TWO_28 + low;
      }
    }
    throw new Malformed(this.position, 'a number has more than 64 bits');
  }
}

function signed(topByte: number): number {
  return topByte > 0x7f ? topByte - 0x100 : topByte;
}
