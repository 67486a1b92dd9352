import type { IncomingMessage } from 'node:http';

const files = new WeakMap<IncomingMessage, string>();

/** From now on the body of the request is read from this file. */
export function holdBody(request: IncomingMessage, file: string): void {
  files.set(request, file);
}

/** The file that the body lies in already; undefined where it comes from the connection. */
export function heldBody(request: IncomingMessage): string | undefined {
  return files.get(request);
}
