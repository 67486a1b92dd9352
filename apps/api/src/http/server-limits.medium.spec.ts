import net from 'node:net';
import { HttpSurface } from '../../../../test/support/http-surface';

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

    it('answers 431 to headers that are too large, with an event', async () => {
      const answer = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 431 [\s\S]*Connection: close[\s\S]*headers_too_large/);
      expect(surface.events).toEqual([
        expect.objectContaining({ action: 'request.refuse', status: 431, outcome: 'failed' }),
      ]);
    });
  });
});
