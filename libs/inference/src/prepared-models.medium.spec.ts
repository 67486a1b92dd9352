import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { attribute, encodeModel, node, tensor, value } from '@sibyl/onnx/testing';
import type { Tensor } from '@sibyl/protocol';
import type { InferenceLog } from './inference-log';
import type { InferenceOptions } from './inference-options';
import type { LoadOptions, LoadedModel } from './model-runtime';
import { startTestRuntime, type TestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-prepared-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** No multiple of what vector instructions like: where the runtime aligned nothing, runs would end the process. */
const WIDTH = 1031;
let runtimes: TestRuntime[];
let prepared: string;
let said: string[];
const log: InferenceLog = {
  debug: () => undefined,
  info: (_fields, message) => said.push(message),
  warn: (_fields, message) => said.push(message),
  error: (_fields, message) => said.push(message),
};
beforeEach(() => {
  runtimes = [];
  said = [];
  prepared = mkdtempSync(path.join(folder, 'cache-'));
});
afterEach(async () => {
  for (const test of runtimes) await test.close();
});

async function start(changes: Partial<InferenceOptions> = {}): Promise<TestRuntime> {
  const small = { ownBytes: 0, preparedModelBytes: 1, preparedFolder: prepared };
  const test = await startTestRuntime({ ...small, ...changes }, undefined, log);
  runtimes.push(test);
  return test;
}

/** x → two matrices of which one is large enough to be mapped → y, and noise where the answer shall never be the same. */
function model(seed: number, noise = false): Buffer {
  const weights = (rows: number, columns: number): Uint8Array => {
    const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(seed * 1000 + i) / 30);
    return new Uint8Array(values.buffer);
  };
  const shape = { attributes: [attribute('shape', { ints: [1, 3] })] };
  return encodeModel({
    nodes: [
      node('MatMul', ['x', 'w0'], ['a']),
      node('MatMul', ['a', 'w1'], ['b']),
      node('MatMul', ['b', 'w2'], ['c']),
      ...(noise
        ? [node('RandomNormal', [], ['r'], shape), node('Add', ['c', 'r'], ['y'])]
        : [node('Identity', ['c'], ['y'])]),
    ],
    initializers: [
      tensor('w0', 'FP32', [5, WIDTH], weights(5, WIDTH)),
      tensor('w1', 'FP32', [WIDTH, WIDTH], weights(WIDTH, WIDTH)),
      tensor('w2', 'FP32', [WIDTH, 3], weights(WIDTH, 3)),
    ],
    inputs: [value('x', 'FP32', [-1, 5])],
    outputs: [value('y', 'FP32', [-1, 3])],
  });
}

const row = (rows: number): Tensor => {
  return {
    name: 'x',
    datatype: 'FP32',
    shape: [rows, 5],
    data: Float32Array.from({ length: 5 * rows }, (_, i) => i / 7),
  };
};
const OPTIONS: LoadOptions = {
  devicePolicy: 'cpu_only',
  batchable: true,
  maxBatchRows: 32,
  warmup: [[row(1)], [row(8)], [row(32)]],
};

function load(test: TestRuntime, name: string, bytes: Buffer, digest = true): Promise<LoadedModel> {
  const file = path.join(folder, `${name}.onnx`);
  writeFileSync(file, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return test.runtime.load({ key: name, path: file, ...(digest && { digest: `sha256:${sha256}` }) }, OPTIONS);
}
const answer = async (loaded: LoadedModel, rows = 1): Promise<string> => {
  const request = { inputs: [row(rows)], rows, deadlineAt: performance.now() + 20_000, aborted: false };
  const [y] = await loaded.infer(request);
  const { buffer, byteOffset, byteLength } = y!.data as Float32Array;
  return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
};
/** Whether the runner of this model, or the shared one, has mapped a file of the cache. */
const maps = (test: TestRuntime, key: string | undefined): boolean => {
  const pid = test.runtime.status().runners.find((runner) => runner.model === key)?.pid;
  return readFileSync(`/proc/${pid}/maps`, 'utf8').includes(prepared);
};
const entries = (): string[] => readdirSync(prepared).filter((name) => name !== 'building');
const inEntry = (name: string): string => path.join(prepared, entries()[0]!, name);
/** As if it had been used for the last time a minute ago. */
function age(id: string): void {
  const then = new Date(Date.now() - 60_000);
  utimesSync(path.join(prepared, id, 'manifest.json'), then, then);
}
const times = (what: string): number => said.filter((message) => message === what).length;
const PREPARED = 'a model was prepared';
const REFUSED = 'a model could not be prepared: it is loaded as it is';
const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await sleep(5);
};
async function killRunnerOf(test: TestRuntime, key: string): Promise<void> {
  const own = (): { pid: number | undefined; restarts: number } =>
    test.runtime.status().runners.find((runner) => runner.model === key)!;
  const before = own();
  process.kill(before.pid!, 'SIGKILL');
  await until(() => own().restarts > before.restarts);
}

