/** Hot path. See docs/paths/predict.md. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { ConnectionProof } from '@sibyl/auth';
import type { JsonText, LongText } from '@sibyl/protocol';
import { addressOf } from '../http/arrival';
import { tooSlow } from '../http/body';
import { BodyRoom } from '../http/body-room';
import type { Exchange } from './exchange';
import type { FrontDesk } from './front-desk';
import type { FrontHandler } from './front-handler';
import { readLaneHead, type LaneHead } from './lane-head';
import type { Wire, WireHeaders } from './wire';

/** What lanes have in common. */
export interface LaneHost {
  readonly desk: Pick<FrontDesk, 'find'>;
  readonly headerBytes: number;
  readonly bodyTimeoutMs: number;
  /** The header lines that tell a client to keep its connection. */
  readonly keepAlive: string;
  /** The `Date` line of this second. */
  date(): string;
  /** `node:http` takes the connection from here on; `bytes` were read already. */
  leave(lane: Lane, bytes: Buffer): void;
  closed(lane: Lane): void;
}

/** Answers that a client has not taken yet; past it nothing more is read from it. */
const UNSENT_BYTES = 64 * 1024;

/**
 * One connection on which nothing but plain requests for the front desk have come so far, read without `node:http`: that costs a
 * prediction more than everything that it needs itself. The first that is anything else, be it malformed, another route or a head in two
 * pieces, hands the connection over for good, so that there is nothing here to get wrong but the plain case.
 */
export class Lane {
  /** Sweeps of the host since something happened. */
  age = 0;
  /** A request has come. */
  used = false;
  /** The connection ends after what was written. */
  ending = false;
  readonly proof = new ConnectionProof();
  readonly address: string;
  private request: LaneRequest | undefined;
  private exchange: Exchange | undefined;
  /** Of the exchange. */
  private handler: FrontHandler | undefined;
  private room: BodyRoom | undefined;
  private missing = 0;
  private rest: Buffer | undefined;
  private readonly onData = (chunk: Buffer): void => this.receive(chunk);
  private readonly onEnd = (): void => {
    this.leaveRest();
    this.finish();
  };
  private readonly onClose = (): void => this.close();
  private readonly onTimeout = (): void => void (this.sending && this.socket.destroy());

