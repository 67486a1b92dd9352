/** Hot path. JSON text that every reader takes the same way: ASCII only, no NUL, no lone surrogates, bounded. */
import { hash } from 'node:crypto';

const UNSAFE = /[^ !#-[\]-~]/;
const UNSAFE_PIECES = /[\ud800-\udbff][\udc00-\udfff]|[^ !#-[\]-~]/g;
const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  // PostgreSQL cannot hold U+0000 in text or jsonb; the replacement character says that something was there.
  '\0': '\\ufffd',
};
const DEEPEST = 16;

/** A JSON string literal. Other characters than printable ASCII are escaped, so bytes and characters are one and the same. */
export function quote(text: string): string {
  return isSafe(text) ? `"${text}"` : `"${text.replace(UNSAFE_PIECES, escapePiece)}"`;
}

/** For short texts, as nearly all are, a regular expression costs more to call than to run. */
const SHORT_TEXT = 96;

function isSafe(text: string): boolean {
  if (text.length > SHORT_TEXT) return !UNSAFE.test(text);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}

/** A literal of at most about `most` characters; a longer text keeps its beginning and the SHA-256 of the whole. */
export function quoteBounded(text: string, most: number): string {
  return quote(text.length <= most ? text : `${text.slice(0, most)}… sha256:${hash('sha256', text, 'hex')}`);
}

/** Whole numbers that every JSON reader keeps; anything else is null rather than silently another number. */
export function integerText(value: number): string {
  return Number.isSafeInteger(value) ? String(value) : 'null';
}

/** JSON of any value by the rules of {@link quote}; text over `most` characters is replaced by its digest. */
export function valueText(value: unknown, most: number): string {
  const text = encode(value, 0) ?? 'null';
  if (text.length <= most) return text;
  return `{"omitted_bytes":${text.length},"sha256":"${hash('sha256', text, 'hex')}"}`;
}

function encode(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`;
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return `"${value}"`;
    case 'object':
      return value === null ? 'null' : encodeObject(value, depth);
    default:
      return undefined;
  }
}

function encodeObject(value: object, depth: number): string {
  if (depth >= DEEPEST) return '"(nested too deeply)"';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'null' : `"${value.toISOString()}"`;
  if (Array.isArray(value)) return `[${value.map((entry) => encode(entry, depth + 1) ?? 'null').join(',')}]`;
  const members: string[] = [];
  for (const [name, member] of Object.entries(value)) {
    const text = encode(member, depth + 1);
    if (text !== undefined) members.push(`${quote(name)}:${text}`);
  }
  return `{${members.join(',')}}`;
}

function escapePiece(piece: string): string {
  const short = SHORT[piece];
  if (short !== undefined) return short;
  const first = piece.charCodeAt(0);
  if (piece.length === 2) return unicodeEscape(first) + unicodeEscape(piece.charCodeAt(1));
  return first >= 0xd800 && first <= 0xdfff ? '\\ufffd' : unicodeEscape(first);
}

function unicodeEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
