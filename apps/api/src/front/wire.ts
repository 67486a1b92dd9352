/** Hot path. See docs/paths/predict.md. */

import type { ConnectionProof } from '@sibyl/auth';
import type { JsonText } from '@sibyl/protocol';

/** The headers that mean something in front of the ordinary stack, as `node:http` gives them: lower-case names. */
export interface WireHeaders {
  readonly accept?: string | undefined;
  readonly authorization?: string | undefined;
  readonly 'content-encoding'?: string | undefined;
  readonly 'content-type'?: string | undefined;
  readonly origin?: string | undefined;
  readonly prefer?: string | string[] | undefined;
  readonly traceparent?: string | string[] | undefined;
  readonly 'x-api-key'?: string | string[] | undefined;
  readonly 'x-request-id'?: string | string[] | undefined;
  readonly 'x-request-priority'?: string | string[] | undefined;
  readonly 'x-request-timeout-ms'?: string | string[] | undefined;
}

/** How a request came and its answer leaves: on a fast lane, or by `node:http` (`NodeWire`). */
export interface Wire {
  /** The request target as it was sent. */
  readonly target: string;
  /** The peer's address. */
  readonly address: string;
  readonly headers: WireHeaders;
  /** What the connection has proven before, where it remembers. */
  readonly proof: ConnectionProof | undefined;
  /**
   * Sends the answer, whole and once; does nothing where nobody is there any more. `head` is header lines, each with its
   * CRLF, without those about length and connection. `last` ends the connection after it.
   */
  answer(status: number, head: string, body: JsonText, last: boolean): void;
  /** Ends the connection without an answer: there is none that could be trusted. */
  abort(): void;
}
