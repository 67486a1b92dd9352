import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The answers of each connection that are still to come, as far as the end of the connection has to know them. */
export class AnswersUnderWay {
  private readonly last = new WeakMap<Socket, ServerResponse>();
  /** Of a pipelined request: the answer before its own. */
  private readonly before = new WeakMap<ServerResponse, ServerResponse>();

  add(socket: Socket, response: ServerResponse): void {
    const previous = this.last.get(socket);
    this.last.set(socket, response);
    // Idle connections must not keep what they answered last. A body that is still coming in may yet break, though.
    response.on('close', () => {
      if (response.req.complete && this.last.get(socket) === response) this.last.delete(socket);
    });
    if (previous === undefined) return;
    // One step back is enough, and more would keep every answer of a long connection.
    this.before.delete(previous);
    if (!previous.writableFinished) this.before.set(response, previous);
  }

  /** The answer of the request whose body is still coming in. */
  cutOff(socket: Socket): ServerResponse | undefined {
    const last = this.last.get(socket);
    return last === undefined || last.req.complete ? undefined : last;
  }

  /** Resolves when all that can be answered is: answers leave in order, so that the last one tells. */
  ended(socket: Socket): Promise<void> {
    const cutOff = this.cutOff(socket);
    const due = cutOff === undefined ? this.last.get(socket) : this.before.get(cutOff);
    if (due === undefined || due.writableFinished || due.destroyed) return Promise.resolve();
    return new Promise((resolve) => due.once('close', resolve));
  }
}
