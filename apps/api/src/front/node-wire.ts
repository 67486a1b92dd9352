import type { IncomingMessage, ServerResponse } from 'node:http';
import type { JsonText } from '@sibyl/protocol';
import { addressOf } from '../http/arrival';
import type { Wire, WireHeaders } from './wire';

/** A request that `node:http` has read. */
export class NodeWire implements Wire {
  readonly target: string;
  readonly address: string;
  readonly headers: WireHeaders;
  readonly proof = undefined;

  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {
    this.target = request.url ?? '/';
    this.address = addressOf(request.socket);
    this.headers = request.headers;
  }

  answer(status: number, head: string, body: JsonText, last: boolean): void {
    const { request, response } = this;
    if (response.destroyed || response.headersSent) return;
    for (const line of head.split('\r\n').slice(0, -1)) {
      const colon = line.indexOf(': ');
      response.appendHeader(line.slice(0, colon), line.slice(colon + 2));
    }
    response.setHeader('Content-Length', typeof body === 'string' ? Buffer.byteLength(body) : body.bytes);
    // A body that was not read to its end would be taken for the next request.
    if (last || !request.complete) response.setHeader('Connection', 'close');
    response.writeHead(status);
    if (typeof body === 'string') {
      response.end(body);
      return;
    }
    for (const part of body.parts) response.write(part);
    response.end();
  }

  abort(): void {
    this.response.destroy();
  }
}
