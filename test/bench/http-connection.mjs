// One HTTP/1.1 connection of a load generator over a raw socket: a request at a time, and no more work than it needs.
import net from 'node:net';

const HEADER_END = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);

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

/** Reads one answer from the front of `bytes`: its status and where its body lies, or undefined while parts are missing. */
function parseAnswer(bytes) {
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

/** Calls `connected()`, `answered(status, body)` for each answer, and once at the end `closed(broken)`: broken with a request under way. */
export class Connection {
  #socket;
  #pending = NOTHING;
  #waits = false;
  #failed = false;
  #answered;

  constructor(port, { connected, answered, closed }) {
    this.#answered = answered;
    this.#socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.once('connect', connected);
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    this.#socket.on('error', () => (this.#failed = true));
    this.#socket.once('close', () => closed(this.#failed || this.#waits));
  }

  send(bytes) {
    this.#waits = true;
    this.#socket.write(bytes);
  }

  end() {
    this.#socket.end();
  }

  /** Gives up on an answer that does not come. */
  abandon() {
    this.#socket.destroy(new Error('no answer'));
  }

  #receive(chunk) {
    if (!this.#waits) {
      this.#socket.destroy(); // what comes unasked is the server's farewell to a connection that was idle for long
      return;
    }
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const answer = parseAnswer(bytes);
    if (!answer) {
      this.#pending = bytes;
      return;
    }
    this.#pending = bytes.subarray(answer.end);
    this.#waits = false;
    this.#answered(answer.status, bytes.subarray(answer.bodyStart, answer.end));
  }
}
