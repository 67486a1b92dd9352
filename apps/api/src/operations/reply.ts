import type { Response } from 'express';

/** An answer whose status is known only when the work is done. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** Puts status and headers on the response and hands back the body, for a controller to return. */
export function send(reply: Reply, response: Response): unknown {
  response.status(reply.status).set(reply.headers);
  return reply.body;
}
