import fs from 'node:fs';
import path from 'node:path';
import { attribute, encodeModel, node, tensor, unaryModel, value } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { processTree } from '../support/processes.mjs';
import { sendAndHangUp } from '../support/raw-http';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const ONE_MODEL = path.join(REPOSITORY, 'examples/models/momentum-1.2.3');
const FEATURES = { price: 45000, volume: 1e6, rsi: 65.5 };
const RUNNER_MIB = 400;
const CLIENTS = 1000;

/** `y` is as many zeros as the dimensions in `shape` say: the request decides what the model asks of the machine. */
function allocatingModel(): Buffer {
  return encodeModel({
    nodes: [
      node('ConstantOfShape', ['shape'], ['zeros']),
      node('ReduceSum', ['zeros'], ['y'], { attributes: [attribute('keepdims', { i: 0 })] }),
    ],
    inputs: [value('shape', 'INT64', ['rank'])],
    outputs: [value('y', 'FP32', [])],
  });
}

/** An LSTM over any number of steps of any number of rows. */
function recurrentModel(): Buffer {
  const zeros = (count: number): number[] => new Array<number>(count).fill(0.1);
  return encodeModel({
    nodes: [node('LSTM', ['x', 'w', 'r'], ['', 'y'], { attributes: [attribute('hidden_size', { i: 1 })] })],
    initializers: [tensor('w', 'FP32', [1, 4, 2], zeros(8)), tensor('r', 'FP32', [1, 4, 1], zeros(4))],
    inputs: [value('x', 'FP32', ['steps', 'rows', 2])],
    outputs: [value('y', 'FP32', [1, 'rows', 1])],
  });
}

/** Declares one row of two numbers whatever comes, and answers with the numbers above 0.5: another shape, or nothing. */
function untruthfulModel(): Buffer {
  return encodeModel({
    nodes: [node('Greater', ['x', 'half'], ['above']), node('Compress', ['x', 'above'], ['y'])],
    initializers: [tensor('half', 'FP32', [1], [0.5])],
    inputs: [value('x', 'FP32', ['n'])],
    outputs: [value('y', 'FP32', [1])],
  });
}

