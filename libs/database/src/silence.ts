import type { ClientBase } from 'pg';
import { ServerSilentError } from './database-errors';

/**
 * Waits for an answer, and when none comes in time cuts the connection, which fails this statement and whatever is
 * queued behind it. Cutting matters: a client with an unanswered statement must not go back to the pool.
 */
export async function answered<T>(client: ClientBase, answer: Promise<T>, timeoutMs: number): Promise<T> {
  let silent = false;
  let settled = false;
  const timer = setTimeout(() => {
    // If our own event loop was blocked, the answer may be waiting in the socket: it is read before this runs.
    setImmediate(() => {
      if (settled) return;
      silent = true;
      cut(client);
    });
  }, timeoutMs);
  try {
    return await answer;
  } catch (error) {
    if (silent) throw new ServerSilentError(`no answer within ${timeoutMs} ms`, { cause: error });
    throw error;
  } finally {
    settled = true;
    clearTimeout(timer);
  }
}

/** Closes the connection without waiting for the server to agree. */
export function cut(client: ClientBase): void {
  (client as unknown as { connection?: { stream?: { destroy(): void } } }).connection?.stream?.destroy();
}
