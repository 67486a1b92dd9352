import { once } from 'node:events';
import net from 'node:net';

/** What came back on a connection until the server closed it or time was up. */
export interface RawAnswer {
  /** Of the first answer; 0 where none came. */
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  /** Everything, for connections that carry several answers. */
  readonly text: string;
  /** The server ended the connection by itself. */
  readonly closed: boolean;
}

interface RawOptions {
  /** Ends the wait early, given everything received so far. */
  readonly until?: (text: string) => boolean;
  readonly timeoutMs?: number;
  readonly localAddress?: string;
}

/** Sends bytes as they are, which no HTTP client would: a piece at a time, and whatever is wrong with them. */
export async function sendRaw(
  url: string,
  pieces: readonly (string | Buffer)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const { until = () => false, timeoutMs = 10_000, localAddress } = options;
  const { hostname, port } = new URL(url);
  const socket = net.connect({
    host: hostname,
    port: Number(port),
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  let text = '';
  let closed = false;
  const finished = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until(text)) done();
    });
    socket.on('error', () => (closed = true));
    socket.on('close', () => {
      closed = true;
      done();
    });
    socket.on('end', () => (closed = true));
  });
  await Promise.race([once(socket, 'connect'), finished]);
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
  }
  await finished;
  socket.destroy();
  return { ...parseAnswer(text), text, closed };
}

/** Opens a connection, sends bytes and hangs up once `sent` says so. */
export async function sendAndHangUp(url: string, bytes: string | Buffer, sent: () => Promise<unknown>): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port) });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  await sent();
  socket.destroy();
  await once(socket, 'close');
}

function parseAnswer(text: string): Pick<RawAnswer, 'status' | 'headers' | 'body'> {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0), headers, body: rest.join('\r\n\r\n') };
}
