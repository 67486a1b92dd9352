const { imul } = Math;
const BITS = new DataView(new ArrayBuffer(8));

/** 53 bits of a string, evenly spread, the same in every process. Not for what an attacker must not foresee. */
export function hashOfText(text: string): number {
  let high = 0x9e3779b1;
  let low = 0x85ebca77;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    high = rotate(imul(high ^ unit, 0xcc9e2d51), 15);
    low = rotate(imul(low ^ unit, 0x1b873593), 13);
  }
  return join(high ^ text.length, low);
}

/** 53 bits of a number; 0 and -0 are one. */
export function hashOfNumber(value: number): number {
  BITS.setFloat64(0, value === 0 ? 0 : value);
  return join(imul(BITS.getUint32(0) ^ 0x9e3779b1, 0xcc9e2d51), BITS.getUint32(4) ^ 0x85ebca77);
}

/** Lets every bit of both words act on every bit of the result. */
function join(high: number, low: number): number {
  const a = mix(high ^ rotate(low, 16));
  const b = mix(low ^ a);
  const c = mix(a ^ rotate(b, 11));
  return (c >>> 11) * 0x1_0000_0000 + (b >>> 0);
}

/** The last step of MurmurHash3. */
function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
