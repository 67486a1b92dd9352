import { readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DATATYPES, decodeNested, elementCount, TYPED_ARRAYS, type Datatype, type Tensor } from '@sibyl/protocol';
import {
  addModel,
  attribute,
  encodeModel,
  gatherModel,
  identityModel,
  loopModel,
  node,
  unaryModel,
  value as declare,
  zipMapModel,
} from '@sibyl/onnx/testing';
import { NO_OBSERVER, type InferenceObserver } from './inference-observer';
import type { InferRequest, LoadOptions, LoadedModel } from './model-runtime';
import { startTestRuntime, type TestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-models-'));
const EXAMPLES = path.resolve(__dirname, '../../../examples/models');
const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 64, warmup: [] };

let batches: { key: string; rows: number; queueMs: number; runMs: number }[] = [];
let dropped: string[] = [];
const observer: InferenceObserver = {
  ...NO_OBSERVER,
  onBatch: (key, rows, queueMs, runMs) => batches.push({ key, rows, queueMs, runMs }),
  onDropped: (_key, reason) => dropped.push(reason),
};

let test: TestRuntime;
let loop: LoadedModel;

beforeAll(async () => {
  test = await startTestRuntime({ queueRequests: 120, queueBytes: 64 * 1024, maxFrameBytes: 1024 * 1024 }, observer);
  loop = await load('loop', loopModel());
});
afterAll(async () => {
  await test.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  batches = [];
  dropped = [];
});

function load(key: string, bytes: Buffer, options: Partial<LoadOptions> = {}): Promise<LoadedModel> {
  const file = path.join(folder, `${key}.onnx`);
  writeFileSync(file, bytes);
  return test.runtime.load({ key, path: file }, { ...OPTIONS, ...options });
}

