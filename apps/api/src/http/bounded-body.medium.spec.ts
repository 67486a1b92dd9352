import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { boundedBody } from './bounded-body';

const LIMITS = { bytes: 10_000_000, timeoutMs: 10_000 };

describe('a body that is not read to its end', () => {
  it('does not keep the next request of its connection from being read', async () => {
    const server = http.createServer((request, response) => {
      const work = async (): Promise<void> => {
        let bytes = 0;
        for await (const chunk of boundedBody(request, LIMITS)) if ((bytes += chunk.length) > 100_000) break;
        request.resume();
        response.end(String(request.url));
      };
      work().catch(() => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const { port } = server.address() as AddressInfo;
    const ask = (path: string, body?: Buffer): Promise<string> =>
      new Promise((resolve, reject) => {
        const method = body === undefined ? 'GET' : 'PUT';
        const request = http.request({ agent, port, method, path }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => resolve(Buffer.concat(chunks).toString()));
        });
        request.on('error', reject).end(body);
      });
    for (let i = 0; i < 3; i++) {
      expect(await ask('/long', Buffer.alloc(3_000_000))).toBe('/long');
      expect(await ask('/next')).toBe('/next');
    }
    agent.destroy();
    server.close();
    await once(server, 'close');
  });
});
