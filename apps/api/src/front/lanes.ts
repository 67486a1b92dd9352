/** Hot path. See docs/paths/predict.md. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpOptions } from '../http/http-options';
import type { FrontDesk } from './front-desk';
import { Lane, type LaneHost } from './lane';

const SWEEP_MS = 1_000;
/** For a client to take its last answer and close. */
const LINGER_MS = 3_000;

/** The connections that are read without `node:http`; every connection begins as one. */
export class Lanes implements LaneHost {
  readonly headerBytes: number;
  readonly bodyTimeoutMs: number;
  readonly keepAlive: string;
  private readonly lanes = new Set<Lane>();
  private sweeper: NodeJS.Timeout | undefined;
  private dateLine = '';
  private server: Server | undefined;
  private toNode: (socket: Socket) => void = () => undefined;

  constructor(
    readonly desk: FrontDesk,
    private readonly options: HttpOptions,
  ) {
    this.headerBytes = options.headerBytes;
    this.bodyTimeoutMs = options.bodyTimeoutMs;
    this.keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(options.keepAliveTimeoutMs / 1000)}\r\n`;
  }

  /** Stands between a server and its connections. Before it listens. */
  guard(server: Server): void {
    const [toNode] = server.listeners('connection') as ((socket: Socket) => void)[];
    if (toNode === undefined) throw new Error('an HTTP server takes connections');
    server.off('connection', toNode);
    this.server = server;
    this.toNode = (socket) => toNode.call(server, socket);
    server.on('connection', (socket: Socket) => this.lanes.add(new Lane(socket, this)));
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
    server.on('close', () => clearInterval(this.sweeper));
  }

  date(): string {
    if (this.dateLine === '') {
      const now = new Date();
      this.dateLine = `Date: ${now.toUTCString()}\r\n`;
      setTimeout(() => (this.dateLine = ''), 1_000 - now.getMilliseconds()).unref();
    }
    return this.dateLine;
  }

  leave(lane: Lane, bytes: Buffer): void {
    const { socket } = lane;
    this.lanes.delete(lane);
    lane.detach();
    socket.pause();
    this.toNode(socket);
    socket.unshift(bytes);
    socket.resume();
  }

  closed(lane: Lane): void {
    this.lanes.delete(lane);
  }

  /** Ends connections on which nothing is under way. Those that end already are left to it: their last answer may be on its way. */
  closeIdle(): void {
    for (const lane of this.lanes) if (lane.idle && !lane.ending) lane.socket.destroy();
  }

  closeAll(): void {
    for (const lane of this.lanes) lane.socket.destroy();
  }

  private sweep(): void {
    for (const lane of this.lanes) {
      // The first sweep may come at once: only the seconds between two have passed for certain.
      const silentMs = lane.age++ * SWEEP_MS;
      const { sending } = lane;
      lane.watchSending(sending ? this.options.keepAliveTimeoutMs : 0);
      if (sending) lane.age = 0;
      else if (lane.ending) {
        if (silentMs >= LINGER_MS) lane.socket.destroy();
      } else if (lane.readingBody) {
        if (silentMs >= this.bodyTimeoutMs) lane.giveUp();
      } else if (lane.idle) this.sweepIdle(lane, silentMs);
    }
  }

  private sweepIdle(lane: Lane, silentMs: number): void {
    if (lane.used && silentMs >= this.options.keepAliveTimeoutMs) lane.socket.destroy();
    if (lane.used || silentMs < this.options.headersTimeoutMs) return;
    lane.abandon();
    // As `node:http` says it of a connection on which no head has come.
    const error = Object.assign(new Error('no request came'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    this.server?.emit('clientError', error, lane.socket);
  }
}
