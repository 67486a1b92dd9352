/** Hot path. Reads the plain part of JSON from its bytes, without making strings and objects of it. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LOWER_E = 0x65;
const UPPER_E = 0x45;

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** A whole number that may be one of 64 bits. */
const WIDE = /^-?\d{16,20}$/;
/** No number that anybody writes is longer; the digits beyond would be lost anyway. */
const NUMBER_LENGTH = 64;
/** Up to this many digits are a whole number that a double holds exactly. */
const EXACT_DIGITS = 15;
/** As many digits as `nearest` takes: all that a double prints with. */
const LONG_DIGITS = 19;
/** Powers of ten that a double holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** What may stand at the place of a value that is neither object nor array. */
export type PlainValue = number | bigint | string | boolean | null;

/**
 * A place in a JSON text. Every method reads what it says if exactly that stands there, and else answers that it does not, for
 * faults and for the finer points of JSON alike (escapes, characters beyond ASCII): whoever gets that answer has the whole text
 * read by `JSON.parse`. What it does read, it reads as `JSON.parse` does, to the last bit.
 */
export class PlainScanner {
  at = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private mantissa = 0.5;

  open(bytes: Uint8Array, at = 0): void {
    this.bytes = bytes;
    this.at = at;
  }

  /** The next byte that is no blank; -1 at the end. */
  peek(): number {
    const { bytes } = this;
    let { at } = this;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        this.at = at;
        return byte;
      }
      at++;
    }
    this.at = at;
    return -1;
  }

  /** Passes `byte` if it comes next. */
  pass(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  /** Passes the name of a member and its colon, if that comes next; `name` is what stands between the quotes. */
  passName(name: Uint8Array): boolean {
    if (this.peek() !== QUOTE) return false;
    const { bytes, at } = this;
    const end = at + 1 + name.length;
    if (bytes[end] !== QUOTE) return false;
    for (let i = 0; i < name.length; i++) if (bytes[at + 1 + i] !== name[i]) return false;
    this.at = end + 1;
    if (this.pass(0x3a)) return true;
    this.at = at;
    return false;
  }

  /** A string of printable ASCII without escapes; undefined for any other. */
  text(): string | undefined {
    if (this.peek() !== QUOTE) return undefined;
    const { bytes } = this;
    const from = this.at + 1;
    let at = from;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) break;
      if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return undefined;
    }
    if (at >= bytes.length) return undefined;
    this.at = at + 1;
    return latin1(bytes, from, at);
  }

  /** A number as the nearest double (ECMA-404 §8, ECMA-262 StringToNumber); NaN where none stands. */
  number(): number {
    const { bytes } = this;
    const from = this.peek() === MINUS ? this.at + 1 : this.at;
    const startsWithZero = bytes[from] === ZERO;
    this.mantissa = 0;
    const point = startsWithZero ? from + 1 : this.digitsFrom(from);
    const end = bytes[point] === POINT ? this.digitsFrom(point + 1) : point;
    const fraction = Math.max(0, end - point - 1);
    // No digit at all, or none behind the point.
    if (point === from || end === point + 1) return Number.NaN;
    const digits = startsWithZero ? fraction : point - from + fraction;
    const value = this.decimal(from, end, digits, fraction);
    if (value !== value) return this.longNumber();
    const negative = from > this.at;
    this.at = end;
    return negative ? -value : value;
  }

  /** A number, string, boolean or null; undefined for anything else. Whole numbers beyond 2^53-1 keep their digits. */
  scalar(): PlainValue | undefined {
    switch (this.peek()) {
      case QUOTE:
        return this.text();
      case 0x6e:
        return this.passWord(NULL) ? null : undefined;
      case 0x74:
        return this.passWord(TRUE) ? true : undefined;
      case 0x66:
        return this.passWord(FALSE) ? false : undefined;
      default: {
        const from = this.at;
        const value = this.number();
        if (value !== value) return undefined;
        // Too large for a double to hold every whole number: an INT64 wants its digits.
        return Number.isInteger(value) && !Number.isSafeInteger(value) ? this.wideNumber(from, value) : value;
      }
    }
  }

  passNull(): boolean {
    return this.peek() === 0x6e && this.passWord(NULL);
  }

  /** Passes an object or array of at most so many levels without reading it: what it holds may still be malformed. */
  skipNested(maxDepth = Infinity): boolean {
    const first = this.peek();
    if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return false;
    const { bytes } = this;
    let depth = 0;
    for (let { at } = this; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      // Numbers and what stands between them are most of what is passed, and need no table.
      if (byte < OPEN_BRACKET && byte !== QUOTE) continue;
      const role = ROLES[byte];
      if (role === PLAIN) continue;
      if (role === QUOTES) at = endOfString(bytes, at);
      else if (role === OPENS) {
        if (++depth > maxDepth) return false;
      } else if (--depth === 0) {
        this.at = at + 1;
        return true;
      }
    }
    return false;
  }

  private wideNumber(from: number, value: number): number | bigint {
    const text = latin1(this.bytes, from, this.at);
    return WIDE.test(text) ? BigInt(text) : value;
  }

  private passWord(word: Uint8Array): boolean {
    for (let i = 0; i < word.length; i++) if (this.bytes[this.at + i] !== word[i]) return false;
    this.at += word.length;
    return true;
  }

  /** A number without an exponent and with few enough digits to be sure of its value; NaN for any other. */
  private decimal(from: number, end: number, digits: number, fraction: number): number {
    const { bytes } = this;
    const next = bytes[end];
    if (next === LOWER_E || next === UPPER_E || digits > LONG_DIGITS) return Number.NaN;
    if (digits > EXACT_DIGITS) return nearest(bytes, from, end, fraction);
    // A whole number and a power of ten that doubles hold exactly: one division rounds once, to the nearest (Clinger 1990).
    return fraction === 0 ? this.mantissa : this.mantissa / (POWERS[fraction] as number);
  }

  /** Adds digits to `mantissa`; answers where they end. */
  private digitsFrom(from: number): number {
    const { bytes } = this;
    let { mantissa } = this;
    let at = from;
    for (let byte = bytes[at] ?? 0; byte >= ZERO && byte <= NINE; byte = bytes[++at] ?? 0)
      mantissa = mantissa * 10 + (byte - ZERO);
    this.mantissa = mantissa;
    return at;
  }

  private longNumber(): number {
    const { bytes, at } = this;
    let end = at;
    while (end - at < NUMBER_LENGTH && isNumberByte(bytes[end] ?? 0)) end++;
    const text = latin1(bytes, at, end);
    if (end - at === NUMBER_LENGTH || !NUMBER.test(text)) return Number.NaN;
    this.at = end;
    return Number(text);
  }
}

