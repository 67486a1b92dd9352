import { createHash } from 'node:crypto';
import type http from 'node:http';
import { LoopbackServer } from './loopback-server';

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** An HTTP server on loopback with files by path, ranges and ETags, that can be made to misbehave. */
export class FileServer extends LoopbackServer {
  readonly requests: { readonly path: string; readonly headers: http.IncomingHttpHeaders }[] = [];
  /** By path, before the files. */
  readonly handlers = new Map<string, Handler>();
  readonly files = new Map<string, Buffer>();
  /** Under which paths of handlers and files are found too. */
  prefix = '';

  static async start(files: Readonly<Record<string, string | Buffer>> = {}): Promise<FileServer> {
    const made = new FileServer();
    for (const [name, content] of Object.entries(files)) made.files.set(name, Buffer.from(content));
    return made.listen();
  }

  asked(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  /** Answers with a file, or the part of it that is asked for. */
  send(content: Buffer, request: http.IncomingMessage, response: http.ServerResponse): void {
    const etag = `"${createHash('sha256').update(content).digest('hex').slice(0, 16)}"`;
    const { range, 'if-range': condition } = request.headers;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    if (range === undefined || condition !== etag) {
      response.writeHead(200, { 'content-length': content.length, etag }).end(content);
      return;
    }
    const part = content.subarray(from);
    const contentRange = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(206, { 'content-length': part.length, 'content-range': contentRange, etag }).end(part);
  }

  protected override serve(request: http.IncomingMessage, response: http.ServerResponse): void {
    const path = decodeURIComponent((request.url ?? '').split('?')[0] ?? '');
    this.requests.push({ path, headers: request.headers });
    const inner = path.startsWith(`${this.prefix}/`) ? path.slice(this.prefix.length) : path;
    const handler = this.handlers.get(inner);
    const file = this.files.get(inner);
    if (handler) handler(request, response);
    else if (file) this.send(file, request, response);
    else response.writeHead(404).end('nothing here');
  }
}
