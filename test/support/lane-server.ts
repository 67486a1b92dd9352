/** For the tests of lanes: a server with a handler that tells what it saw, and connections that send bytes as they are. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { DomainError, type Clock, type IdSource } from '@sibyl/kernel';
import type { Metrics } from '@sibyl/telemetry';
import { HttpOptions } from '../../apps/api/src/http/http-options';
import { answerBrokenRequests, type BrokenRequestParts } from '../../apps/api/src/http/server-limits';
import type { Exchange } from '../../apps/api/src/front/exchange';
import { FrontDesk } from '../../apps/api/src/front/front-desk';
import type { FrontHandler } from '../../apps/api/src/front/front-handler';
import { Lanes } from '../../apps/api/src/front/lanes';
import { predictRoute, type PredictRoute } from '../../apps/api/src/predict/predict-routes';
import type { Wire } from '../../apps/api/src/front/wire';

/** What the double makes of a request. */
class DoubleExchange {
  decided = false;

  constructor(readonly wire: Wire) {}

  get name(): string {
    return this.wire.target.replace(/^.*\?/, '');
  }

  wants(what: string): boolean {
    return this.wire.target.includes(what);
  }

  answer(status: number, body: string): void {
    this.decided = true;
    this.wire.answer(status, `X-Name: ${this.name}\r\n`, body, this.wants('last'));
  }
}

/**
 * Takes predict requests and answers with what it saw of them. The query of a request is its name, and says what becomes of it:
 * `hold` is answered by `release`, `later` in a moment, `refuse` before its body, `doubt` is refused, but answered by `release`,
 * `last` ends the connection, `big` has an answer of a mebibyte, `huge` one that no socket holds.
 */
export class HandlerDouble implements FrontHandler {
  readonly opened: string[] = [];
  readonly received: string[] = [];
  readonly proofs: Wire['proof'][] = [];
  readonly failed: string[] = [];
  readonly hungUps: string[] = [];
  readonly cutOffs: string[] = [];
  /** Answers that come in a moment. */
  pending = 0;
  private readonly held = new Map<string, DoubleExchange>();

  route(target: string): PredictRoute | undefined {
    return predictRoute(target);
  }

  growing(): void {}

  bodyLimit(): number {
    return 100_000;
  }

  open(wire: Wire, _route: PredictRoute): Exchange {
    const exchange = new DoubleExchange(wire);
    this.opened.push(exchange.name);
    this.proofs.push(wire.proof);
    if (exchange.wants('refuse')) exchange.answer(403, 'refused');
    else if (exchange.wants('doubt')) {
      exchange.decided = true;
      this.held.set(exchange.name, exchange);
    } else if (exchange.wants('forbid')) {
      exchange.decided = true;
      this.soon(() => exchange.answer(403, 'forbidden'));
    }
    return exchange as unknown as Exchange;
  }

  receive(given: Exchange, bytes: Buffer): void {
    const exchange = given as unknown as DoubleExchange;
    if (exchange.decided) return;
    const { name, wire } = exchange;
    const body = bytes.toString('latin1');
    this.received.push(`${name} ${body}`);
    if (exchange.wants('hold')) this.held.set(name, exchange);
    else if (exchange.wants('later')) this.soon(() => exchange.answer(200, echoOf(wire, body)));
    else if (exchange.wants('huge')) exchange.answer(200, 'h'.repeat(32 * 1024 * 1024));
    else if (exchange.wants('big')) exchange.answer(200, 'b'.repeat(1024 * 1024));
    else exchange.answer(200, echoOf(wire, body));
  }

  /** Answers what is held; what it was held for may be long gone. */
  release(name: string): void {
    const exchange = this.held.get(name);
    if (exchange === undefined) throw new Error(`${name} is not held`);
    exchange.answer(exchange.decided ? 403 : 200, `released ${name}`);
  }

  fail(given: Exchange, error: unknown): void {
    const exchange = given as unknown as DoubleExchange;
    if (exchange.decided) return;
    this.failed.push(`${exchange.name} ${error instanceof DomainError ? error.code : String(error)}`);
    exchange.answer(408, 'failed');
  }

  hungUp(given: Exchange): void {
    this.hungUps.push((given as unknown as DoubleExchange).name);
  }

  cutOff(given: Exchange): void {
    this.cutOffs.push((given as unknown as DoubleExchange).name);
  }

  private soon(answer: () => void): void {
    this.pending++;
    setImmediate(() => {
      this.pending--;
      answer();
    });
  }
}

function echoOf({ target, headers, address }: Wire, body: string): string {
  return JSON.stringify({
    target,
    address,
    body,
    accept: headers.accept,
    authorization: headers.authorization,
    'content-encoding': headers['content-encoding'],
    'content-type': headers['content-type'],
    origin: headers.origin,
    traceparent: headers.traceparent,
    'x-api-key': headers['x-api-key'],
    'x-request-id': headers['x-request-id'],
    'x-request-priority': headers['x-request-priority'],
    'x-request-timeout-ms': headers['x-request-timeout-ms'],
  });
}

/** A server as `ShapedExpressAdapter` makes it, with lanes or without. */
export class LaneServer {
  readonly handler = new HandlerDouble();
  readonly desk: FrontDesk;
  readonly sockets = new Set<Socket>();
  /** Requests that came by `node:http`. */
  readonly nodeSaw: string[] = [];
  readonly clientErrors: string[] = [];
  readonly server: http.Server;
  readonly lanes: Lanes | undefined;
  private readonly clients: Client[] = [];

