import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { AuditTrail } from '@sibyl/audit';
import { HttpSurface } from '../../../../test/support/http-surface';
import { answerBrokenRequests } from './server-limits';

describe('the server', () => {
  const surface = new HttpSurface();
  beforeAll(() => surface.start());
  afterAll(() => surface.stop());
  beforeEach(() => {
    surface.failure = undefined;
    surface.gate.limited = false;
    surface.captured.lines.length = 0;
    surface.events.length = 0;
  });

  describe('of what is no request', () => {
    const raw = (text: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = net.connect(Number(new URL(surface.url).port), '127.0.0.1', () => socket.write(text));
        let answer = '';
        socket
          .setEncoding('utf8')
          .on('data', (chunk) => (answer += chunk))
          .on('close', () => resolve(answer))
          .on('error', reject);
      });

    it('answers 400 to bytes that are not HTTP, without an event', async () => {
      expect(await raw('GARBAGE\r\n\r\n')).toMatch(
        /^HTTP\/1\.1 400 [\s\S]*application\/problem\+json[\s\S]*invalid_parameter/,
      );
      expect(surface.events).toEqual([]);
      expect(await surface.metrics.registry.metrics()).toMatch(/sibyl_broken_requests_total\{code="HPE_\w+"\} 1/);
    });

    it.each([
      ['two lengths', 'Content-Length: 1\r\nContent-Length: 2\r\n\r\na'],
      ['a length and chunks', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n'],
      ['a length that is no number', 'Content-Length: 1x\r\n\r\na'],
    ])('answers 400 to %s, with an event', async (_name, rest) => {
      expect(await raw(`POST /things HTTP/1.1\r\nHost: x\r\n${rest}`)).toMatch(/^HTTP\/1\.1 400 /);
      expect(surface.events).toEqual([
        expect.objectContaining({
          action: 'request.refuse',
          status: 400,
          outcome: 'failed',
          reason: 'invalid_parameter',
        }),
      ]);
    });

    it('answers 431 to headers that are too large, with an event', async () => {
      const answer = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 431 [\s\S]*Connection: close[\s\S]*headers_too_large/);
      expect(surface.events).toEqual([
        expect.objectContaining({ action: 'request.refuse', status: 431, outcome: 'failed' }),
      ]);
    });
  });

  describe('of requests before a broken one on the same connection', () => {
    const held = new Map<string, http.ServerResponse>();
    let server: http.Server;
    let arrived: (path: string) => void = () => undefined;
    beforeAll(async () => {
      server = http.createServer((request, response) => {
        request.resume();
        held.set(request.url ?? '', response);
        arrived(request.url ?? '');
      });
      const { clock, ids, metrics, options, events } = surface;
      const trail = { commit: (event: never) => Promise.resolve(void events.push(event)) } as unknown as AuditTrail;
      answerBrokenRequests(server, { trail, clock, ids, metrics, options });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });
    beforeEach(() => held.clear());
    afterAll(() => new Promise((resolve) => server.close(resolve)));

    /** Sends all, lets `path` be answered once the server has complained, and gives what came back. */
    async function sent(text: string, path: string): Promise<string> {
      const ready = new Promise<void>((resolve) => (arrived = (url) => url === path && resolve()));
      const broken = new Promise((resolve) => server.once('clientError', resolve));
      const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1', () => socket.write(text));
      let answer = '';
      socket.setEncoding('utf8').on('data', (chunk) => (answer += chunk));
      const closed = new Promise((resolve) => socket.on('close', resolve));
      await Promise.all([ready, broken]);
      await new Promise((resolve) => setImmediate(resolve));
      held.get(path)?.end(`answer to ${path}`);
      await closed;
      return answer;
    }

    it('the answers that are held leave first, then the connection ends', async () => {
      const answer = await sent('GET /a HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n', '/a');
      expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*answer to \/a[\s\S]*HTTP\/1\.1 400 [\s\S]*not valid HTTP/);
      expect(surface.events).toEqual([]);
    });

    it('a body that breaks is its own request’s event, and the answer before it still leaves', async () => {
      const chunked = 'POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n';
      const answer = await sent(`GET /a HTTP/1.1\r\nHost: x\r\n\r\n${chunked}`, '/a');
      expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*answer to \/a[\s\S]*HTTP\/1\.1 400 /);
      expect(surface.events).toEqual([]);
    });

    it('a body that breaks alone is refused at once', async () => {
      const chunked = 'POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n';
      expect(await sent(chunked, '/b')).toMatch(/^HTTP\/1\.1 400 /);
    });

    it('a body that breaks after its answer has begun gets no second one', async () => {
      const broken = new Promise((resolve) => server.once('clientError', resolve));
      const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
      let answer = '';
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.setEncoding('utf8').once('data', () => socket.write('zz\r\n'));
      socket.on('data', (chunk) => (answer += chunk));
      arrived = (path) => held.get(path)?.write('begun');
      socket.write('POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
      await Promise.all([broken, closed]);
      expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200']);
    });

    it('a connection that its last answer ends gets no other', async () => {
      const answer = await sent('GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGARBAGE\r\n\r\n', '/a');
      expect(answer).toContain('answer to /a');
      expect(answer).not.toContain('HTTP/1.1 400');
    });
  });
});