describe('a large model', () => {
  it('is prepared once, mapped by its runners, and answers bit for bit as the plain one', async () => {
    const test = await start();
    const plain = await load(test, 'plain', model(1), false);
    const expected = await Promise.all([1, 8, 32].map((rows) => answer(plain, rows)));
    const mapped = await load(test, 'mapped', model(1));
    expect([maps(test, 'plain'), maps(test, 'mapped')]).toEqual([false, true]);
    expect(await Promise.all([1, 8, 32].map((rows) => answer(mapped, rows)))).toEqual(expected);
    expect(mapped.totalBytes).toBeGreaterThan(statSync(path.join(folder, 'mapped.onnx')).size);
    const another = await start();
    expect(await answer(await load(another, 'mapped', model(1)))).toBe(expected[0]);
    expect(maps(another, 'mapped')).toBe(true);
    expect(times(PREPARED)).toBe(1);
  });

  it('is prepared once by servers that share the folder and load it at the same time', async () => {
    const tests = [await start(), await start()];
    const loaded = await Promise.all(tests.map((test) => load(test, 'shared', model(2))));
    expect(await answer(loaded[0]!)).toBe(await answer(loaded[1]!));
    expect(tests.map((test) => maps(test, 'shared'))).toEqual([true, true]);
    expect(times(PREPARED)).toBe(1);
  });

  it('that answers otherwise when it is prepared is loaded as it is, and that is remembered', async () => {
    for (let server = 0; server < 2; server++) {
      const test = await start();
      const loaded = await load(test, 'noise', model(3, true));
      expect(await answer(loaded)).toHaveLength(24);
      expect(maps(test, 'noise')).toBe(false);
    }
    expect(times('a prepared model answers otherwise and is not used')).toBe(1);
    expect(readdirSync(path.join(prepared, entries()[0]!))).toEqual(['manifest.json']);
  });

  it.each([
    ['weights', 'weights.bin'],
    ['graph', 'model.onnx'],
    ['manifest', 'manifest.json'],
  ])('whose prepared %s was changed is prepared anew, never used', async (_, name) => {
    const first = await start();
    const expected = await answer(await load(first, 'tampered', model(4)));
    await first.close();
    const bytes = readFileSync(inEntry(name));
    // In the manifest: a digit of the seal.
    const at = name === 'manifest.json' ? bytes.length - 3 : bytes.length >> 1;
    bytes[at] = bytes[at] === 0x31 ? 0x32 : 0x31;
    chmodSync(inEntry(name), 0o600);
    writeFileSync(inEntry(name), bytes);
    const test = await start();
    expect(await answer(await load(test, 'tampered', model(4)))).toBe(expected);
    expect(maps(test, 'tampered')).toBe(true);
    expect(times(PREPARED)).toBe(2);
  });

  it('is loaded as it is into shared runners, whose files nobody looks after', async () => {
    const test = await start({ ownRunners: 1 });
    // Both find room for a process of their own before either has one.
    const loaded = await Promise.all([8, 9].map((seed) => load(test, `crowded-${seed}`, model(seed))));
    expect(test.runtime.status().runners.filter((runner) => runner.model !== undefined)).toHaveLength(1);
    expect(maps(test, undefined)).toBe(false);
    const made = times(PREPARED);
    await load(test, 'crowded-10', model(10));
    expect([times(PREPARED), maps(test, undefined)]).toEqual([made, false]);
    for (const one of loaded) expect(await answer(one)).toHaveLength(24);
  });

  it('is not taken from an entry that was sealed with another key, or for another model', async () => {
    const first = await start();
    await load(first, 'one', model(5));
    const one = entries()[0]!;
    await load(first, 'two', model(6));
    const two = entries().find((id) => id !== one)!;
    await first.close();
    // Everything of one, seal included, under the name of the other.
    rmSync(path.join(prepared, two), { recursive: true });
    mkdirSync(path.join(prepared, two));
    for (const name of readdirSync(path.join(prepared, one)))
      writeFileSync(path.join(prepared, two, name), readFileSync(path.join(prepared, one, name)));
    const test = await start();
    const plain = await answer(await load(test, 'plain', model(6), false));
    expect(await answer(await load(test, 'two', model(6)))).toBe(plain);
    expect(times(PREPARED)).toBe(3);
  });
});