  constructor(given: Partial<HttpOptions> = {}, withLanes = true) {
    const options = Object.assign(new HttpOptions(), given);
    this.desk = new FrontDesk([this.handler], options.bodyTimeoutMs);
    this.server = http.createServer(
      {
        maxHeaderSize: options.headerBytes,
        headersTimeout: options.headersTimeoutMs,
        requestTimeout: 0,
        keepAliveTimeout: options.keepAliveTimeoutMs,
        connectionsCheckingInterval: 100,
        requireHostHeader: false,
      },
      (request, response) => this.take(request, response),
    );
    this.server.maxHeadersCount = 0;
    this.server.on('checkExpectation', (request, response) => this.server.emit('request', request, response));
    this.server.on('clientError', (error: NodeJS.ErrnoException) => this.clientErrors.push(error.code ?? ''));
    answerBrokenRequests(this.server, brokenParts(options));
    this.lanes = withLanes ? new Lanes(this.desk, options) : undefined;
    this.lanes?.guard(this.server);
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      // Its port may be that of another soon.
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  async start(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    for (const client of this.clients) client.socket.destroy();
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }

  async connect(): Promise<Client> {
    const { port } = this.server.address() as AddressInfo;
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    await once(socket, 'connect');
    const { localPort } = socket;
    let peer: Socket | undefined;
    await until(() => (peer = [...this.sockets].find((other) => other.remotePort === localPort)) !== undefined);
    const client = new Client(socket, peer as unknown as Socket, this.handler);
    this.clients.push(client);
    return client;
  }

  private take(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = request;
    this.nodeSaw.push(`${method} ${url}`);
    if (this.desk.take(request, response)) return;
    const text = `node:http took ${method} ${url}`;
    response.setHeader('Content-Length', Buffer.byteLength(text));
    request.resume().on('end', () => response.end(text));
  }
}

function brokenParts(options: HttpOptions): BrokenRequestParts {
  return {
    trail: { commit: () => Promise.resolve() } as unknown as BrokenRequestParts['trail'],
    clock: { now: () => 0, monotonic: () => 0 } as unknown as Clock,
    ids: { next: () => 'id' } as unknown as IdSource,
    metrics: {
      server: { brokenRequests: { inc: () => undefined }, countEvent: () => undefined },
    } as unknown as Metrics,
    options,
  };
}

/** One connection of a client, which sees the server's side of it too. */
export class Client {
  text = '';
  /** The server has ended the connection, or it broke. */
  ended = false;

  constructor(
    readonly socket: Socket,
    /** The server's side. */
    readonly peer: Socket,
    private readonly handler: HandlerDouble,
  ) {
    const end = (): void => void (this.ended = true);
    socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    socket.on('error', end).on('end', end).on('close', end);
  }

  /** Sends the pieces, each after the server has done what it does about the one before. */
  async send(...pieces: (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      if (this.ended) return;
      const before = this.peer.bytesRead;
      const bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece, 'latin1');
      this.socket.write(bytes);
      await until(() => this.ended || this.peer.destroyed || this.peer.bytesRead >= before + bytes.length);
      await this.quiet();
    }
  }

  /** When the server has answered all that it will, and the answers are here. */
  async quiet(): Promise<void> {
    for (let calm = 0; calm < 3; calm++) {
      await turn();
      if (this.ended) return;
      const done = this.handler.pending === 0 && this.socket.bytesRead >= this.peer.bytesWritten;
      if (!done || this.peer.writableEnded) calm = -1;
    }
  }

  async closed(): Promise<void> {
    await until(() => this.ended);
  }

  get answers(): Answer[] {
    return answersOf(this.text);
  }

  get bodies(): string[] {
    return this.answers.map(({ body }) => body);
  }
}

export interface Answer {
  readonly status: number;
  /** All but the date, in alphabetical order. */
  readonly headers: readonly string[];
  readonly body: string;
}

function answersOf(text: string): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) throw new Error(`not an answer: ${text.slice(at, at + 200)}`);
    const [first = '', ...lines] = text.slice(at, end).split('\r\n');
    if (!first.startsWith('HTTP/1.1 ')) throw new Error(`not an answer: ${first}`);
    const headers = lines.filter((line) => !line.startsWith('Date: ')).sort();
    const chunked = headers.includes('Transfer-Encoding: chunked');
    if (chunked) throw new Error('answers of these tests have a length');
    const bytes = Number(headers.find((line) => line.startsWith('Content-Length: '))?.slice(16) ?? 0);
    answers.push({ status: Number(first.slice(9, 12)), headers, body: text.slice(end + 4, end + 4 + bytes) });
    at = end + 4 + bytes;
  }
  return answers;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits for what is bound to happen; the time limit of the test is the only one. */
export async function until(happened: () => boolean): Promise<void> {
  while (!happened()) await turn();
}

/** A predict request; its query says what becomes of it. */
export function predict(name: string, body = '{}', ...lines: string[]): string {
  const head = ['POST /predict?' + name + ' HTTP/1.1', 'Host: x', ...lines, `Content-Length: ${body.length}`];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

export function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
}