  constructor(
    readonly socket: Socket,
    private readonly host: LaneHost,
  ) {
    this.address = addressOf(socket);
    socket.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose).on('error', ignore);
    socket.on('timeout', this.onTimeout);
  }

  /** Nothing is under way: no request, none that waits, no answer that the client is still taking. */
  get idle(): boolean {
    return this.request === undefined && this.rest === undefined && this.socket.writableLength === 0;
  }

  /** The client has not taken its answers yet, and nothing else goes on. */
  get sending(): boolean {
    return this.request === undefined && this.socket.writableLength > 0;
  }

  get readingBody(): boolean {
    return this.missing > 0;
  }

  /** Sends an answer and goes on to the next request. */
  answer(request: LaneRequest, status: number, head: string, body: JsonText, last: boolean): void {
    // Never the answer of another request, whatever comes late.
    if (request !== this.request || this.ending) return;
    const { socket, host } = this;
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.bytes;
    const close = last || request.head.close || this.missing > 0;
    const lines =
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head}Content-Length: ${bytes}\r\n` +
      `${host.date()}${close ? CLOSE : host.keepAlive}\r\n`;
    this.request = undefined;
    this.exchange = undefined;
    this.age = 0;
    // Characters are bytes where there are as many of them, and Latin-1 is written with less work.
    if (typeof body === 'string') socket.write(lines + body, bytes === body.length ? 'latin1' : 'utf8');
    else writeLong(socket, lines, body);
    if (close) this.finish();
    else if (this.rest !== undefined) this.goOn();
  }

  /** Gives up on a body that has not come in time. */
  giveUp(): void {
    if (this.exchange !== undefined) this.handler?.fail(this.exchange, tooSlow(this.host.bodyTimeoutMs));
  }

  /** Has the socket watch that its client goes on taking what is sent: it sees the parts of a write. 0: no longer. */
  watchSending(timeoutMs: number): void {
    if ((this.socket.timeout ?? 0) !== timeoutMs) this.socket.setTimeout(timeoutMs);
  }

  /** Takes nothing more; somebody else has the last word. */
  abandon(): void {
    this.ending = true;
    this.age = 0;
  }

  /** Stops listening, but for errors: the connection is somebody else's now. */
  detach(): void {
    this.watchSending(0);
    this.socket
      .off('data', this.onData)
      .off('end', this.onEnd)
      .off('close', this.onClose)
      .off('timeout', this.onTimeout);
  }

  private receive(chunk: Buffer): void {
    if (this.ending) return;
    if (this.missing > 0) this.collect(chunk);
    else if (this.request !== undefined || this.rest !== undefined) this.hold(chunk);
    else if (this.socket.writableLength <= UNSENT_BYTES) this.begin(chunk);
    else {
      this.hold(chunk);
      this.goOn();
    }
  }

  private begin(chunk: Buffer): void {
    const head = readLaneHead(chunk, this.host.headerBytes);
    const found = head === undefined ? undefined : this.host.desk.find(head.target);
    if (head === undefined || found === undefined || head.bodyBytes > found.handler.bodyLimit(found.route)) {
      this.host.leave(this, chunk);
      return;
    }
    const { handler, route } = found;
    const { bodyAt, bodyBytes } = head;
    const request = new LaneRequest(this, head);
    const bodyEnd = bodyAt + bodyBytes;
    this.used = true;
    this.age = 0;
    this.request = request;
    this.missing = Math.max(0, bodyEnd - chunk.length);
    if (chunk.length > bodyEnd) this.hold(chunk.subarray(bodyEnd));
    const exchange = handler.open(request, route, bodyBytes);
    // Refused and answered within the call: nothing of it is left.
    if (this.request !== request) return;
    this.exchange = exchange;
    this.handler = handler;
    if (this.missing > 0) {
      this.room = new BodyRoom(bodyBytes);
      this.room.add(chunk.subarray(bodyAt));
    } else handler.receive(exchange, chunk.subarray(bodyAt, bodyEnd));
  }

  /** A body that comes in several pieces; that of a request which was refused meanwhile is thrown away. */
  private collect(chunk: Buffer): void {
    const { exchange, missing } = this;
    this.missing = Math.max(0, missing - chunk.length);
    if (exchange !== undefined && !exchange.decided) this.room?.add(chunk.subarray(0, missing));
    if (this.missing > 0) return;
    if (chunk.length > missing) this.hold(chunk.subarray(missing));
    const { room } = this;
    this.room = undefined;
    if (exchange !== undefined && room !== undefined) this.handler?.receive(exchange, room.take());
  }

  /** What comes before its turn waits, and nothing more is read. */
  private hold(bytes: Buffer): void {
    this.rest = this.rest === undefined ? bytes : Buffer.concat([this.rest, bytes]);
    this.socket.pause();
  }

  /** Reads what has waited, once the client has taken most of its answers. */
  private goOn(): void {
    if (this.socket.writableLength > UNSENT_BYTES) {
      this.socket.once('drain', () => this.goOn());
      return;
    }
    process.nextTick(() => {
      const { rest } = this;
      this.rest = undefined;
      if (rest === undefined || this.ending || this.socket.destroyed) return;
      this.begin(rest);
      if (this.rest === undefined) this.socket.resume();
    });
  }

  /** Ends the connection: the answer said so, or the client did. */
  private finish(): void {
    if (this.ending) return;
    this.ending = true;
    this.rest = undefined;
    this.room = undefined;
    // What still comes in is read and dropped: closing on unread bytes would cost the client its answer.
    this.socket.resume();
    this.leaveExchange();
    this.socket.end();
  }

  private close(): void {
    if (!this.ending) this.leaveRest();
    this.ending = true;
    this.leaveExchange();
    this.host.closed(this);
  }

  /** Requests that waited for their turn when the client hung up: each has its event, as if it had begun. */
  private leaveRest(): void {
    let { rest } = this;
    this.rest = undefined;
    while (rest !== undefined) {
      const head = readLaneHead(rest, this.host.headerBytes);
      const found = head === undefined ? undefined : this.host.desk.find(head.target);
      if (head === undefined || found === undefined) return;
      found.handler.cutOff(found.handler.open(new LaneRequest(this, head), found.route));
      rest = rest.length > head.bodyAt + head.bodyBytes ? rest.subarray(head.bodyAt + head.bodyBytes) : undefined;
    }
  }

  private leaveExchange(): void {
    const { exchange, missing } = this;
    if (exchange === undefined) return;
    this.missing = 0;
    this.exchange = undefined;
    if (missing > 0) this.handler?.cutOff(exchange);
    else this.handler?.hungUp(exchange);
  }
}

const CLOSE = 'Connection: close\r\n';

function writeLong(socket: Socket, head: string, body: LongText): void {
  socket.cork();
  socket.write(head, 'latin1');
  for (const part of body.parts) socket.write(part);
  socket.uncork();
}

function ignore(): void {
  // An error of a connection is followed by its end, which says the same.
}

/** One request of a lane. */
class LaneRequest implements Wire {
  constructor(
    private readonly lane: Lane,
    readonly head: LaneHead,
  ) {}

  get target(): string {
    return this.head.target;
  }

  get headers(): WireHeaders {
    return this.head;
  }

  get address(): string {
    return this.lane.address;
  }

  get proof(): ConnectionProof {
    return this.lane.proof;
  }

  answer(status: number, head: string, body: JsonText, last: boolean): void {
    this.lane.answer(this, status, head, body, last);
  }

  abort(): void {
    this.lane.socket.destroy();
  }
}