describe('models that cannot be trusted', () => {
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    server = await startServer({
      env: { SIBYL_MODELS: ONE_MODEL, SIBYL_RUNNERS: '1', SIBYL_RUNNER_MEMORY_MIB: String(RUNNER_MIB) },
    });
    client = new RecordedClient(server, 'hostile');
    await register('allocating', allocatingModel());
    await register('recurrent', recurrentModel());
    await register('negative', unaryModel('Neg'));
    await register('logarithm', unaryModel('Log'), { task: 'regression' });
    await register('untruthful', untruthfulModel(), { task: 'regression' });
  }, 120_000);
  afterAll(() => server.stop(), 30_000);

  async function register(name: string, model: Buffer, manifest: Record<string, unknown> = {}): Promise<void> {
    const reply = await client.upload(name, modelPackage(model, { name, version: '1', ...manifest }));
    if (reply.status !== 201) throw new Error(`${name}: ${reply.status} ${JSON.stringify(reply.body)}`);
  }
  const ask = (model: string, inputs: unknown): Promise<Reply> => client.post(`/models/${model}/predict`, { inputs });
  const runners = (): number[] =>
    processTree(server.pid)
      .filter(({ kind }) => kind === 'runner')
      .map(({ pid }) => pid);
  async function until(holds: () => Promise<boolean>): Promise<void> {
    for (
      const deadline = Date.now() + 20_000;
      !(await holds());
      await new Promise((resolve) => setTimeout(resolve, 50))
    )
      if (Date.now() > deadline) throw new Error('it never came to hold');
  }
  /** The others are served, which is the least that a bad model must leave. */
  async function othersAreServed(): Promise<void> {
    expect((await client.post('/predict', { features: FEATURES })).status).toBe(200);
  }

  it.each([
    ['12 GiB', ['3221225472']],
    ['shapes that come to more than 2^31', ['65536', '65536']],
    ['shapes that come to more than 2^63', ['4294967296', '4294967296']],
    ['shapes that come around to little', ['4611686018427387904', '4']],
    ['a negative shape', ['-5']],
  ])(
    'a request that makes a model ask for %s is 4xx, and others are served',
    async (_, shape) => {
      const { status, body } = await ask('allocating', { shape });
      expect(status).toBe(422);
      expect(['model_run_failed', 'model_crashed_on_input']).toContain(body.code);
      await othersAreServed();
      await until(async () => (await ask('allocating', { shape: ['3', '2'] })).status === 200);
    },
    60_000,
  );

  it('an input without steps or rows ends no other request, whatever the runtime does with it', async () => {
    const inputs = { x: [] };
    const replies = await Promise.all([ask('recurrent', inputs), ask('negative', { x: [1] })]);
    expect(replies[1]).toMatchObject({ status: 200, body: { outputs: { y: [-1] } } });
    expect([200, 422]).toContain(replies[0]?.status);
    await othersAreServed();
    expect(await ask('recurrent', { x: [[[1, 2]]] })).toMatchObject({ status: 200 });
  }, 60_000);

  it('NaN is no prediction, and null among outputs where nobody decides', async () => {
    expect(await ask('logarithm', { x: [-1] })).toMatchObject({ status: 422, body: { code: 'model_output_invalid' } });
    expect(await ask('logarithm', { x: [-1, 1] })).toMatchObject({ status: 200, body: { outputs: { y: [null, 0] } } });
  });

  it('another shape than declared is answered as it is', async () => {
    expect(await ask('untruthful', { x: [1, 2, 0, 3] })).toMatchObject({
      status: 200,
      body: { outputs: { y: [1, 2, 3] } },
    });
    expect(await ask('untruthful', { x: [1] })).toMatchObject({ status: 200, body: { prediction: { value: 1 } } });
  });

  it('nothing is no prediction: 422, and of rows asked together only that one', async () => {
    expect(await ask('untruthful', { x: [0] })).toMatchObject({ status: 422, body: { code: 'model_output_invalid' } });
    const replies = await Promise.all([1, 0, 2, 0, 3].map((x) => ask('untruthful', { x: [x] })));
    expect(replies.map(({ status, body }) => (status === 200 ? body.prediction.value : body.code))).toEqual([
      1,
      'model_output_invalid',
      2,
      'model_output_invalid',
      3,
    ]);
  });

  describe('a model file that changes on disk after its registration', () => {
    let file: string;
    let good: Buffer;
    beforeAll(async () => {
      const { body } = await client.get('/v1/models/negative/versions/1');
      const folder = path.join(server.dataDir, 'artifacts/packages', (body.digest as string).replace('sha256:', ''));
      file = path.join(folder, 'model.onnx');
      good = fs.readFileSync(file);
      expect(await ask('negative', { x: [4] })).toMatchObject({ body: { outputs: { y: [-4] } } });
    });
    const change = (bytes: Buffer): void => {
      fs.chmodSync(file, 0o600);
      fs.writeFileSync(file, bytes);
    };

    it('goes on serving from memory, and is not what a runner that is replaced gets', async () => {
      change(unaryModel('Abs'));
      expect(await ask('negative', { x: [4] })).toMatchObject({ status: 200, body: { outputs: { y: [-4] } } });
      const before = runners();
      for (const pid of before) process.kill(pid, 'SIGKILL');
      await until(
        async () =>
          (await client.post('/predict', { features: FEATURES })).status === 200 &&
          runners().some((pid) => !before.includes(pid)),
      );
      for (let i = 0; i < 5; i++)
        expect(await ask('negative', { x: [4] })).toMatchObject({ status: 503, body: { code: 'model_not_ready' } });
      expect((await client.get('/models/negative/health')).body).toMatchObject({ ready: false });
      await othersAreServed();
    }, 60_000);

    it('is refused when it is loaded, and served again once it is what it was', async () => {
      expect(await client.post('/v1/models/load', { model_id: 'negative', version: '1' })).toMatchObject({
        status: 503,
        body: { code: 'model_not_ready', detail: expect.stringContaining('damaged') as string },
      });
      change(good);
      expect((await client.post('/v1/models/load', { model_id: 'negative', version: '1' })).status).toBe(200);
      expect(await ask('negative', { x: [4] })).toMatchObject({ status: 200, body: { outputs: { y: [-4] } } });
    }, 60_000);
  });

  it(`${CLIENTS} clients that hang up are each recorded once, and cost nobody else an answer`, async () => {
    const body = JSON.stringify({ features: FEATURES });
    const ids = Array.from({ length: CLIENTS }, (_, i) => `gone-${i}`);
    const leave = (id: string, i: number): Promise<void> => {
      const head = `POST /predict HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\nX-API-Key: ${server.adminKey}\r\n`;
      const text = `${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      // Some before the last byte, some at once, some a moment later.
      const sent = i % 3 === 0 ? text.slice(0, -5) : text;
      return sendAndHangUp(server.url, sent, () => new Promise((resolve) => setTimeout(resolve, i % 7)));
    };
    const stayed = (async () => {
      for (let i = 0; i < 50; i++) await othersAreServed();
    })();
    for (let from = 0; from < CLIENTS; from += 100)
      await Promise.all(ids.slice(from, from + 100).map((id, i) => leave(id, from + i)));
    await stayed;
    const recorded = async (): Promise<Map<string, number[]>> => {
      const found = new Map<string, number[]>();
      for (const { request_id: id, status } of await client.events('action=prediction.create'))
        if (id.startsWith('gone-')) found.set(id, [...(found.get(id) ?? []), status]);
      return found;
    };
    await until(async () => (await recorded()).size >= CLIENTS);
    const events = await recorded();
    expect([...events.keys()].sort()).toEqual(ids.toSorted());
    for (const [id, statuses] of events)
      expect([id, statuses.length, [200, 499].includes(statuses[0]!)]).toEqual([id, 1, true]);
    await othersAreServed();
  }, 90_000);

  it('each of all these requests has exactly one event with the status of its answer', async () => {
    expect(await client.unrecorded()).toEqual([]);
  }, 60_000);
});
