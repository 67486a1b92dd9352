import { ByteWindow } from './byte-window';
import { Malformed } from './malformed';
import { VarintCursor } from './varints';

/** One field of a message in memory. */
export interface WireField {
  readonly number: number;
  /** The field with its tag, as it stands. */
  readonly whole: Buffer;
  /** What it holds: the bytes of a text or message, the bytes of a number. */
  readonly content: Buffer;
}

const FIXED = new Map([
  [1, 8],
  [5, 4],
]);
const VARINT = 0;
const DELIMITED = 2;

/** The fields of a message that is small enough to be in memory, known ones and others, in their order. */
export function wireFields(bytes: Buffer): WireField[] {
  const cursor = new VarintCursor(ByteWindow.over(bytes));
  const fields: WireField[] = [];
  while (cursor.position < bytes.length) {
    const from = cursor.position;
    const tag = cursor.read(bytes.length);
    const wire = tag % 8;
    let start = cursor.position;
    if (wire === VARINT) cursor.read(bytes.length);
    else {
      const length = wire === DELIMITED ? cursor.read(bytes.length) : FIXED.get(wire);
      start = cursor.position;
      if (length === undefined || length < 0 || length > bytes.length - start)
        throw new Malformed(start, 'a field does not fit in its message');
      cursor.position = start + length;
    }
    const end = cursor.position;
    fields.push({ number: (tag - wire) / 8, whole: bytes.subarray(from, end), content: bytes.subarray(start, end) });
  }
  return fields;
}

/** Whole numbers of 64 bits out of the content of one field, packed or not, with all their digits. */
export function wireIntegers(content: Buffer): bigint[] {
  const values: bigint[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of content) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80) continue;
    values.push(BigInt.asIntN(64, value));
    value = 0n;
    shift = 0n;
  }
  return values;
}