describe('files that change under a loaded model', () => {
  it('are not loaded again: its prepared ones give way to the model itself', async () => {
    const test = await start();
    const loaded = await load(test, 'changed', model(7));
    const expected = await answer(loaded);
    chmodSync(inEntry('weights.bin'), 0o600);
    utimesSync(inEntry('weights.bin'), new Date(), new Date());
    await killRunnerOf(test, 'changed');
    expect(await answer(loaded)).toBe(expected);
    expect(maps(test, 'changed')).toBe(false);
  });

  it('end the runners that map them', async () => {
    const test = await start({ tickMs: 1 });
    const loaded = await load(test, 'touched', model(17));
    const expected = await answer(loaded);
    const weights = inEntry('weights.bin');
    chmodSync(weights, 0o600);
    const bytes = readFileSync(weights);
    writeFileSync(weights, bytes.fill(0));
    await until(() => test.runtime.status().runners.some(({ restarts }) => restarts > 0));
    expect(await answer(loaded)).toBe(expected);
    expect(maps(test, 'touched')).toBe(false);
  });
});

describe('the folder of prepared models', () => {
  it('loses what was used least recently, but nothing that is loaded', async () => {
    const size = model(1).length;
    const test = await start({ preparedBytes: 5 * size });
    const one = await load(test, 'lru-1', model(11));
    const [first] = entries();
    await load(test, 'lru-2', model(12));
    await load(test, 'lru-3', model(13));
    expect(entries()).toContain(first);
    await one.unload();
    age(first!);
    await load(test, 'lru-4', model(14));
    expect(entries()).not.toContain(first);
  });

  it('loses nothing that another process has loaded, however long ago', async () => {
    const another = await start({ tickMs: 1 });
    const loaded = await load(another, 'lru-1', model(11));
    const [first] = entries();
    age(first!);
    await until(() => statSync(inEntry('manifest.json')).mtimeMs > Date.now() - 10_000);
    const test = await start({ preparedBytes: 2.5 * model(1).length });
    for (const seed of [12, 13]) await load(test, `lru-${seed}`, model(seed));
    expect(entries()).toContain(first);
    expect(await answer(loaded)).toHaveLength(24);
    expect(maps(another, 'lru-1')).toBe(true);
  });

  it('loses nothing that is being loaded', async () => {
    const test = await start({ preparedBytes: 2.5 * model(1).length });
    await (await load(test, 'lru-1', model(11))).unload();
    const [first] = entries();
    const loading = load(test, 'lru-1', model(11));
    const pid = (): number | undefined => test.runtime.status().runners.find(({ model: key }) => key === 'lru-1')?.pid;
    await until(() => pid() !== undefined);
    process.kill(pid()!, 'SIGSTOP');
    age(first!);
    await load(test, 'lru-2', model(12));
    expect(entries()).toContain(first);
    process.kill(pid()!, 'SIGCONT');
    expect(await answer(await loading)).toHaveLength(24);
  });

  it('loses what a crash left unfinished', async () => {
    const left = path.join(prepared, 'building', 'left');
    mkdirSync(left, { recursive: true });
    const old = new Date(Date.now() - 60_000);
    utimesSync(left, old, old);
    await load(await start(), 'after-crash', model(15));
    expect(existsSync(left)).toBe(false);
    expect(readdirSync(path.join(prepared, 'building'))).toEqual([]);
  });

  it.each([
    ['is too small', (): Partial<InferenceOptions> => ({ preparedBytes: 1000 })],
    [
      'cannot be written',
      (): Partial<InferenceOptions> => {
        const file = path.join(prepared, 'file');
        writeFileSync(file, '');
        return { preparedFolder: file };
      },
    ],
  ])('that %s costs no more than a warning', async (_, changes) => {
    const test = await start(changes());
    const loaded = await load(test, 'plainly', model(16));
    expect(await answer(loaded)).toHaveLength(24);
    expect(times(REFUSED)).toBe(1);
  });
});
