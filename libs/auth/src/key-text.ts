/** Hot path. See docs/paths/predict.md. */
import { randomBytes } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const START = 'sk_';
const PREFIX_LENGTH = 12;
/** 43 · log2(62) = 256.03 bits. */
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;
const PREFIX_END = START.length + PREFIX_LENGTH;
const SECRET_START = PREFIX_END + 1;
const SECRET_END = SECRET_START + SECRET_LENGTH;
const KEY_LENGTH = SECRET_END + CHECKSUM_LENGTH;
const UNDERSCORE = 0x5f;

/** For secret scanners: what a key looks like, without its checksum. */
export const KEY_PATTERN = /\bsk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/;

/** The two parts of a well-formed key: what it is looked up by, and what proves it. */
export interface ParsedKey {
  readonly prefix: string;
  readonly secret: string;
}

/** The parts of `sk_<prefix>_<secret><checksum>`, or undefined where a character is lost, changed or too many. */
export function parseKey(text: string): ParsedKey | undefined {
  if (text.length !== KEY_LENGTH || !text.startsWith(START) || text.charCodeAt(PREFIX_END) !== UNDERSCORE) {
    return undefined;
  }
  for (let i = START.length; i < KEY_LENGTH; i++) {
    if (i !== PREFIX_END && !isBase62(text.charCodeAt(i))) return undefined;
  }
  if (!checksumFits(text)) return undefined;
  return { prefix: text.slice(START.length, PREFIX_END), secret: text.slice(SECRET_START, SECRET_END) };
}

/** A new random key. `random` gives that many random bytes. */
export function newKeyText(random: (bytes: number) => Uint8Array = randomBytes): string {
  const body = `${START}${base62(PREFIX_LENGTH, random)}_${base62(SECRET_LENGTH, random)}`;
  return body + checksumOf(body);
}

function base62(length: number, random: (bytes: number) => Uint8Array): string {
  let text = '';
  while (text.length < length) {
    for (const byte of random(length * 2)) {
      // 248 = 4 · 62: the bytes above it would make the first eight letters more likely than the others.
      if (byte < 248 && text.length < length) text += ALPHABET.charAt(byte % 62);
    }
  }
  return text;
}

function isBase62(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

function checksumOf(body: string): string {
  let rest = crc32(body, body.length);
  let digits = '';
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    digits = ALPHABET.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

function checksumFits(text: string): boolean {
  let rest = crc32(text, SECRET_END);
  for (let i = KEY_LENGTH - 1; i >= SECRET_END; i--) {
    if (text.charCodeAt(i) !== ALPHABET.charCodeAt(rest % 62)) return false;
    rest = Math.floor(rest / 62);
  }
  return true;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value | 0;
});

/** CRC-32 (ISO 3309) of the first `length` characters, which are ASCII. Our own, because a call into zlib costs more than the sum. */
function crc32(text: string, length: number): number {
  let crc = -1;
  for (let i = 0; i < length; i++) {
    crc = (CRC_TABLE[(crc ^ text.charCodeAt(i)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}