const request = (inputs: readonly Tensor[], rows: number, deadlineMs = 20_000): InferRequest => {
  return { inputs, rows, deadlineAt: performance.now() + deadlineMs, aborted: false };
};
const floats = (name: string, ...values: number[]): Tensor => {
  return { name, datatype: 'FP32', shape: [values.length], data: Float32Array.from(values) };
};
const integers = (name: string, ...values: bigint[]): Tensor => {
  return { name, datatype: 'INT64', shape: [values.length], data: BigInt64Array.from(values) };
};
const scalar = (name: string, value: bigint): Tensor => ({ ...integers(name, value), shape: [] });
/** Keeps the only runner busy for as many rounds; a million take about a second. */
const occupy = (rounds: bigint): Promise<readonly Tensor[]> => {
  return loop.infer(request([scalar('x', 0n), scalar('trips', rounds)], 0));
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('answers', () => {
  it.each(['momentum-1.2.3', 'momentum-1.3.0', 'fraud_detection-2.0.0', 'breast_cancer-1.0.0'])(
    'of %s are those of the library that trained it',
    async (name) => {
      const packageFolder = path.join(EXAMPLES, name);
      const golden = JSON.parse(readFileSync(path.join(packageFolder, 'golden.json'), 'utf8')) as {
        tolerance: { rtol: number; atol: number };
        samples: { inputs: Record<string, unknown>; outputs: Record<string, unknown> }[];
      };
      const model = await test.runtime.load({ key: name, path: path.join(packageFolder, 'model.onnx') }, OPTIONS);
      const checked = await Promise.all(
        golden.samples.map(async (sample) => {
          const inputs = model.signature.inputs.map((spec) => decodeNested(sample.inputs[spec.name], spec, '/'));
          const outputs = await model.infer(request(inputs, inputs[0]!.shape[0]!));
          return outputs.map((output) => {
            const expected = (sample.outputs[output.name] as unknown[]).flat().map(Number);
            const got = Array.from(output.data as Float32Array, Number);
            expect(output.shape.reduce((a, b) => a * b, 1)).toBe(expected.length);
            const off = got.filter((value, i) => {
              const limit = golden.tolerance.atol + golden.tolerance.rtol * Math.abs(expected[i]!);
              return !(Math.abs(value - expected[i]!) <= limit);
            });
            expect(off).toEqual([]);
            return output.name;
          });
        }),
      );
      expect(checked).toHaveLength(golden.samples.length);
    },
  );

  const SAMPLES = [0, 1, 2, 3];
  // The element types in which ONNX Runtime's CPU provider has an Identity.
  it.each(DATATYPES)('in %s are exact, alone and in a batch', async (datatype) => {
    const model = await load(`identity-${datatype}`, identityModel(datatype, ['N', 2]));
    const requests = SAMPLES.map((seed) => sampleOf(datatype, seed));
    const alone = await model.infer(request([requests[0]!], 1));
    expect(alone).toEqual([{ ...requests[0]!, name: 'y' }]);
    await withBusyRunner(async () => {
      const together = Promise.all(requests.map((tensor) => model.infer(request([tensor], tensor.shape[0]!))));
      return together.then((answers) => {
        expect(answers.map(([y]) => ({ ...y!, name: 'x' }))).toEqual(requests);
      });
    });
    expect(batches.at(-1)?.rows).toBe(requests.length);
  });

  it('of an empty tensor are empty', async () => {
    const model = await load('empty', identityModel('FP32', ['N', 2]));
    const none: Tensor = { name: 'x', datatype: 'FP32', shape: [0, 2], data: new Float32Array(0) };
    expect(await model.infer(request([none], 0))).toEqual([{ ...none, name: 'y' }]);
  });

  it('leave out what is no tensor', async () => {
    const model = await load('zipmap', zipMapModel());
    expect(model.signature.outputs.map((output) => output.name)).toEqual(['output_label']);
    const outputs = await model.infer(request([{ ...floats('features', 1), shape: [1, 1] }], 1));
    expect(outputs.map((output) => output.name)).toEqual(['output_label']);
  });

  it('do not depend on the order in which inputs are given', async () => {
    const model = await load('add', addModel());
    const [sum] = await model.infer(request([floats('b', 10), floats('a', 1)], 1));
    expect(sum?.data).toEqual(Float32Array.of(11));
  });
});

describe('batches', () => {
  it('bring every row back to its caller, under 200 concurrent requests to two models', async () => {
    const one = await load('one', unaryModel('Neg'), { maxBatchRows: 16 });
    const two = await load('two', unaryModel('Abs'), { maxBatchRows: 16 });
    let seed = 7;
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const refused: unknown[] = [];
    const asked = Array.from({ length: 200 }, async (_, i) => {
      for (let turns = Math.floor(random() * 5); turns > 0; turns--) await turn();
      const values = Array.from({ length: 1 + Math.floor(random() * 5) }, () => Math.fround(random() - 0.5));
      const model = i % 2 === 0 ? one : two;
      const [y] = await model.infer(request([floats('x', ...values)], values.length)).catch((error: unknown) => {
        refused.push(error);
        return [];
      });
      if (y !== undefined) {
        expect(Array.from(y.data as Float32Array)).toEqual(values.map((v) => (model === one ? -v : Math.abs(v))));
      }
    });
    await Promise.all(asked);
    expect(refused).toEqual([]);
    expect(Math.max(...batches.map((batch) => batch.rows))).toBeGreaterThan(5);
    expect(Math.max(...batches.map((batch) => batch.rows))).toBeLessThanOrEqual(16);
    expect(batches.length).toBeLessThan(200);
  });

  it('take what waits, and take turns between models', async () => {
    const one = await load('turns-one', unaryModel('Neg'), { maxBatchRows: 4 });
    const two = await load('turns-two', unaryModel('Neg'), { maxBatchRows: 4 });
    await withBusyRunner(() => {
      const many = Array.from({ length: 12 }, () => one.infer(request([floats('x', 1)], 1)));
      return Promise.all([...many, two.infer(request([floats('x', 2)], 1))]);
    });
    expect(batches.filter((batch) => batch.key !== 'loop').map((batch) => [batch.key, batch.rows])).toEqual([
      ['turns-one', 4],
      ['turns-two', 1],
      ['turns-one', 4],
      ['turns-one', 4],
    ]);
  });

  it('hold only requests of one shape, and one request where the model is not batchable', async () => {
    const shapes = await load('shapes', identityModel('FP32', ['N', 'M']));
    const single = await load('single', unaryModel('Neg'), { batchable: false });
    const wide = (columns: number): InferRequest => {
      return request([{ name: 'x', datatype: 'FP32', shape: [1, columns], data: new Float32Array(columns) }], 1);
    };
    await withBusyRunner(() =>
      Promise.all([
        ...[2, 2, 3, 3].map((columns) => shapes.infer(wide(columns))),
        ...[1, 2].map((value) => single.infer(request([floats('x', value)], 1))),
      ]),
    );
    const sizes = (key: string): number[] => batches.filter((batch) => batch.key === key).map((batch) => batch.rows);
    expect(sizes('shapes')).toEqual([2, 2]);
    expect(sizes('single')).toEqual([1, 1]);
  });

  it('run a request that is larger than a batch by itself', async () => {
    const model = await load('large', unaryModel('Neg'), { maxBatchRows: 2 });
    const [y] = await model.infer(request([floats('x', 1, 2, 3, 4, 5)], 5));
    expect(y?.data).toEqual(Float32Array.of(-1, -2, -3, -4, -5));
  });

  it('are given up for a model that does not answer row for row, without a wrong answer', async () => {
    const model = await load('largest', largestModel());
    const ask = (...values: number[]): Promise<readonly Tensor[]> =>
      model.infer(request([floats('x', ...values)], values.length));
    const round = (): Promise<(readonly Tensor[])[]> =>
      withBusyRunner(() => Promise.all([ask(1, 2), ask(5), ask(3, 4)]));
    for (let i = 0; i < 2; i++) {
      expect((await round()).map(([y]) => y?.data)).toEqual([2, 5, 4].map((value) => Float32Array.of(value)));
    }
    const rows = batches.filter((batch) => batch.key === 'largest').map((batch) => batch.rows);
    expect(rows).toEqual([5, 2, 1, 2, 2, 1, 2]);
  });

  it('fail only for the request that the model cannot compute', async () => {
    const model = await load('gather', gatherModel());
    const ask = (index: bigint): Promise<readonly Tensor[]> =>
      model.infer(request([floats('x', 5), integers('index', index)], 1));
    const answers = await withBusyRunner(() => Promise.allSettled([ask(0n), ask(99n), ask(0n)]));
    expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const { reason } = answers[1] as PromiseRejectedResult;
    expect(reason).toMatchObject({ code: 'model_run_failed' });
    expect((reason as Error).message).not.toMatch(/\/|indices|Gather/);
    expect(((reason as Error).cause as Error).message).toContain('Gather');
  });

  it('report what was in them', async () => {
    const model = await load('reported', unaryModel('Neg'));
    await withBusyRunner(() => model.infer(request([floats('x', 1, 2)], 2)));
    const batch = batches.find(({ key }) => key === 'reported');
    expect(batch).toMatchObject({ rows: 2 });
    expect(batch!.queueMs).toBeGreaterThan(0);
    expect(batch!.runMs).toBeGreaterThan(0);
    expect(model.statistics()).toMatchObject({ requests: 1, batches: 1, failures: 0, queueDepth: 0 });
    expect(test.runtime.status().batches).toBeGreaterThan(0);
  });
});

describe('the queue', () => {
  it('refuses at once what is over its limit, with a Retry-After', async () => {
    const model = await load('full', unaryModel('Neg'));
    await withBusyRunner(async () => {
      const taken = Array.from({ length: 120 }, () => model.infer(request([floats('x', 1)], 1)));
      await turn();
      expect(model.statistics().queueDepth).toBe(120);
      const refused = await model.infer(request([floats('x', 1)], 1)).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'queue_full' });
      expect((refused as { retryAfterSeconds: number }).retryAfterSeconds).toBeGreaterThanOrEqual(1);
      return Promise.all(taken);
    });
    expect(dropped).toEqual(['refused']);
  });

  it('counts bytes too, but takes a single large request', async () => {
    const model = await load('bytes', unaryModel('Neg'));
    const large = floats('x', ...new Array<number>(20_000).fill(1));
    await withBusyRunner(async () => {
      const first = model.infer(request([large], 20_000));
      await expect(model.infer(request([floats('x', 1)], 1))).rejects.toMatchObject({ code: 'queue_full' });
      return first;
    });
  });

  it('answers at its deadline what waits, and never starts it', async () => {
    const model = await load('late', unaryModel('Neg'));
    await withBusyRunner(async () => {
      const late = model.infer(request([floats('x', 1)], 1, 30));
      await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
      expect(model.statistics().queueDepth).toBe(0);
    });
    expect(batches.map((batch) => batch.key)).toEqual(['loop']);
    expect(dropped).toEqual(['expired']);
  });

  it('drops what nobody waits for any more', async () => {
    const model = await load('aborted', unaryModel('Neg'));
    const gone = request([floats('x', 1)], 1);
    await withBusyRunner(async () => {
      const answer = model.infer(gone);
      await turn();
      gone.aborted = true;
      return Promise.allSettled([answer]);
    });
    expect(batches.map((batch) => batch.key)).toEqual(['loop']);
    expect(dropped).toEqual(['aborted']);
  });

  it('answers a request at its deadline even while it runs', async () => {
    const late = loop.infer(request([scalar('x', 0n), scalar('trips', 200_000n)], 0, 40));
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
    await expect(occupy(1n)).resolves.toBeDefined();
  });
});

