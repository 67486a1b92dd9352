// A closed-loop load generator over raw sockets: every connection sends its next request when it has the whole answer.
// Started with fork() it is a process of its own, so that its CPU time is nobody else's; it takes its orders by messages.
import net from 'node:net';
import { fileURLToPath } from 'node:url';

const HEADER_END = Buffer.from('\r\n\r\n');
const HANG_LIMIT_MS = 15_000; // past the server's own deadline for a request: what has not come by then does not come
const LATENCIES_KEPT = 2_000_000; // 8 MB; a slice of a second has far fewer

/** The bytes of one POST with a JSON body. */
export function requestBytes({ path, headers = {}, body }) {
  const content = Buffer.from(body);
  const lines = Object.entries({
    host: '127.0.0.1',
    'content-type': 'application/json',
    'content-length': content.length,
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), content]);
}

/** Reads one answer from the front of `bytes`: its status and length, or undefined while parts are missing. */
export function parseAnswer(bytes) {
  const headerLength = bytes.indexOf(HEADER_END);
  if (headerLength < 0) return undefined;
  const head = bytes.latin1Slice(0, headerLength);
  const status = Number(head.slice(9, 12));
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  const bodyStart = headerLength + HEADER_END.length;
  if (length) {
    const end = bodyStart + Number(length[1]);
    return bytes.length >= end ? { status, bodyStart, end } : undefined;
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const last = bytes.indexOf('0\r\n\r\n', bodyStart, 'latin1');
    return last < 0 ? undefined : { status, bodyStart, end: last + 5 };
  }
  return { status, bodyStart, end: bodyStart };
}

class Connection {
  #load;
  #socket;
  #pending = Buffer.alloc(0);
  #sentAt = 0;

  constructor(load, turn) {
    this.#load = load;
    this.turn = turn; // each connection begins at another request, so that not all send the same one at once
  }

  open(port) {
    return new Promise((resolve) => {
      this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
      this.#socket.once('connect', () => this.#send());
      this.#socket.on('data', (chunk) => this.#receive(chunk));
      this.#socket.on('error', () => (this.#load.broken += 1));
      const hung = setTimeout(
        () => this.#socket.destroy(new Error('no answer')),
        this.#load.durationMs + HANG_LIMIT_MS,
      );
      this.#socket.once('close', () => {
        clearTimeout(hung);
        resolve();
      });
    });
  }

  #send() {
    const { requests } = this.#load;
    this.#sentAt = performance.now();
    this.#socket.write(requests[this.turn++ % requests.length]);
  }

  #receive(chunk) {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const answer = parseAnswer(bytes);
    if (!answer) {
      this.#pending = bytes;
      return;
    }
    const now = performance.now();
    this.#pending = bytes.subarray(answer.end);
    this.#load.record(answer.status, now - this.#sentAt);
    if (now < this.#load.endAt) this.#send();
    else this.#socket.end();
  }
}

/** Runs one slice and returns `{requests, failed, broken, statuses, seconds, latencies}` (milliseconds, unsorted). */
export async function closedLoop({ port, requests, connections, durationMs }) {
  const latencies = new Float32Array(LATENCIES_KEPT);
  const begun = performance.now();
  const load = {
    requests,
    durationMs,
    endAt: begun + durationMs,
    broken: 0,
    count: 0,
    statuses: {},
    record(status, ms) {
      if (load.count < LATENCIES_KEPT) latencies[load.count] = ms;
      load.count += 1;
      load.statuses[status] = (load.statuses[status] ?? 0) + 1;
    },
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => new Connection(load, index).open(port)));
  return {
    requests: load.count,
    failed: load.count - (load.statuses[200] ?? 0),
    broken: load.broken,
    statuses: load.statuses,
    seconds: (performance.now() - begun) / 1e3,
    latencies: latencies.slice(0, Math.min(load.count, LATENCIES_KEPT)),
  };
}

function serveOrders() {
  const prepared = new Map();
  process.on('message', async (order) => {
    if (order.prepare) prepared.set(order.prepare, order.requests.map(requestBytes));
    else if (order.run) {
      const result = await closedLoop({ ...order, requests: prepared.get(order.run) });
      process.send({ ...result, latencies: Array.from(result.latencies) });
    }
  });
  process.on('disconnect', () => process.exit(0));
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) serveOrders();
