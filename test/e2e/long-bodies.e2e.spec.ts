import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { once } from 'node:events';
import { identityModel } from '@sibyl/onnx/testing';
import { packageForm } from '../support/package-form';
import { startServer, type TestServer } from '../support/server.mjs';

/** Over the size from which bodies are read in slices. */
const PADDING = ' '.repeat(200 * 1024);
const WIDTH = 20_000;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Long requests are read by other code than short ones; nobody shall be able to tell by the answers. */
describe('long bodies', () => {
  let server: TestServer;
  const numbers = Array.from({ length: WIDTH }, (_, i) => Math.fround(Math.sin(i)));

  beforeAll(async () => {
    server = await startServer();
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [-1, 4], columns: ['a', 'b', 'c', 'd'] }];
    const features = [{ name: 'a', min: 0, max: 10, nullable: true }];
    await register('four', identityModel(), { inputs, features });
    await register('wide', identityModel('FP32', [-1, WIDTH]), {});
    await register('ids', identityModel('INT64', [-1, 2]), {});
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  async function register(name: string, model: Uint8Array, manifest: Record<string, unknown>): Promise<void> {
    const form = packageForm(model, { name, version: '1', ...manifest });
    const answer = await fetch(`${server.url}/v1/models/${name}/versions`, {
      method: 'POST',
      headers: { 'X-API-Key': server.adminKey },
      body: form,
    });
    expect([answer.status, await answer.text()]).toEqual([201, expect.anything()]);
  }

  async function send(path: string, body: string | Buffer, chunked = false): Promise<Answer> {
    const bytes = Buffer.from(body);
    const answer = await fetch(server.url + path, {
      method: 'POST',
      headers: { 'X-API-Key': server.adminKey, 'Content-Type': 'application/json' },
      ...(chunked ? { body: new Blob([bytes]).stream(), duplex: 'half' } : { body: bytes }),
    } as RequestInit);
    return { status: answer.status, text: await answer.text() };
  }

  /** An answer without what is new in each. */
  const shared = ({ status, text }: Answer): unknown => ({
    status,
    text: text.replace(/"(id|request_id|timestamp|latency_ms)":("[^"]*"|[\d.]+)/g, '"$1":0'),
  });

  const model = '/models/four/predict';
  it.each([
    ['tensors', model, '{"inputs":{"x":[[1,2.5,-3e-2,4],[null,6,7,8]]}}'],
    ['features', '/predict', '{"model":"four","features":{"a":1,"b":2,"c":3,"d":4}}'],
    [
      'a batch, one item of it wrong',
      '/predict/batch',
      '{"model":"four","requests":[{"features":{"a":1,"b":2,"c":3,"d":4},"symbol":"é"},{"features":{"a":11}},7]}',
    ],
    ['rows', '/v1/infer', '{"model_id":"four","inputs":[{"a":1,"b":2,"c":3,"d":4},{"a":null,"b":2,"c":3,"d":5}]}'],
    ['64-bit numbers', '/models/ids/predict', '{"inputs":{"x":[[9007199254740993,-9223372036854775808]]}}'],
    ['features as an array', '/predict', '{"model":"wide","features":{"x":[1,2,3]}}'],
    ['an element of the wrong type', model, '{"inputs":{"x":[[1,2,3,"4"]]}}'],
    ['an element out of its range', model, '{"inputs":{"x":[[1,2,3,4],[11,2,3,4]]}}'],
    ['a row that is too short', model, '{"inputs":{"x":[[1,2,3,4],[1,2,3]]}}'],
    ['no rows', model, '{"inputs":{"x":[]}}'],
    ['an unknown input', model, '{"inputs":{"y":[[1]],"x":[[1,2,3,4]]}}'],
    ['an unknown model', '/predict', '{"model":"nobody","features":{}}'],
    ['another model than the path', model, '{"model":"wide","inputs":{"x":[[1,2,3,4]]}}'],
    ['what is malformed', model, '{"inputs":{"x":[[1,2,,3,4]]}}'],
    ['what is too deep', model, `{"inputs":${'['.repeat(40)}${']'.repeat(40)}}`],
    ['what is not UTF-8', model, Buffer.from('{"inputs":{"\x80":1}}', 'latin1')],
    ['an array', model, '[1,2]'],
  ])('answers %s as in a short body', async (_what, path, body) => {
    const short = await send(path, body);
    const long = Buffer.concat([Buffer.from(body), Buffer.from(PADDING)]);
    expect(shared(await send(path, long))).toEqual(shared(short));
    expect(shared(await send(path, long, true))).toEqual(shared(short));
  });

  it.each([false, true])('answers as many numbers as it got, every digit of them (chunked: %s)', async (chunked) => {
    const body = JSON.stringify({ inputs: { x: [numbers, numbers] } });
    const { status, text } = await send('/models/wide/predict', body, chunked);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ outputs: { y: [numbers, numbers] } });
    // A single row is a prediction too, where a model has features.
    const row = await send('/predict', JSON.stringify({ model: 'wide', features: { x: numbers } }), chunked);
    expect(JSON.parse(row.text)).toMatchObject({ prediction: { outputs: { y: numbers } } });
  });

  it('answers long rows of batches and of infer', async () => {
    const features = { x: numbers };
    const batch = await send(
      '/predict/batch',
      JSON.stringify({ model: 'wide', requests: [{ features }, { features: {} }] }),
    );
    expect(JSON.parse(batch.text)).toMatchObject({
      predictions: [{ prediction: { outputs: { y: numbers } } }, { error: { code: 'incomplete_features' } }],
    });
    const infer = await send('/v1/infer', JSON.stringify({ model_id: 'wide', inputs: [features, features] }));
    expect(JSON.parse(infer.text)).toMatchObject({
      outputs: [{ outputs: { y: numbers } }, { outputs: { y: numbers } }],
    });
  });

  it('goes on to the next request on the same connection', async () => {
    const socket = net.connect({ port: server.port, host: '127.0.0.1' });
    const long = Buffer.from(JSON.stringify({ inputs: { x: [numbers] } }) + PADDING);
    const short = Buffer.from('{"inputs":{"x":[[1,2,3,4]]}}');
    const head = (path: string, body: Buffer): string =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nX-API-Key: ${server.adminKey}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head('/models/wide/predict', long)), long]));
    socket.write(Buffer.concat([Buffer.from(head('/models/four/predict', short)), short]));
    let text = '';
    while (!text.includes('"y":[[1,2,3,4]]')) text += String((await once(socket, 'data'))[0]);
    socket.destroy();
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(text).toContain(JSON.stringify(numbers));
  });

  it('records each of them, and one whose caller hangs up in the middle', async () => {
    const requestId = `long-${randomBytes(6).toString('hex')}`;
    const body = JSON.stringify({ inputs: { x: Array.from({ length: 50 }, () => numbers) } });
    const socket = net.connect({ port: server.port, host: '127.0.0.1' });
    socket.write(
      `POST /models/wide/predict HTTP/1.1\r\nHost: a\r\nX-API-Key: ${server.adminKey}\r\nX-Request-Id: ${requestId}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await new Promise((resolve) => socket.write(body, resolve));
    socket.destroy();
    for (let items: { status: number }[] = []; items.length === 0;) {
      const { body: found } = await server.call('GET', `/v1/audit/events?request_id=${requestId}`);
      items = (found as { items: { status: number }[] }).items;
      if (items.length > 0) expect([400, 499]).toContain(items[0]?.status);
    }
  });
});

/** What long bodies may hold together, announced or come. */
describe('room for long bodies', () => {
  let server: TestServer;
  const LONG = 700_000;

  beforeAll(async () => {
    server = await startServer({ env: { SIBYL_LONG_BODIES_BYTES: '1000000' } });
  }, 90_000);
  afterAll(async () => {
    await server.stop();
  }, 30_000);

  async function post(bytes: number): Promise<[number, string]> {
    const answer = await fetch(`${server.url}/predict`, {
      method: 'POST',
      headers: { 'X-API-Key': server.adminKey, 'Content-Type': 'application/json' },
      body: '{"model":"nobody","features":{}}'.padEnd(bytes),
    });
    return [answer.status, ((await answer.json()) as { code: string }).code];
  }

  /** `held` for what became of the request that is held open, should the wait be in vain. */
  async function until(bytes: number, code: string, held?: net.Socket): Promise<void> {
    let got = '';
    for (let tries = 0; tries < 200 && got !== code; tries++) {
      [, got] = await post(bytes);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect({ got, held: String((held?.read() as Buffer | null) ?? '') }).toEqual({ got: code, held: '' });
  }

  interface Refused {
    readonly reason?: string;
    readonly status: number;
    readonly outcome: string;
    readonly count?: number;
  }

  async function refusedEvents(): Promise<Refused[]> {
    const { body } = await server.call('GET', '/v1/audit/events?action=prediction.create&outcome=failed&limit=1000');
    return (body as { items: Refused[] }).items.filter(({ reason }) => reason === 'queue_full');
  }

  /** The status of the answer to the head of a long request. */
  async function announced(): Promise<string> {
    const socket = await begin(head(`Content-Length: ${LONG}`));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString().split(' ')[1] ?? '';
  }

  /** Begins a request and never ends it. */
  async function begin(...pieces: string[]): Promise<net.Socket> {
    const { hostname, port } = new URL(server.url);
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    for (const piece of pieces) {
      await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return socket;
  }

  const head = (length: string): string =>
    `POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: ${server.adminKey}\r\n` +
    `Content-Type: application/json\r\n${length}\r\n\r\n`;
  const WIRES: readonly (readonly [string, () => string[]])[] = [
    ['announced on a lane', () => [head(`Content-Length: ${LONG}`)]],
    ['announced to node:http', () => ['POST /pred', head(`Content-Length: ${LONG}`).slice(10)]],
    ['come in chunks', () => [`${head('Transfer-Encoding: chunked')}${LONG.toString(16)}\r\n${' '.repeat(LONG)}\r\n`]],
  ];

  it.each(WIRES)('counts what is %s until its client hangs up', async (_, pieces) => {
    const socket = await begin(...pieces());
    await until(LONG, 'queue_full', socket);
    expect(await post(1_000)).toEqual([404, 'model_not_found']);
    expect(await post(200_000)).toEqual([404, 'model_not_found']);
    socket.destroy();
    await until(LONG, 'model_not_found');
  });

  it.each(WIRES)('refuses what is %s, where there is no room, without waiting for the rest', async (_, pieces) => {
    const holder = await begin(head(`Content-Length: ${LONG}`));
    await until(LONG, 'queue_full');
    const refused = await begin(...pieces());
    const [answer] = (await once(refused, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\nRetry-After: 1\r\n/i);
    refused.destroy();
    holder.destroy();
    await until(LONG, 'model_not_found');
  });

  it('records a flood of refused ones in events of their own and shared ones, and each of them once', async () => {
    const holder = await begin(head(`Content-Length: ${LONG}`));
    await until(LONG, 'queue_full');
    const before = await refusedEvents();
    const flood = 300;
    for (let sent = 0; sent < flood; sent += 20)
      expect(await Promise.all(Array.from({ length: 20 }, announced))).toEqual(Array(20).fill('503'));
    holder.destroy();
    const counted = (events: readonly Refused[]): number => events.reduce((sum, { count = 1 }) => sum + count, 0);
    const expected = counted(before) + flood;
    let events = before;
    for (const deadline = Date.now() + 20_000; counted(events) < expected && Date.now() < deadline;) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      events = await refusedEvents();
    }
    expect(counted(events)).toBe(expected);
    // A hundred of them in each ten seconds have their own.
    expect(events.length - before.length).toBeLessThan(flood);
    expect(events.every(({ status, outcome }) => status === 503 && outcome === 'failed')).toBe(true);
  }, 60_000);

  it('gives the room of answered and failed ones back once', async () => {
    for (let i = 0; i < 10; i++) {
      expect(await post(LONG)).toEqual([404, 'model_not_found']);
      const cut = await begin(head(`Content-Length: ${LONG}`));
      await until(LONG, 'queue_full');
      cut.destroy();
      await until(LONG, 'model_not_found');
    }
    const holder = await begin(head(`Content-Length: ${LONG}`));
    await until(LONG, 'queue_full');
    holder.destroy();
  });
});
