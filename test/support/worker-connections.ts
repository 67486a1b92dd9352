import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestServer } from './server.mjs';

/** An answer; 0 where the connection broke before it was there. */
export interface WorkerReply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

interface Ask {
  /** Defaults to the admin key. */
  readonly key?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

/** One connection that stays open, and so always reaches the same worker. */
export class WorkerConnection {
  index = 0;
  pid = 0;
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly server: TestServer) {}

  /** Opens it, and asks who is at the other end. */
  async open(): Promise<this> {
    const { status, body } = await this.ask('GET', '/health/system');
    if (status !== 200) throw new Error(`/health/system answered ${status}`);
    this.index = body.worker.index;
    this.pid = body.process.pid;
    return this;
  }

  ask(
    method: string,
    path: string,
    { key = this.server.adminKey, headers = {}, body }: Ask = {},
  ): Promise<WorkerReply> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const type = content === undefined ? {} : { 'content-type': 'application/json', 'content-length': content.length };
    const options = { method, agent: this.agent, headers: { 'x-api-key': key, ...type, ...headers } };
    return new Promise((resolve) => {
      const broken = (): void => resolve({ status: 0, headers: {}, body: undefined });
      const sent = http.request(`${this.server.url}${path}`, options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.once('error', broken).once('end', () => {
          const isJson = /json/.test(String(answer.headers['content-type'])) && text !== '';
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: isJson ? JSON.parse(text) : text });
        });
      });
      sent.once('error', broken).end(content);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** So many connections, each with who is at its other end. */
export function connect(server: TestServer, count: number): Promise<WorkerConnection[]> {
  return Promise.all(Array.from({ length: count }, () => new WorkerConnection(server).open()));
}

/** One connection to each worker, in their order. */
export async function connectToEach(server: TestServer, workers: number): Promise<WorkerConnection[]> {
  const found = new Map<number, WorkerConnection>();
  // They stay open until all are there: new ones go to the worker that has the fewest.
  const spare: WorkerConnection[] = [];
  while (found.size < workers) {
    if (spare.length > 16) throw new Error('some workers take no connections');
    const connection = await new WorkerConnection(server).open();
    if (found.has(connection.index)) spare.push(connection);
    else found.set(connection.index, connection);
  }
  for (const connection of spare) connection.close();
  return [...found.values()].sort((a, b) => a.index - b.index);
}

/** Waits until the server says that all of its workers are ready, the given times since its first start. */
export async function allReady(server: TestServer, times = 1): Promise<void> {
  const said = /"workers":\d+,"msg":"ready"/g;
  while ((server.log.match(said)?.length ?? 0) < times) await sleep(50);
}
