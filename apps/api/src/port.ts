import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { ServerOptions } from '../config';
import type { WorkerLink } from './workers/worker-link';

/** Where connections come from. */
export interface Port {
  /** From now on connections come. */
  open(app: NestExpressApplication): Promise<void>;
  /** No more connections; resolves when those that are open have ended. */
  close(server: Server): Promise<void>;
  /** Cuts off whoever is still there. */
  cut(): void;
}

/** The port of a server that is one process. */
export class OwnPort implements Port {
  constructor(private readonly options: Pick<ServerOptions, 'port' | 'host'>) {}

  async open(app: NestExpressApplication): Promise<void> {
    await app.listen(this.options.port, this.options.host);
  }

  /** An HTTP server's own close() cuts idle connections at once, and with them requests that are on their way already. */
  close(server: Server): Promise<void> {
    return new Promise((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  }

  cut(): void {
    // The HTTP server and the lanes know all of its connections.
  }
}

/** A worker's share of the port: the primary listens, and hands connections over. */
export class DealtPort implements Port {
  private readonly sockets = new Set<Socket>();
  private emptied: (() => void) | undefined;

  constructor(private readonly link: WorkerLink) {}

  open(app: NestExpressApplication): Promise<void> {
    const server = app.getHttpServer() as Server;
    // An HTTP server watches its connections, for those that are slow, from this event on.
    server.emit('listening');
    this.link.connections = () => this.sockets.size;
    this.link.onConnection = (socket) => {
      // As an HTTP server has it: a client may have said all that it has to say and wait for its answer.
      socket.allowHalfOpen = true;
      this.sockets.add(socket);
      socket.once('close', () => this.closed(socket));
      server.emit('connection', socket);
      return this.sockets.size;
    };
    this.link.say('open');
    return Promise.resolve();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.emptied = resolve;
      if (this.sockets.size === 0) resolve();
    });
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private closed(socket: Socket): void {
    this.sockets.delete(socket);
    this.link.connectionsEnded();
    if (this.sockets.size === 0) this.emptied?.();
  }
}
