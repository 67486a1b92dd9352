import { varint } from './encode-message';
import { ByteWindow } from './byte-window';
import { Malformed } from './malformed';
import { VarintCursor } from './varints';

function read(bytes: Uint8Array, end = bytes.length): { value: number; position: number } {
  const cursor = new VarintCursor(ByteWindow.over(bytes));
  return { value: cursor.read(end), position: cursor.position };
}

describe('VarintCursor', () => {
  it.each([0, 1, 127, 128, 300, 2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -1, -2, -128, -(2 ** 31)])(
    'reads %d exactly and stops behind it',
    (number) => {
      const bytes = Buffer.concat([varint(number), Buffer.from([0xff])]);
      expect(read(bytes)).toEqual({ value: number, position: bytes.length - 1 });
    },
  );

  it('reads the extremes of 64 bits near enough to refuse them', () => {
    expect(read(varint(2n ** 62n)).value).toBe(2 ** 62);
    expect(read(varint(-(2n ** 63n))).value).toBe(-(2 ** 63));
  });

  it('accepts a number that is written longer than necessary, as protobuf does', () => {
    expect(read(Buffer.from([0x81, 0x80, 0x80, 0x00])).value).toBe(1);
  });

  it.each([
    ['nothing', []],
    ['a first byte alone', [0x80]],
    ['nine bytes of ten', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]],
  ])('refuses a number that is cut off: %s', (_, bytes) => {
    expect(() => read(Buffer.from(bytes))).toThrow(new Malformed(0, 'a number is cut off'));
  });

  it('refuses a number that runs past the end of its message', () => {
    expect(() => read(Buffer.from([0x80, 0x01]), 1)).toThrow(Malformed);
  });

  it('refuses more than ten bytes, and a tenth byte that has more than one bit', () => {
    expect(() => read(Buffer.alloc(11, 0x80))).toThrow('more than 64 bits');
    expect(() => read(Buffer.concat([Buffer.alloc(9, 0x80), Buffer.from([0x02])]))).toThrow('more than 64 bits');
  });
});
