/** Hot path. Reads the head of a request that is as nearly every predict request is; everything else is none of its business. */
import type { WireHeaders } from './wire';

/**
 * A request line and headers by RFC 9112 §3 and §5, stricter than that allows: POST, origin form, HTTP/1.1, no folded lines, no
 * control characters. What does not match is read by `node:http`, which knows what to say about it.
 */
const HEAD = /^POST \/[!-~]* HTTP\/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n)+$/;
const TARGET_START = 'POST '.length;
const VERSION_LENGTH = ' HTTP/1.1'.length;
const END = Buffer.from('\r\n\r\n');
/** As strictly as Node reads it: no tab after the digits. */
const LENGTH = /^[\t ]*\d{1,10} *$/;

/** Headers that mean something to a prediction, all of them, and nothing to how the request is read. */
type Noted = { [K in keyof WireHeaders]-?: string | undefined };

/** The head of a request on a lane. Every header is there from the beginning, so that all heads have one shape. */
export class LaneHead implements Noted {
  target = '';
  /** Where the body begins. */
  bodyAt = 0;
  bodyBytes = -1;
  /** The client asks for the connection to end with the answer. */
  close = false;
  accept: string | undefined = undefined;
  authorization: string | undefined = undefined;
  'content-encoding': string | undefined = undefined;
  'content-type': string | undefined = undefined;
  origin: string | undefined = undefined;
  prefer: string | undefined = undefined;
  traceparent: string | undefined = undefined;
  'x-api-key': string | undefined = undefined;
  'x-request-id': string | undefined = undefined;
  'x-request-priority': string | undefined = undefined;
  'x-request-timeout-ms': string | undefined = undefined;
}

/** The head at the beginning of `bytes`; undefined where it is not complete, not plain, or longer than allowed. */
export function readLaneHead(bytes: Buffer, mostBytes: number): LaneHead | undefined {
  const end = bytes.indexOf(END);
  if (end < 0 || end > mostBytes) return undefined;
  const text = bytes.toString('latin1', 0, end + 2);
  if (!HEAD.test(text)) return undefined;
  const head = new LaneHead();
  const lineEnd = text.indexOf('\r');
  head.target = text.slice(TARGET_START, lineEnd - VERSION_LENGTH);
  head.bodyAt = end + END.length;
  for (let at = lineEnd + 2; at < text.length;) {
    const colon = text.indexOf(':', at);
    const stop = text.indexOf('\r', colon);
    if (!take(head, text.slice(at, colon).toLowerCase(), text, colon + 1, stop)) return undefined;
    at = stop + 2;
  }
  return head.bodyBytes < 0 ? undefined : head;
}

const NOTED: ReadonlySet<string> = new Set(
  Object.keys({
    accept: true,
    authorization: true,
    'content-encoding': true,
    'content-type': true,
    origin: true,
    prefer: true,
    traceparent: true,
    'x-api-key': true,
    'x-request-id': true,
    'x-request-priority': true,
    'x-request-timeout-ms': true,
  } satisfies Record<keyof WireHeaders, true>),
);

/** Headers that change how a request is read or answered. Node's parser takes `Proxy-Connection` for `Connection`. */
const FOREIGN: ReadonlySet<string> = new Set([
  'expect',
  'http2-settings',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Notes a header; false where the request is for `node:http`: a header that changes how it is read, or one that comes twice. */
function take(head: LaneHead, name: string, text: string, from: number, to: number): boolean {
  if (name === 'content-length') return takeLength(head, text.slice(from, to));
  if (name === 'connection') return takeConnection(head, value(text, from, to).toLowerCase());
  if (!NOTED.has(name)) return !FOREIGN.has(name);
  const noted = name as keyof WireHeaders;
  if (head[noted] !== undefined) return false;
  head[noted] = value(text, from, to);
  return true;
}

function takeLength(head: LaneHead, length: string): boolean {
  if (head.bodyBytes >= 0 || !LENGTH.test(length)) return false;
  head.bodyBytes = Number(length);
  return true;
}

function takeConnection(head: LaneHead, wish: string): boolean {
  head.close ||= wish === 'close';
  return wish === 'close' || wish === 'keep-alive';
}

/** Without the spaces and tabs around it. */
function value(text: string, from: number, to: number): string {
  let start = from;
  let stop = to;
  while (start < stop && isBlank(text.charCodeAt(start))) start++;
  while (stop > start && isBlank(text.charCodeAt(stop - 1))) stop--;
  return text.slice(start, stop);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
