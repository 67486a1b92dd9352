/** Requests as no client would write them, from a seed: for comparing two servers on the same bytes. */
import { get, predict } from './lane-server';

const LINES = [
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding : chunked', 'Transfer-Encoding:'],
  ...['Content-Length: 2', 'Content-Length: 3', 'Content-Length:', 'Content-Length : 2', 'X: y\nContent-Length: 3'],
  ...[
    'Connection: close',
    'Connection: CLOSE',
    'Connection: keep-alive',
    'Connection: close, te',
    'Connection: upgrade',
  ],
  ...['Connection:', 'Proxy-Connection: close', 'Keep-Alive: timeout=1', 'Upgrade: h2c', 'Expect: 100-continue'],
  ...['Expect: else', 'Trailer: X', 'TE: trailers', 'HTTP2-Settings: a', 'X-Api-Key: a\xe9\xff', 'x-api-key:\t b \t'],
  ...[
    'X-Api-Key: a\r\n b',
    'X-Api-Key: a\0b',
    'X-Api-Key: a\x01b',
    'X-Api-Key: a\x7fb',
    'X-Api-Key: a\x0bb',
    'X-Api-Key:',
  ],
  ...[': a', 'X Y: a', 'X\t: a', ' X: a', 'X', 'X\xe9: a', '"X": a', 'X: \ra', 'Host: y', 'Accept: a', 'Accept: b'],
  ...[
    'Content-Type: application/json',
    'Content-Type: text/plain',
    'Content-Encoding: gzip',
    'Authorization: Bearer k',
  ],
  ...[
    'X-Request-Id: r',
    'X-Request-Timeout-Ms: 5',
    'X-Request-Priority: bulk',
    'Traceparent: t',
    'Origin: o',
    'Cookie: a',
    '__proto__: a',
  ],
];
const LENGTHS = ['', '+2', '-2', '0x2', '2,2', '2, 2', '2 2', ' 2 ', '2\t', '02', '2.0', '1', '3', '0', '17', '100001'];
const LINE_ENDS = ['\n', '\r', '\r\r\n', '\n\r', '\r\n\r\n', '\r\n ', ' \r\n', '\t\r\n', '\0\r\n'];
const STARTS = [
  ...['GET /x HTTP/1.1', 'PUT /predict HTTP/1.1', 'post /predict HTTP/1.1', 'POST /predict HTTP/1.0', 'POST /predict'],
  ...['POST  /predict HTTP/1.1', 'POST /predict  HTTP/1.1', 'POST /predict HTTP/1.1 ', 'POST /predict HTTP/2.0'],
  ...['POST http://x/predict HTTP/1.1', 'POST * HTTP/1.1', 'POST //predict HTTP/1.1', 'POST /predict/ HTTP/1.1'],
  ...['POST /models/%zz/predict HTTP/1.1', 'POST /models/a%20b/predict HTTP/1.1', 'POST /v1/infer#?x#y HTTP/1.1'],
  ...[
    'POST /predict?"<>\\^`{|}~ HTTP/1.1',
    'POST /pr\xe9dict HTTP/1.1',
    'POST /predict?\xe9 HTTP/1.1',
    'CONNECT x:1 HTTP/1.1',
  ],
];
const NAMES = ['a', 'later', 'forbid', 'last', 'b'];
const BODIES = ['{}', '', '{"a":1}', 'GET /x HTTP/1.1\r\n\r\n', '\r\n'];

/** Requests that are nearly right, the same ones for the same seed. */
export class Mutations {
  constructor(private state: number) {}

  /** What is sent on a connection, in pieces. */
  next(): string[] {
    const requests = Array.from({ length: 1 + this.below(3) }, () => (this.chance(8) ? get('/x') : this.request()));
    const text = requests.map((request) => (this.chance(3) ? this.mutated(request) : request)).join('');
    const cuts = Array.from({ length: this.chance(2) ? 0 : this.below(4) }, () => this.below(text.length)).sort(
      (a, b) => a - b,
    );
    return [0, ...cuts].map((from, i) => text.slice(from, cuts[i])).filter((piece) => piece !== '');
  }

  private request(): string {
    const lines = Array.from({ length: this.below(4) }, () =>
      this.chance(8) ? this.of(LINES) : `X-Plain: ${this.state}`,
    );
    return predict(this.of(NAMES), this.of(BODIES), ...lines);
  }

  private mutated(text: string): string {
    const at = this.below(text.length);
    switch (this.below(9)) {
      case 0:
        return this.atOne(text, '\r\n', this.of(LINE_ENDS));
      case 1:
        return text.replace(/(Content-Length:) \d+/, (_all, name: string) => `${name} ${this.of(LENGTHS)}`);
      case 2:
      case 3:
        return this.atOne(text, '\r\n', `\r\n${this.of(LINES)}\r\n`);
      case 4:
        return text.replace(/^.*/, () => this.of(STARTS));
      case 5:
        return text.slice(0, at) + String.fromCharCode(this.below(256)) + text.slice(at + 1);
      case 6:
        return text.slice(0, at) + text.slice(at + 1 + this.below(3));
      case 7:
        return text.slice(0, at) + this.of([' ', '\t', '\r', '\n', '\0', ':', '0', '\r\n', ',']) + text.slice(at);
      default:
        return text.slice(0, at);
    }
  }

  /** Replaces one of the places where `what` is. */
  private atOne(text: string, what: string, by: string): string {
    const parts = text.split(what);
    const at = 1 + this.below(Math.max(1, parts.length - 1));
    return parts.slice(0, at).join(what) + by + parts.slice(at).join(what);
  }

  private of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  private chance(oneIn: number): boolean {
    return this.below(oneIn) === 0;
  }

  /** Park and Miller's generator: small, and the same everywhere. */
  private below(limit: number): number {
    this.state = (this.state * 48_271) % 0x7fffffff;
    return Math.floor((this.state / 0x7fffffff) * limit);
  }
}