describe('a request that cannot be sent', () => {
  it('is batch_too_large over the limit of a frame', async () => {
    const model = await load('too-large', unaryModel('Neg'));
    const huge: Tensor = { name: 'x', datatype: 'FP32', shape: [300_000], data: new Float32Array(300_000) };
    await expect(model.infer(request([huge], 0))).rejects.toMatchObject({ code: 'batch_too_large' });
  });

  it('costs its neighbours nothing', async () => {
    const model = await load('neighbours', unaryModel('Neg'));
    const lying: Tensor = { name: 'x', datatype: 'FP32', shape: [3], data: Float32Array.of(1) };
    const unknown = floats('nobody', 1);
    await withBusyRunner(async () => {
      const good = model.infer(request([floats('x', 1)], 1));
      await expect(model.infer(request([lying], 3))).rejects.toMatchObject({ code: 'internal_error' });
      await expect(model.infer(request([unknown], 1))).rejects.toMatchObject({ code: 'input_type_mismatch' });
      expect((await good)[0]?.data).toEqual(Float32Array.of(-1));
    });
  });
});

describe('loading', () => {
  it('runs the warm-up samples, and knows by them how long a batch takes', async () => {
    const model = await load('warm', unaryModel('Neg'), { warmup: [[floats('x', 1)], [floats('x', 2, 3)]] });
    expect(model.statistics()).toMatchObject({ requests: 0, batches: 0, lastUsedMs: undefined });
    expect(model.statistics().batchMs).toBeGreaterThan(0);
  });

  it.each([
    ['cannot run', [integers('x', 1n)]],
    ['does not know', [floats('nobody', 1)]],
  ])('is model_not_ready with a warm-up sample that the model %s', async (name, sample) => {
    const loading = load(`cold ${name}`, unaryModel('Neg'), { warmup: [sample] });
    await expect(loading).rejects.toMatchObject({ code: 'model_not_ready' });
    expect((await occupy(1n))[0]?.data).toEqual(BigInt64Array.of(1n));
  });

  it('is not held up by a run that was made up and that the model cannot run', async () => {
    const model = await load('guessed', unaryModel('Neg'), { warmup: [[integers('x', 1n)]], warmupIsGuess: true });
    expect((await model.infer(request([floats('x', 1)], 1)))[0]?.data).toEqual(Float32Array.of(-1));
  });

  it('may fail once and succeed when the file is there', async () => {
    const file = { key: 'later', path: path.join(folder, 'later.onnx') };
    await expect(test.runtime.load(file, OPTIONS)).rejects.toMatchObject({ code: 'model_not_ready' });
    const model = await load('later', unaryModel('Neg'));
    expect((await model.infer(request([floats('x', 1)], 1)))[0]?.data).toEqual(Float32Array.of(-1));
  });
});

