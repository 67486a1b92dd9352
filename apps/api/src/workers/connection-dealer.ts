import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { WorkerProcess } from './worker-process';

/** Connections that no worker has taken yet: as many as the kernel keeps beside them. Past it they are cut off. */
const WAITING = 512;

/**
 * Takes the connections of the port and deals them out, each to the worker that has the fewest. A worker says when it has taken
 * one; until then the connection is kept here too, unread, so that it goes to another when the worker ends. That and the even
 * shares are what `node:cluster` does not do.
 */
export class ConnectionDealer {
  private readonly server = net.createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.take(socket));
  private readonly waiting: Socket[] = [];
  private turns = 0;

  constructor(private readonly workers: () => readonly WorkerProcess[]) {}

  async listen(port: number, host: string): Promise<AddressInfo> {
    this.server.listen(port, host);
    await once(this.server, 'listening');
    // From now on errors are those of single connections that could not be taken.
    this.server.on('error', () => undefined);
    return this.server.address() as AddressInfo;
  }

  close(): void {
    this.server.close();
  }

  /** A worker has taken what it was given: the connection is no longer ours. */
  accepted(worker: WorkerProcess, connections: number): void {
    worker.offered?.destroy();
    worker.offered = undefined;
    worker.connections = connections;
    this.deal();
  }

  /** A worker has ended. What it had not taken goes to another, and so does nothing when there is none yet. */
  left(worker: WorkerProcess): void {
    if (worker.offered !== undefined) this.waiting.unshift(worker.offered);
    worker.offered = undefined;
    this.deal();
  }

  /** Gives every worker that is free for it one of the connections that wait. */
  deal(): void {
    for (let worker = this.next(); worker !== undefined && this.waiting.length > 0; worker = this.next()) {
      const socket = this.waiting.shift();
      if (socket === undefined || socket.destroyed) continue;
      worker.turn = ++this.turns;
      worker.offer(socket);
    }
  }

  private take(socket: Socket): void {
    // An error of a connection that nobody reads yet is found again by the worker that does.
    socket.on('error', () => undefined);
    // Node would have every worker tell us of the end of each connection, to count those of our server.
    Object.assign(socket, { server: null });
    if (this.waiting.length >= WAITING) {
      socket.destroy();
      return;
    }
    this.waiting.push(socket);
    this.deal();
  }

  /**
   * Of those with as few connections, the one whose turn is longest ago. One that still loads its models, because it replaces
   * another, takes none while others could.
   */
  private next(): WorkerProcess | undefined {
    const workers = this.workers();
    const someReady = workers.some(({ ready }) => ready);
    let best: WorkerProcess | undefined;
    for (const worker of workers) {
      if (!worker.open || worker.offered !== undefined || (someReady && !worker.ready)) continue;
      const fewer = worker.connections - (best?.connections ?? Infinity);
      if (best === undefined || fewer < 0 || (fewer === 0 && worker.turn < best.turn)) best = worker;
    }
    return best;
  }
}
