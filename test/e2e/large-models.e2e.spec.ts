import fs from 'node:fs';
import path from 'node:path';
import { encodeModel, node, tensor, value } from '@sibyl/onnx/testing';
import { modelPackage, writePackage } from '../support/model-packages';
import { processTree } from '../support/processes.mjs';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const WIDTH = 3001; // 36 MB
const VERSION = '/v1/models/large/1.0.0';
let server: TestServer;
let expected: unknown;

beforeAll(async () => {
  server = await startServer({ env: { SIBYL_MODELS: path.join(REPOSITORY, 'examples/models/momentum-1.2.3') } });
  const folder = path.join(server.dataDir, 'import/large');
  writePackage(folder, modelPackage(largeModel(), { name: 'large', version: '1.0.0' }));
  const registered = await server.call('POST', '/v1/models/large/versions', { body: { source_uri: folder } });
  expect(registered.status).toBe(201);
  await load();
  expected = (await predict()).body.outputs;
}, 120_000);
afterAll(() => server.stop());

function largeModel(): Buffer {
  const weights = (rows: number, columns: number): Uint8Array => {
    const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i) / 50);
    return new Uint8Array(values.buffer);
  };
  return encodeModel({
    nodes: [node('MatMul', ['x', 'w0'], ['a']), node('MatMul', ['a', 'w1'], ['b']), node('MatMul', ['b', 'w2'], ['y'])],
    initializers: [
      tensor('w0', 'FP32', [2, WIDTH], weights(2, WIDTH)),
      tensor('w1', 'FP32', [WIDTH, WIDTH], weights(WIDTH, WIDTH)),
      tensor('w2', 'FP32', [WIDTH, 1], weights(WIDTH, 1)),
    ],
    inputs: [value('x', 'FP32', [-1, 2])],
    outputs: [value('y', 'FP32', [-1, 1])],
  });
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what the API answers is what is tested
type Answer = { readonly status: number; readonly body: any };
const call = (method: string, route: string, body?: unknown): Promise<Answer> =>
  server.call(method, route, { ...(body === undefined ? {} : { body }), timeoutMs: 60_000 });
const load = (): Promise<Answer> => call('POST', '/v1/models/load', { model_id: 'large', version: '1.0.0' });
const predict = (): Promise<Answer> => call('POST', '/models/large/predict', { inputs: { x: [[3, -1]] } });

/** The processes that hold the large model alone. */
async function ownRunners(): Promise<number[]> {
  const { body } = await call('GET', '/health/detailed');
  const runners = body.runtime.runners as { pid?: number; model?: string }[];
  return runners.flatMap(({ pid, model }) => (pid !== undefined && model?.startsWith('large@') === true ? [pid] : []));
}

const found = (folder: string, name: string): string[] =>
  fs
    .readdirSync(path.join(server.dataDir, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => path.basename(file) === name)
    .map((file) => path.join(server.dataDir, folder, file));

/** Changes a byte in the middle of a file; returns what puts it back. */
function damage(file: string): () => void {
  const bytes = fs.readFileSync(file);
  fs.chmodSync(file, 0o600);
  const changed = Buffer.from(bytes);
  changed[changed.length >> 1]! ^= 1;
  fs.writeFileSync(file, changed);
  return () => fs.writeFileSync(file, bytes);
}

describe('a large model', () => {
  it('has a process of its own, which maps the prepared weights, and ends when it is unloaded', async () => {
    const [pid, ...others] = await ownRunners();
    expect(others).toEqual([]);
    expect(fs.readFileSync(`/proc/${pid}/maps`, 'utf8')).toContain(path.join(server.dataDir, 'prepared'));
    expect((await call('DELETE', VERSION)).status).toBe(200);
    expect(await ownRunners()).toEqual([]);
    expect(processTree(server.pid).map((one) => one.pid)).not.toContain(pid);
    expect((await predict()).body.outputs).toEqual(expected);
  });

  it('answers again when its process was killed', async () => {
    const [pid] = await ownRunners();
    process.kill(pid!, 'SIGKILL');
    expect((await predict()).body.outputs).toEqual(expected);
  });

  it('is prepared anew when somebody has changed what was prepared', async () => {
    await call('DELETE', VERSION);
    const [weights] = found('prepared', 'weights.bin');
    damage(weights!);
    const { ino } = fs.statSync(weights!);
    expect((await load()).status).toBe(200);
    expect((await predict()).body.outputs).toEqual(expected);
    expect(fs.statSync(weights!).ino).not.toBe(ino);
  });

  it('goes on when its stored file is changed, and is refused when it has to be loaded again', async () => {
    const hash = (await call('GET', '/v1/models/large/versions/1.0.0')).body.digest.split(':')[1] as string;
    const stored = path.join(server.dataDir, 'artifacts/packages', hash, 'model.onnx');
    const mend = damage(stored);
    expect((await predict()).body.outputs).toEqual(expected);
    await call('DELETE', VERSION);
    expect(await predict()).toMatchObject({ status: 503, body: { code: 'model_not_ready' } });
    mend();
    expect((await load()).status).toBe(200);
    expect((await predict()).body.outputs).toEqual(expected);
  });

  it('is found prepared after a restart', async () => {
    const [weights] = found('prepared', 'weights.bin');
    const { ino } = fs.statSync(weights!);
    await server.kill9();
    await server.start();
    expect((await predict()).body.outputs).toEqual(expected);
    expect(fs.statSync(weights!).ino).toBe(ino);
  }, 60_000);
});
