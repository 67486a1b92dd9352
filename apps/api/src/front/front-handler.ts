/** Hot path. See docs/paths/predict.md. */
import type { Exchange } from './exchange';
import type { Wire } from './wire';

/** A route that is answered in front of the ordinary stack. */
export interface FrontRoute {
  /** Of the path, for metrics and the record. */
  readonly pattern: string;
}

/**
 * Answers requests of some routes in front of the ordinary stack and through the same gate, from the head to the answer. A wire calls
 * `open` with the head, `receive` with the body and `hungUp` when nobody is there any more; none of them throws.
 */
export interface FrontHandler {
  /** The route of a request target (`POST`), or undefined: then another handler or the ordinary stack takes the request. */
  route(target: string): FrontRoute | undefined;
  bodyLimit(route: FrontRoute): number;
  /** Begins an exchange: who asks, whether they may, and what they want of the answer. `bodyBytes`: as announced. */
  open(wire: Wire, route: FrontRoute, bodyBytes?: number): Exchange;
  /** So many bytes have come of a body that does not say how many there are. May throw what refuses them. */
  growing(exchange: Exchange, bytes: number): void;
  /** Goes on with the whole body. */
  receive(exchange: Exchange, bytes: Buffer): void;
  /** Ends an exchange whose body did not come as it should. */
  fail(exchange: Exchange, error: unknown): void;
  /** The connection is gone: what still waits is dropped. */
  hungUp(exchange: Exchange): void;
  /** The body will not come to its end. */
  cutOff(exchange: Exchange): void;
}
