import { isAscii, isUtf8 } from 'node:buffer';
import { DomainError } from '@sibyl/kernel';
import { endOfString } from '@sibyl/protocol';
import { parse as parseLossless } from 'lossless-json';

const QUOTE = 0x22;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const BYTE_ORDER_MARK = '\u{feff}';
const MARK_BYTES = Buffer.from(BYTE_ORDER_MARK);

/** Reads strict UTF-8 JSON. The depth is counted before parsing, because whatever walks the value later recurses. */
export function parseJson(bytes: Buffer, maxDepth: number): unknown {
  return parseJsonText(decodeJson(bytes, maxDepth));
}

/** The text of a body whose depth is within the limit. */
export function decodeJson(bytes: Buffer, maxDepth: number): string {
  checkDepth(bytes, maxDepth);
  // ASCII, as most bodies are, is the same in Latin-1, which is read several times faster.
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw notUtf8();
  const text = bytes.toString('utf8');
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}

export function notUtf8(): DomainError {
  return new DomainError('malformed_json', 'The body is not valid UTF-8.');
}

/** The same bytes without a byte order mark. */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === MARK_BYTES[0] && MARK_BYTES.equals(bytes.subarray(0, MARK_BYTES.length))
    ? bytes.subarray(MARK_BYTES.length)
    : bytes;
}

function parseJsonText(text: string): unknown {
  return parsed(() => JSON.parse(text) as unknown);
}

/** The same, but whole numbers beyond 2^53-1 are bigint and keep their digits: identifiers of 64 bits are features too. */
export function parseWideJson(text: string): unknown {
  return parsed(() => parseWide(text));
}

/** `parseWideJson` with the errors of the parsers themselves. */
export function parseWide(text: string): unknown {
  // Hardly any text has such a number, and the exact parser takes ten times as long.
  if (!WIDE_NUMBER.test(text)) return JSON.parse(text);
  return parseLossless(text, undefined, { parseNumber: wideNumber, onDuplicateKey: ({ newValue }) => newValue });
}

const WIDE_NUMBER = /[[,:\s]-?\d{16}/;
const WIDE = /^-?\d{16,20}$/;

function wideNumber(text: string): number | bigint {
  const value = Number(text);
  return WIDE.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value;
}

function parsed(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (cause) {
    throw malformed(positionOf(cause), cause);
  }
}

/** The parser's message quotes the body, so it stays in the log. */
export function malformed(position: number | undefined, cause?: unknown): DomainError {
  const place = position === undefined ? '' : ` at character ${position}`;
  return new DomainError('malformed_json', `The body is not valid JSON${place}.`, { cause });
}

/** The character at which a parser gave up, where it says. */
export function positionOf(cause: unknown): number | undefined {
  const position = cause instanceof Error ? /at position (\d+)/.exec(cause.message)?.[1] : undefined;
  return position === undefined ? undefined : Number(position);
}

/** 1 for each byte that opens an object or an array. */
const OPENS = new Uint8Array(256);
OPENS[OPEN_BRACKET] = 1;
OPENS[OPEN_BRACE] = 1;

/** Bytes suffice: no byte of a longer UTF-8 character equals a quote or a bracket. */
function checkDepth(bytes: Uint8Array, maxDepth: number): void {
  // What has no more brackets than levels, as most requests for one row, cannot nest deeper.
  if (bytes.length > COUNTED_BYTES || openings(bytes) > maxDepth) walkDepth(bytes, maxDepth);
}

/** Long texts have many brackets: counting them first would only be one more pass. */
const COUNTED_BYTES = 4096;

function openings(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at++) count += OPENS[bytes[at] as number] as number;
  return count;
}

function walkDepth(bytes: Uint8Array, maxDepth: number): void {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--;
    else if ((byte === OPEN_BRACKET || byte === OPEN_BRACE) && ++depth > maxDepth) {
      throw new DomainError('json_too_deep', `Objects and arrays may be nested ${maxDepth} deep.`);
    }
  }
}