describe('unloading', () => {
  it('answers what waits and then takes no more', async () => {
    const model = await load('leaving', unaryModel('Neg'));
    await withBusyRunner(async () => {
      const waiting = model.infer(request([floats('x', 4)], 1));
      const unloaded = model.unload();
      await expect(model.infer(request([floats('x', 1)], 1))).rejects.toMatchObject({ code: 'model_not_ready' });
      expect((await waiting)[0]?.data).toEqual(Float32Array.of(-4));
      await unloaded;
    });
    expect(test.runtime.status().queueDepth).toBe(0);
  });
});

/** Answers one number, the largest, however many rows it is given. */
function largestModel(): Buffer {
  return encodeModel({
    nodes: [node('ReduceMax', ['x'], ['y'], { attributes: [attribute('keepdims', { i: 1 })] })],
    inputs: [declare('x', 'FP32', [-1])],
    outputs: [declare('y', 'FP32', [-1])],
  });
}

/** Lets `work` queue its requests while the runner is busy, so that batches are made of what waits. */
async function withBusyRunner<T>(work: () => Promise<T>): Promise<T> {
  const busy = occupy(100_000n);
  while (!test.runtime.status().runners.every((runner) => runner.state === 'busy')) await turn();
  const done = await work();
  await busy;
  return done;
}

function sampleOf(datatype: Datatype, seed: number): Tensor {
  const shape = [1, 2];
  if (datatype === 'BYTES') return { name: 'x', datatype, shape, data: [`ä${seed}`, ''] };
  const data = new TYPED_ARRAYS[datatype](elementCount(shape));
  const bytes = new Uint8Array(data.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = datatype === 'BOOL' ? (seed + i) % 2 : (i * 31 + seed * 7) % 120;
  return { name: 'x', datatype, shape, data };
}
