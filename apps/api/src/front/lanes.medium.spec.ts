import { once } from 'node:events';
import { ConnectionProof } from '@sibyl/auth';
import { HttpOptions } from '../http/http-options';
import { get, LaneServer, predict, until, type Client } from '../../../../test/support/lane-server';
import { Lanes } from './lanes';

const MEBIBYTE = 1024 * 1024;
/** Answers of a mebibyte that are more than sockets hold. */
const ENOUGH = 64;
const smuggledBody = predict('smuggled');

describe('a connection', () => {
  let server: LaneServer;
  let client: Client;
  /** A server and a connection to it; sweeps happen when `sweep` is called, and at no other time. */
  const open = async (options: Partial<HttpOptions> = {}): Promise<void> => {
    server = await new LaneServer(options).start();
    client = await server.connect();
  };
  const sweep = (times: number): void => jest.advanceTimersByTime(times * 1_000);
  const reset = async (): Promise<void> => {
    const closed = new Promise((resolve) => client.peer.once('close', resolve));
    client.socket.resetAndDestroy();
    await closed;
  };

  beforeAll(() => {
    jest.useFakeTimers({
      // Only the interval of the sweeps is faked.
      doNotFake: [
        ...(['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask'] as const),
        ...(['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout'] as const),
      ],
    });
  });
  afterAll(() => void jest.useRealTimers());
  beforeEach(() => open());
  afterEach(() => server.stop());

  describe('answers', () => {
    it('a request, with all that a client needs to go on', async () => {
      await client.send(predict('a', '{"a":1}', 'Content-Type: application/json', 'X-Api-Key: k\xe9'));
      expect(client.answers).toMatchObject([
        {
          status: 200,
          headers: [
            'Connection: keep-alive',
            expect.stringMatching(/^Content-Length: \d+$/),
            'Keep-Alive: timeout=65',
            'X-Name: a',
          ],
        },
      ]);
      expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/);
      expect(JSON.parse(Buffer.from(client.bodies[0] ?? '', 'latin1').toString())).toEqual({
        target: '/predict?a',
        address: '127.0.0.1',
        body: '{"a":1}',
        'content-type': 'application/json',
        'x-api-key': 'k\xe9',
      });
      expect(server.nodeSaw).toEqual([]);
    });

    it('request after request, those answered at once and those answered later', async () => {
      const names = Array.from({ length: 200 }, (_, i) => (i % 2 ? `a${i}` : `later${i}`));
      for (const name of names) await client.send(predict(name));
      expect(namesOf(client)).toEqual(names);
      expect(server.nodeSaw).toEqual([]);
    });

    it('a body in several pieces, also one that comes with the next request', async () => {
      const text = predict('a', '{"body":"in pieces"}') + predict('b');
      const bodyAt = text.indexOf('{');
      await client.send(text.slice(0, bodyAt), text.slice(bodyAt, bodyAt + 1), text.slice(bodyAt + 1, bodyAt + 9));
      expect(server.handler.received).toEqual([]);
      await client.send(text.slice(bodyAt + 9));
      expect(server.handler.received).toEqual(['a {"body":"in pieces"}', 'b {}']);
      expect(namesOf(client)).toEqual(['a', 'b']);
      expect(server.nodeSaw).toEqual([]);
    });

    it('text that is not Latin-1, byte for byte', async () => {
      server.handler.receive = function (exchange) {
        exchange.wire.answer(200, '', '"Größe ✓"', false);
      };
      await client.send(predict('a') + predict('b'));
      expect(client.bodies.map((body) => Buffer.from(body, 'latin1').toString())).toEqual(['"Größe ✓"', '"Größe ✓"']);
    });

    it('a head in several pieces by node:http, which keeps the connection', async () => {
      await client.send('POST /pre', 'dict?a HTTP/1.1\r\nContent-Le', 'ngth: 2\r\n\r', '\n{', '}', predict('b'));
      expect(namesOf(client)).toEqual(['a', 'b']);
      expect(server.nodeSaw).toEqual(['POST /predict?a', 'POST /predict?b']);
    });

    it('everything else by node:http, between predictions and after them', async () => {
      await client.send(predict('a'), get('/x'), predict('b'), get('/y'));
      expect(client.answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      expect(client.bodies[1]).toBe('node:http took GET /x');
      expect(client.bodies[3]).toBe('node:http took GET /y');
      expect(server.nodeSaw).toEqual(['GET /x', 'POST /predict?b', 'GET /y']);
    });

    it('pipelined requests in order, each once, wherever the bytes are cut', async () => {
      const text = predict('later1', '{"a":1}') + predict('b') + get('/x') + predict('later2') + predict('c');
      for (let cut = 0; cut < text.length; cut++) {
        const connection = await server.connect();
        await connection.send(...[text.slice(0, cut), text.slice(cut)].filter((piece) => piece !== ''));
        expect(namesOf(connection)).toEqual(['later1', 'b', 'node:http took GET /x', 'later2', 'c']);
        connection.socket.destroy();
      }
    });

    it('a long body that node:http reads, whole and in order, and what follows it', async () => {
      const body = Array.from({ length: 9_000 }, (_, i) => String(i).padStart(10, ' ')).join('');
      const size = body.length.toString(16);
      const chunked = `POST /predict?chunked HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${body}\r\n0\r\n\r\n`;
      client.socket.write(predict('hold') + chunked + predict('b'));
      await until(() => server.handler.opened.length === 1);
      server.handler.release('hold');
      await until(() => namesOf(client).length === 3);
      expect(namesOf(client)).toEqual(['hold', 'chunked', 'b']);
      expect(JSON.parse(client.bodies[1] ?? '')).toMatchObject({ body });
    });

    it('with what this connection has proven, and no other', async () => {
      const other = await server.connect();
      await client.send(predict('a'), predict('b'));
      await other.send(predict('c'), get('/x'), predict('d'));
      const [a, b, c, d] = server.handler.proofs;
      expect(a).toBeInstanceOf(ConnectionProof);
      expect([b, c, d]).toEqual([a, expect.any(ConnectionProof), undefined]);
      expect([b === a, c === a]).toEqual([true, false]);
    });

    it('one pipelined request at a time', async () => {
      await client.send(predict('hold1') + predict('hold2') + predict('c'));
      expect(server.handler.opened).toEqual(['hold1']);
      server.handler.release('hold1');
      await client.quiet();
      expect(server.handler.opened).toEqual(['hold1', 'hold2']);
      server.handler.release('hold2');
      await client.quiet();
      expect(client.answers.map(({ headers }) => headers.at(-1))).toEqual([
        'X-Name: hold1',
        'X-Name: hold2',
        'X-Name: c',
      ]);
    });
  });

  describe('that carries a request which is refused', () => {
    const smuggled = predict('smuggled') + get('/smuggled');

    it.each(['refuse', 'doubt'])('before its body is here (%s) ends, and the body is never read', async (name) => {
      const head = predict(name, smuggled).slice(0, -smuggled.length);
      await client.send(head);
      if (name === 'doubt') server.handler.release(name);
      await until(() => client.ended);
      client.socket.write(smuggled, 'latin1');
      client.socket.end();
      await once(client.peer, 'close');
      expect(client.answers).toMatchObject([{ status: 403 }]);
      expect(client.answers[0]?.headers).toContain('Connection: close');
      expect([server.handler.opened, server.handler.received, server.nodeSaw]).toEqual([[name], [], []]);
    });

    it.each(['refuse', 'doubt'])('with half of its body here (%s) ends too', async (name) => {
      const text = predict(name, smuggled);
      client.socket.write(text.slice(0, -smuggled.length / 2), 'latin1');
      if (name === 'doubt') {
        await client.send(smuggled.slice(0, 9));
        server.handler.release(name);
      }
      await client.closed();
      expect(client.answers).toMatchObject([{ status: 403, headers: expect.arrayContaining(['Connection: close']) }]);
      expect([server.handler.opened, server.handler.received, server.nodeSaw]).toEqual([[name], [], []]);
    });

    it.each(['refuse', 'doubt'])('with its whole body (%s) goes on after it', async (name) => {
      await client.send(predict(name, smuggled), ...(name === 'doubt' ? [] : [predict('b')]));
      if (name === 'doubt') {
        server.handler.release(name);
        await client.send(predict('b'));
      }
      expect(client.answers.map(({ status }) => status)).toEqual([403, 200]);
      expect(server.handler.opened).toEqual([name, 'b']);
    });

    it('and whose body comes to its end before the answer, goes on after it', async () => {
      const text = predict('doubt', smuggled);
      await client.send(text.slice(0, -5), text.slice(-5) + predict('b'));
      server.handler.release('doubt');
      await client.quiet();
      expect(client.answers.map(({ status }) => status)).toEqual([403, 200]);
      expect([server.handler.opened, server.handler.received]).toEqual([['doubt', 'b'], ['b {}']]);
    });

    it('for the length of its body is answered by node:http, and ends', async () => {
      await client.send(predict('a') + predict('long', 'x'.repeat(100_001)).slice(0, 500));
      expect(client.answers.map(({ status }) => status)).toEqual([200, 408]);
      expect(server.handler.failed).toEqual(['long body_too_large']);
      expect(client.ended).toBe(true);
    });
  });

  describe('ends', () => {
    it('when the client asked for it, and reads nothing after that', async () => {
      await client.send(predict('a', '{}', 'Connection: close') + predict('smuggled'));
      expect(namesOf(client)).toEqual(['a']);
      expect(client.answers[0]?.headers).toContain('Connection: close');
      expect([client.ended, server.handler.opened]).toEqual([true, ['a']]);
    });

    it('when the handler said so', async () => {
      await client.send(predict('last') + predict('b'));
      expect([client.ended, namesOf(client)]).toEqual([true, ['last']]);
      client.socket.end();
      await until(() => client.peer.destroyed);
    });

    it('for a client that hangs up in its body: cut off, once', async () => {
      await client.send(predict('a', '{"a":1}').slice(0, -3));
      client.socket.end();
      await once(client.peer, 'close');
      expect([server.handler.cutOffs, server.handler.hungUps, server.handler.received]).toEqual([['a'], [], []]);
    });

    it('for a client that hangs up while its answer is under way: hung up, once, and the answer goes nowhere', async () => {
      await client.send(predict('hold'));
      client.socket.end();
      await once(client.peer, 'close');
      server.handler.release('hold');
      expect([server.handler.cutOffs, server.handler.hungUps, client.text]).toEqual([[], ['hold'], '']);
    });

    it('for a client that hangs up between requests, without a word', async () => {
      await client.send(predict('a'));
      client.socket.end();
      await once(client.peer, 'close');
      expect([server.handler.cutOffs, server.handler.hungUps]).toEqual([[], []]);
    });

    it('after the answers to what came before the client closed its side', async () => {
      client.socket.end(predict('a') + predict('b') + get('/x'));
      await client.closed();
      expect(namesOf(client)).toEqual(['a', 'b', 'node:http took GET /x']);
    });

    it.each([
      ['before a request', [], [], []],
      ['in a body', [predict('a').slice(0, -1)], ['a'], []],
      ['in the body of a refused request', [predict('doubt').slice(0, -1)], ['doubt'], []],
      ['while an answer is under way', [predict('hold')], [], ['hold']],
      ['between requests', [predict('a')], [], []],
      ['after a refusal', [predict('refuse')], [], []],
      ['after its last answer', [predict('last')], [], []],
      ['in a head', ['POST '], [], []],
      ['after node:http took it', [get('/x')], [], []],
    ])('by a reset %s, which harms nobody', async (_name, pieces, cutOffs, hungUps) => {
      const errors: unknown[] = [];
      client.peer.on('error', (error) => errors.push(error));
      await client.send(...pieces);
      await reset();
      expect([server.handler.cutOffs, server.handler.hungUps]).toEqual([cutOffs, hungUps]);
      await (client = await server.connect()).send(predict('b'));
      expect(namesOf(client)).toEqual(['b']);
    });

    it.each([predict('b'), get('/x'), predict('b').slice(0, -1), 'POST'])(
      'by a reset while %j waits behind an answer, which harms nobody',
      async (waiting) => {
        await client.send(predict('hold') + waiting);
        await reset();
        server.handler.release('hold');
        expect(server.handler.hungUps).toEqual(['hold']);
        // What waited and can be told for a prediction has its own account: one event for each request.
        const told = waiting.startsWith(predict('b').slice(0, -2)) ? ['b'] : [];
        expect(server.handler.opened).toEqual(['hold', ...told]);
        expect([server.handler.cutOffs, server.nodeSaw]).toEqual([told, []]);
        await (client = await server.connect()).send(predict('c'));
        expect(namesOf(client)).toEqual(['c']);
      },
    );

    it('with the last answer: what is sent after it is no request any more', async () => {
      await client.send(predict('last') + predict('b'));
      client.socket.write(predict('c'));
      await client.closed();
      expect(server.handler.opened).toEqual(['last']);
    });

    it('never gives a late answer to the next request', async () => {
      await client.send(predict('hold1'));
      server.handler.release('hold1');
      await client.quiet();
      await client.send(predict('hold2'));
      server.handler.release('hold1');
      await client.quiet();
      expect(client.bodies).toEqual(['released hold1']);
      server.handler.release('hold2');
      await client.quiet();
      expect(client.bodies).toEqual(['released hold1', 'released hold2']);
    });
  });

  describe('of a client that takes no answers', () => {
    /** Sends until the server reads no more; gives the number of requests that it began. */
    const flood = async (piece: string): Promise<number> => {
      client.socket.pause();
      let begun = -1;
      while (begun < server.handler.opened.length && begun < ENOUGH) {
        begun = server.handler.opened.length;
        client.socket.write(piece, 'latin1');
        await until(() => server.handler.opened.length > begun || client.peer.isPaused());
      }
      return begun;
    };

    it.each([
      ['pipelined', 1_000],
      ['sent one by one', 1],
    ])('holds no more than a few, be the requests %s, and goes on when it takes them', async (_name, count) => {
      const begun = await flood(predict('big').repeat(count));
      // What the system keeps of a connection is not the server's.
      expect(client.peer.writableLength).toBeLessThan(4 * MEBIBYTE);
      expect(begun).toBeLessThan(ENOUGH);
      client.socket.resume();
      await until(() => namesOf(client).length > begun);
      expect(client.peer.destroyed).toBe(false);
    });

    it.each(['huge', 'huge-last'])('waits for one that takes its time over an answer (%s)', async (name) => {
      client.socket.pause();
      client.socket.write(predict(name));
      await until(() => client.peer.writableLength > 0);
      sweep(200);
      server.lanes?.closeIdle();
      client.socket.resume();
      await until(() => client.socket.bytesRead >= client.peer.bytesWritten);
      await client.quiet();
      expect(client.bodies[0]).toHaveLength(32 * MEBIBYTE);
      expect(client.peer.writableEnded).toBe(name === 'huge-last');
      // The watch over the answer ends with the lane, or it would end a long upload.
      await client.send('POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n');
      if (name === 'huge') expect([client.peer.timeout, server.nodeSaw]).toEqual([0, ['POST /x']]);
    });

    it.each(['huge', 'huge-last'])('does not wait for one that takes nothing at all (%s)', async (name) => {
      await server.stop();
      await open({ keepAliveTimeoutMs: 100 });
      client.socket.pause();
      client.socket.write(predict(name));
      await until(() => client.peer.writableLength > 0);
      sweep(1);
      await until(() => client.peer.destroyed);
    });
  });

  describe('is swept', () => {
    it('when it was idle for as long as it may be, and not before', async () => {
      await server.stop();
      await open({ keepAliveTimeoutMs: 1_500 });
      for (const name of ['a', 'b']) {
        await client.send(predict(name));
        // A sweep comes at any time after the answer, the first at once.
        sweep(2);
        expect(client.peer.destroyed).toBe(false);
      }
      sweep(3);
      await client.closed();
      expect(client.peer.destroyed).toBe(true);
    });

    it('when it never said anything: with an answer, and whether its client closes or not', async () => {
      sweep(10);
      expect(server.clientErrors).toEqual([]);
      sweep(1);
      await client.closed();
      expect(client.answers).toMatchObject([{ status: 408, headers: expect.arrayContaining(['Connection: close']) }]);
      expect(server.clientErrors).toEqual(['ERR_HTTP_REQUEST_TIMEOUT']);
      sweep(5);
      await until(() => client.peer.destroyed);
      expect(server.clientErrors).toHaveLength(1);
    });

    it('when its body does not come in time, although it never stops coming', async () => {
      await server.stop();
      await open({ bodyTimeoutMs: 3_000 });
      const text = predict('a', smuggledBody);
      await client.send(text.slice(0, -smuggledBody.length));
      for (let i = 0; i < 3; i++) {
        sweep(1);
        await client.send(smuggledBody.charAt(i));
      }
      expect(server.handler.failed).toEqual([]);
      sweep(1);
      await client.closed();
      client.socket.end(smuggledBody.slice(3));
      await until(() => client.peer.closed);
      expect(server.handler.failed).toEqual(['a request_timeout']);
      expect(client.answers).toMatchObject([{ status: 408, headers: expect.arrayContaining(['Connection: close']) }]);
      expect([server.handler.opened, server.nodeSaw]).toEqual([['a'], []]);
    });

    it('with patience for a body that may take less than a sweep', async () => {
      await server.stop();
      await open({ bodyTimeoutMs: 100 });
      await client.send(predict('a').slice(0, -1));
      sweep(1);
      await client.send('}');
      expect(namesOf(client)).toEqual(['a']);
    });

    it('after its last answer, although its client does not close', async () => {
      await client.send(predict('last'));
      expect(client.ended).toBe(true);
      sweep(2);
      server.lanes?.closeIdle();
      expect(client.peer.destroyed).toBe(false);
      sweep(3);
      await until(() => client.peer.destroyed);
    });

    it('by node:http when its head began and does not come to its end', async () => {
      await server.stop();
      await open({ headersTimeoutMs: 200 });
      await client.send(predict('a'), 'POST /predict');
      await client.closed();
      expect(client.answers.map(({ status }) => status)).toEqual([200, 408]);
    });

    it('never while an answer is under way', async () => {
      await client.send(predict('hold'));
      sweep(1_000);
      server.handler.release('hold');
      await client.quiet();
      sweep(1);
      await client.send(predict('b'));
      expect(client.bodies[0]).toBe('released hold');
      expect(namesOf(client)).toEqual(['hold', 'b']);
    });

    it('for a body by the time since its own head', async () => {
      await client.send(predict('a'));
      sweep(60);
      await client.send(predict('b').slice(0, -1));
      sweep(1);
      await client.send('}');
      expect(client.answers.map(({ status }) => status)).toEqual([200, 200]);
    });
  });

  describe('of a server that stops', () => {
    it('ends at once if it is idle, and after its answer if it is not', async () => {
      const idle = await server.connect();
      await idle.send(predict('a'));
      const silent = await server.connect();
      await client.send(predict('hold-last'));
      const closed = new Promise((resolve) => server.server.close(resolve));
      server.lanes?.closeIdle();
      await Promise.all([idle.closed(), silent.closed()]);
      expect(client.ended).toBe(false);
      server.handler.release('hold-last');
      await client.closed();
      client.socket.end();
      await closed;
      expect(client.bodies).toEqual(['released hold-last']);
    });

    it('goes on with the requests that wait behind an answer', async () => {
      await client.send(predict('hold') + predict('b'));
      server.handler.release('hold');
      server.lanes?.closeIdle();
      await client.quiet();
      expect(namesOf(client)).toEqual(['hold', 'b']);
    });

    it('ends in any state when there is no more time', async () => {
      const others = await Promise.all([1, 2, 3].map(() => server.connect()));
      await client.send(predict('hold'));
      await others[0]?.send(predict('b').slice(0, -1));
      await others[1]?.send(predict('c'));
      const ended = [client, ...others].map(({ peer }) => once(peer, 'close'));
      const closed = new Promise((resolve) => server.server.close(resolve));
      server.lanes?.closeAll();
      await Promise.all([closed, ...ended]);
      expect([server.handler.cutOffs, server.handler.hungUps]).toEqual([['b'], ['hold']]);
    });

    it('is known to whoever listened for connections before the lanes', async () => {
      const plain = new LaneServer({}, false);
      const seen: unknown[] = [];
      plain.server.on('connection', (socket) => seen.push(socket));
      new Lanes(plain.desk, new HttpOptions()).guard(plain.server);
      await plain.start();
      await (await plain.connect()).send(predict('a'));
      expect([seen.length, plain.nodeSaw]).toEqual([1, []]);
      await plain.stop();
    });
  });
});

/** The names of the requests that were answered, by their answers. */
function namesOf({ answers }: Client): string[] {
  return answers.map(({ body, headers }) => headers.find((line) => line.startsWith('X-Name: '))?.slice(8) ?? body);
}
