/** Hot path. See docs/paths/predict.md. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../http/body';
import type { FrontHandler, FrontRoute } from './front-handler';
import { NodeWire } from './node-wire';

/** A route and who answers it. */
export interface Found {
  readonly handler: FrontHandler;
  readonly route: FrontRoute;
}

/** Targets that were read lately: clients ask for the same few over and over. */
const KNOWN_MAX = 1_000;
const KNOWN_LENGTH_MAX = 512;

/** Knows which requests are answered in front of the ordinary stack, and by whom. */
export class FrontDesk {
  private readonly known = new Map<string, Found>();

  constructor(
    private readonly handlers: readonly FrontHandler[],
    private readonly bodyTimeoutMs: number,
  ) {}

  /** Who answers a `POST` to this target; undefined: the ordinary stack. */
  find(target: string): Found | undefined {
    const before = this.known.get(target);
    if (before !== undefined) return before;
    const found = this.read(target);
    if (found === undefined || target.length > KNOWN_LENGTH_MAX) return found;
    if (this.known.size >= KNOWN_MAX) this.known.clear();
    this.known.set(target, found);
    return found;
  }

  /** Takes a request of `node:http` if it is one of these; everything else, other methods too, is left to the ordinary stack. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'POST') return false;
    const found = this.find(request.url ?? '/');
    if (found === undefined) return false;
    const { handler, route } = found;
    const announced = request.headers['content-length'];
    const exchange = handler.open(new NodeWire(request, response), route, Number(announced ?? 0));
    response.on('close', () => {
      if (!response.writableEnded) handler.hungUp(exchange);
    });
    if (exchange.decided) return true;
    const limits = { bytes: handler.bodyLimit(route), timeoutMs: this.bodyTimeoutMs };
    const growing = announced === undefined ? (bytes: number) => handler.growing(exchange, bytes) : undefined;
    readBody(request, limits, growing).then(
      (bytes) => handler.receive(exchange, bytes),
      (error: unknown) => {
        if (request.destroyed) handler.hungUp(exchange);
        handler.fail(exchange, error);
      },
    );
    return true;
  }

  private read(target: string): Found | undefined {
    for (const handler of this.handlers) {
      const route = handler.route(target);
      if (route !== undefined) return { handler, route };
    }
    return undefined;
  }
}
