import { isUtf8 } from 'node:buffer';
import { DomainError } from '@sibyl/kernel';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const BYTE_ORDER_MARK = 0xfeff;

/** Reads strict UTF-8 JSON. The depth is counted before parsing, because whatever walks the value later recurses. */
export function parseJson(bytes: Buffer, maxDepth: number): unknown {
  return parseJsonText(decodeJson(bytes, maxDepth));
}

/** The text of a body whose depth is within the limit. */
export function decodeJson(bytes: Buffer, maxDepth: number): string {
  checkDepth(bytes, maxDepth);
  if (!isUtf8(bytes)) throw new DomainError('malformed_json', 'The body is not valid UTF-8.');
  const text = bytes.toString('utf8');
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
}

export function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    // The parser's message quotes the body, so it stays in the log.
    throw new DomainError('malformed_json', `The body is not valid JSON${placeOf(cause)}.`, { cause });
  }
}

function placeOf(cause: unknown): string {
  const position = cause instanceof Error ? /at position (\d+)/.exec(cause.message)?.[1] : undefined;
  return position === undefined ? '' : ` at character ${position}`;
}

/** Bytes suffice: no byte of a longer UTF-8 character equals a quote or a bracket. */
function checkDepth(bytes: Uint8Array, maxDepth: number): void {
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

function endOfString(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}