const PLAIN = 0;
const QUOTES = 1;
const OPENS = 2;
const CLOSES = 3;
/** What each byte is for whoever only looks for the end of something. */
const ROLES = new Uint8Array(256);
ROLES[QUOTE] = QUOTES;
ROLES[OPEN_BRACE] = OPENS;
ROLES[OPEN_BRACKET] = OPENS;
ROLES[CLOSE_BRACE] = CLOSES;
ROLES[CLOSE_BRACKET] = CLOSES;

const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

/** 2^27 + 1 splits a double into halves of 26 bits (Dekker 1971). */
const SPLITTER = 134217729;
/** Much more than the error of what it is put on, and much less than would be seen in a result that is not near a tie. */
const HAIR = 2 ** -40;

/**
 * The double nearest to a decimal number of 16 to 19 digits, `fraction` of them behind the point; NaN in the rare case that two
 * doubles are almost equally near. The digits are two whole numbers, their quotient by the power of ten is the sum of two
 * doubles, exact to some hundred bits.
 */
function nearest(bytes: Uint8Array, from: number, to: number, fraction: number): number {
  let high = 0;
  let low = 0;
  let scale = 1;
  let seen = 0;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0) continue; // the point
    if (seen < EXACT_DIGITS) high = high * 10 + digit;
    else {
      low = low * 10 + digit;
      scale *= 10;
    }
    // The zero before the point is none of the digits.
    if (seen > 0 || at > from || digit > 0) seen++;
  }
  const product = high * scale;
  const productRest = rest(high, scale, product);
  const sum = product + low;
  const sumRest = low - (sum - product) + productRest;
  const divisor = POWERS[fraction] as number;
  const quotient = sum / divisor;
  const back = quotient * divisor;
  const remainder = sum - back - rest(quotient, divisor, back) + sumRest;
  const correction = remainder / divisor;
  const value = quotient + correction;
  const sure =
    value === quotient + correction * (1 + HAIR) &&
    value === quotient + correction * (1 - HAIR) &&
    (correction !== 0 || remainder === 0);
  return sure ? value : Number.NaN;
}

/** What a product lost in rounding, exactly (Dekker 1971). */
function rest(a: number, b: number, product: number): number {
  const aSplit = SPLITTER * a;
  const aHigh = aSplit - (aSplit - a);
  const aLow = a - aHigh;
  const bSplit = SPLITTER * b;
  const bHigh = bSplit - (bSplit - b);
  const bLow = b - bHigh;
  return aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

function isNumberByte(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= NINE) ||
    byte === MINUS ||
    byte === POINT ||
    byte === 0x2b ||
    byte === LOWER_E ||
    byte === UPPER_E
  );
}

/** Index of the quote that ends the string which begins at `start`, or the end of the bytes. */
export function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1', from, to);
}
