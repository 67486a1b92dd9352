import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express from 'express';
import type { HttpOptions } from './http-options';

/** Takes a request before the ordinary stack sees it, or leaves it alone (false). */
export type FrontHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * Express on a server that creates requests and responses with Express's own prototypes. Express sets those prototypes on
 * every request; on V8 before 13 (Node 20 and 22) a changed prototype makes the object slow, and here the call changes nothing.
 * Also lets the predict routes be taken before the ordinary stack: they have no use for its twenty layers.
 */
export class ShapedExpressAdapter extends ExpressAdapter {
  /** Set once, before listening. */
  front: FrontHandler = () => false;

  constructor(private readonly limits: HttpOptions) {
    const app = express();
    app.enable('case sensitive routing');
    super(app);
  }

  override initHttpServer(_options: NestApplicationOptions): void {
    const app = this.getInstance<express.Express>();
    // Real subclasses: V8 then lays their objects out as it does Node's own. A function with a borrowed prototype makes
    // objects whose many fields end in a dictionary, which costs a prediction more than everything else together.
    class ShapedRequest extends http.IncomingMessage {}
    class ShapedResponse extends http.ServerResponse {}
    adopt(ShapedRequest.prototype, app.request, http.IncomingMessage.prototype);
    adopt(ShapedResponse.prototype, app.response, http.ServerResponse.prototype);
    Object.assign(app, { request: ShapedRequest.prototype, response: ShapedResponse.prototype });
    const server = http.createServer(
      {
        IncomingMessage: ShapedRequest,
        ServerResponse: ShapedResponse,
        maxHeaderSize: this.limits.headerBytes,
        headersTimeout: this.limits.headersTimeoutMs,
        // Bodies are timed where they are read: JSON in seconds, packages in minutes.
        requestTimeout: 0,
        keepAliveTimeout: this.limits.keepAliveTimeoutMs,
        connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
        requireHostHeader: false,
      },
      (request, response) => {
        if (!this.front(request, response)) app(request as express.Request, response as express.Response);
      },
    );
    // The bytes of all headers are limited; past a count Node would drop headers without a word, the key among them.
    server.maxHeadersCount = 0;
    // An expectation that nobody knows may be ignored (RFC 9110 §10.1.1); Node's own 417 would pass by gate and record.
    server.on('checkExpectation', (request, response) => server.emit('request', request, response));
    this.httpServer = server as unknown as typeof this.httpServer;
  }
}

/** How precisely the timeouts of headers are kept. */
const CONNECTIONS_CHECK_MS = 1_000;

/** Gives `target` every member that `source` has above `base`, the nearest first. */
function adopt(target: object, source: object, base: object): void {
  for (let level = source; level !== base; level = Object.getPrototypeOf(level) as object) {
    for (const key of Reflect.ownKeys(level)) {
      const member = Object.getOwnPropertyDescriptor(level, key);
      if (member !== undefined && key !== 'constructor' && !Object.hasOwn(target, key))
        Object.defineProperty(target, key, member);
    }
  }
}
