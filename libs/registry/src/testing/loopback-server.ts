import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** An HTTP server on loopback that `stop` ends whatever is still under way. */
export abstract class LoopbackServer {
  private readonly sockets = new Set<Socket>();
  private readonly server = http.createServer((request, response) => void this.serve(request, response));

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  async listen(): Promise<this> {
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined).once('close', () => this.sockets.delete(socket));
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  protected abstract serve(request: http.IncomingMessage, response: http.ServerResponse): void | Promise<void>;
}
