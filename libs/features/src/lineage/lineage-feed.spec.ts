import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { LineageFeed, type FeedOutcome } from './lineage-feed';
import { LineageOptions } from './lineage-options';

/** Answers with these statuses in turn, the last one for ever; 0: never. */
async function serverOf(...statuses: number[]) {
  const bodies: unknown[] = [];
  const paths: unknown[] = [];
  let asked = 0;
  const server = http.createServer((request, response) => {
    const status = statuses[Math.min(asked++, statuses.length - 1)] ?? 0;
    const chunks: Buffer[] = [];
    paths.push(request.url);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (status === 0) return;
      if (status < 300) bodies.push(JSON.parse(String(Buffer.concat(chunks))));
      response.writeHead(status, status === 307 ? { location: '/elsewhere' } : {}).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}`, bodies, paths, asked: () => asked, stop };
}

function feedOf(url: string | undefined, onOutcome: (outcome: FeedOutcome) => void = () => undefined) {
  const outcomes: FeedOutcome[] = [];
  const warnings: string[] = [];
  const options = Object.assign(new LineageOptions(), url === undefined ? {} : { url });
  const feed = new LineageFeed({
    options,
    log: { warn: (_, message) => warnings.push(message) },
    onOutcome: (outcome) => {
      outcomes.push(outcome);
      onOutcome(outcome);
    },
  });
  const told = async (count: number): Promise<void> => {
    for (let tries = 0; outcomes.length < count; tries++) {
      if (tries > 2000) throw new Error(`of ${count} only ${outcomes.length} came to an end`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { feed, outcomes, warnings, told };
}

const event = (n: number) => () => Promise.resolve({ n });

describe('the feed of lineage', () => {
  it('tells one after the other, in their order', async () => {
    const server = await serverOf(201);
    const { feed, outcomes, told } = feedOf(server.url);
    for (const n of [1, 2, 3]) feed.tell(event(n));
    await told(3);
    expect(server.bodies).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(outcomes).toEqual(['sent', 'sent', 'sent']);
    await feed.stop();
    server.stop();
  });

  it('tells what comes just when it has found nothing more to tell', async () => {
    const server = await serverOf(201);
    let late: (() => void) | undefined = () => feed.tell(event(2));
    const { feed, told } = feedOf(server.url, () => {
      if (late) queueMicrotask(late);
      late = undefined;
    });
    feed.tell(event(1));
    await told(2);
    expect(server.bodies).toEqual([{ n: 1 }, { n: 2 }]);
    await feed.stop();
    server.stop();
  });

  it('tells nobody where there is no server, and makes nothing for that', async () => {
    const { feed, outcomes } = feedOf(undefined);
    const make = jest.fn(event(1));
    feed.tell(make);
    await feed.stop();
    expect([make.mock.calls, outcomes]).toEqual([[], []]);
  });

  it('asks again a server that is down or overrun', async () => {
    const server = await serverOf(503, 201);
    const { feed, outcomes, told } = feedOf(server.url);
    feed.tell(event(1));
    await told(1);
    expect([server.asked(), outcomes]).toEqual([2, ['sent']]);
    await feed.stop();
    server.stop();
  });

  it.each([400, 404])('asks once a server that answers %i, and goes on with the next', async (status) => {
    const server = await serverOf(status, 201);
    const { feed, outcomes, warnings, told } = feedOf(server.url);
    feed.tell(event(1));
    feed.tell(() => Promise.reject(new Error('the definition cannot be read')));
    feed.tell(event(3));
    await told(3);
    expect(outcomes).toEqual(['failed', 'failed', 'sent']);
    expect(server.bodies).toEqual([{ n: 3 }]);
    expect(warnings).toHaveLength(2);
    await feed.stop();
    server.stop();
  });

  it('follows no redirect: the operator named one address', async () => {
    const server = await serverOf(307, 201);
    const { feed, told, outcomes } = feedOf(server.url);
    feed.tell(event(1));
    await told(1);
    // It asked again, where it was told to ask, and nowhere else.
    expect([outcomes, server.paths]).toEqual([['sent'], ['/api/v1/lineage', '/api/v1/lineage']]);
    await feed.stop();
    server.stop();
  });

  it('keeps a thousand at most, drops and counts the rest, and ends at once', async () => {
    const server = await serverOf(0);
    const { feed, outcomes } = feedOf(server.url);
    const make = jest.fn(event(1));
    for (let i = 0; i < 1010; i++) feed.tell(make);
    // The first is on its way.
    expect(outcomes).toEqual(Array.from({ length: 9 }, () => 'dropped'));
    for (let tries = 0; server.asked() === 0 && tries < 2000; tries++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    await feed.stop();
    feed.tell(make);
    expect(make).toHaveBeenCalledTimes(1);
    expect(outcomes).toHaveLength(9);
    server.stop();
  });
});
