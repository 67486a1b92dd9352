import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loopModel, unaryModel } from '@sibyl/onnx/testing';
import type { Tensor } from '@sibyl/protocol';
import type { InferenceOptions } from './inference-options';
import type { LoadOptions, LoadedModel } from './model-runtime';
import { PROCESS_BYTES } from './placement';
import type { RunnerStatus } from './runtime-status';
import { startTestRuntime, type TestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LARGE = 40 * 1024 * 1024;
const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: false, maxBatchRows: 1, warmup: [] };
/** As if the trial had found it to be large: what counts is where it is placed. Its loops may take long on a busy machine. */
const ALONE: Partial<LoadOptions> = { expected: { memoryBytes: LARGE, fileBytes: 1000 }, runLimitMs: 60_000 };

let test: TestRuntime;
const start = async (changes: Partial<InferenceOptions> = {}): Promise<void> => {
  test = await startTestRuntime(changes);
};
afterEach(() => test.close());

function load(key: string, options: Partial<LoadOptions> = {}, bytes = unaryModel('Neg')): Promise<LoadedModel> {
  const file = path.join(folder, `${key}.onnx`);
  writeFileSync(file, bytes);
  return test.runtime.load({ key, path: file }, { ...OPTIONS, ...options });
}
const negate = async (model: LoadedModel, number: number): Promise<number> => {
  const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(number) };
  const [y] = await model.infer({ inputs: [x], rows: 1, deadlineAt: performance.now() + 20_000, aborted: false });
  return (y!.data as Float32Array)[0]!;
};
const runnersOf = (key: string | undefined): RunnerStatus[] =>
  test.runtime.status().runners.filter(({ model }) => model === key);
const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await sleep(1);
};
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const pidOf = async (key: string | undefined): Promise<number> => {
  await until(() => runnersOf(key)[0]?.pid !== undefined);
  return runnersOf(key)[0]!.pid!;
};

describe('a model that is expensive to load', () => {
  it('gets a process of its own, which ends with it', async () => {
    await start({ runners: 2 });
    const small = await load('small');
    const large = await load('large', ALONE);
    expect(await negate(large, 1)).toBe(-1);
    expect(runnersOf('large')).toHaveLength(1);
    expect(runnersOf(undefined)).toHaveLength(2);
    expect(test.runtime.expectedBytes(ALONE.expected!)).toBe(PROCESS_BYTES + LARGE);
    expect(large.totalBytes).toBe(PROCESS_BYTES + LARGE);
    expect(small.totalBytes).toBeLessThan(LARGE);
    const pid = await pidOf('large');
    await large.unload();
    expect(alive(pid)).toBe(false);
    expect(runnersOf('large')).toEqual([]);
    expect(await negate(small, 2)).toBe(-2);
    await expect(negate(large, 1)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(await negate(await load('large', ALONE), 3)).toBe(-3);
  });

  it('is loaded while the others go on, and takes traffic when it is loaded', async () => {
    await start();
    const small = await load('small');
    let loaded = false;
    const loading = load('large', ALONE).then((model) => {
      loaded = true;
      return model;
    });
    const pid = await pidOf('large');
    process.kill(pid, 'SIGSTOP');
    for (let i = 1; i <= 20; i++) expect(await negate(small, i)).toBe(-i);
    expect(loaded).toBe(false);
    process.kill(pid, 'SIGCONT');
    expect(await negate(await loading, 1)).toBe(-1);
  });

  it('is loaded again into a new process when its own is killed; the shared ones stay', async () => {
    await start({ spareRunners: 1 });
    const [small, large] = [await load('small'), await load('large', ALONE)];
    expect([await negate(small, 1), await negate(large, 1)]).toEqual([-1, -1]);
    const shared = await pidOf(undefined);
    process.kill(await pidOf('large'), 'SIGKILL');
    expect(await Promise.all([negate(large, 2), negate(small, 2)])).toEqual([-2, -2]);
    expect(runnersOf('large')).toMatchObject([{ restarts: 1 }]);
    expect(runnersOf(undefined)).toMatchObject([{ pid: shared, restarts: 0 }]);
  });

  it('leaves no process when it cannot be loaded', async () => {
    await start();
    const refused = load('broken', ALONE, Buffer.alloc(1000, 'x'));
    await expect(refused).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(runnersOf('broken')).toEqual([]);
  });

  it('is loaded beside the others when there are too many processes', async () => {
    await start({ ownRunners: 1 });
    await load('one', ALONE);
    const two = await load('two', ALONE);
    expect(await negate(two, 1)).toBe(-1);
    expect(runnersOf('two')).toEqual([]);
    expect(two.totalBytes).toBe(LARGE);
  });
});

describe('a model in shared runners', () => {
  it('stays in those that hold it where the successor of one cannot load it', async () => {
    await start({ runners: 2 });
    const small = await load('small');
    const file = path.join(folder, 'touched.onnx');
    writeFileSync(file, unaryModel('Neg'));
    let rechecks = 0;
    const recheck = (): Promise<void> => {
      rechecks++;
      return Promise.reject(new Error('the file is not what it was'));
    };
    const touched = await test.runtime.load({ key: 'touched', path: file, recheck }, OPTIONS);
    const [killed, other] = runnersOf(undefined).map(({ pid }) => pid!);
    process.kill(killed!, 'SIGKILL');
    await until(() => rechecks === 1);
    const both = Array.from({ length: 20 }, async (_, i) => [await negate(small, i + 1), await negate(touched, i + 1)]);
    expect(await Promise.all(both)).toEqual(both.map((_, i) => [-i - 1, -i - 1]));
    expect([touched.givenUp, rechecks]).toEqual([false, 1]);
    process.kill(other!, 'SIGKILL');
    await until(() => touched.givenUp);
    expect(await negate(small, 1)).toBe(-1);
  });
});

describe('an own runner whose requests wait', () => {
  const QUICK = { runners: 2, growAfterMs: 40, shrinkAfterMs: 100 };
  /** Holds a runner until it is aborted by the end of the test: some rounds of work. */
  const busy = (model: LoadedModel, rounds: bigint): Promise<readonly Tensor[]> => {
    const scalar = (name: string, value: bigint): Tensor => {
      return { name, datatype: 'INT64', shape: [], data: BigInt64Array.of(value) };
    };
    const inputs = [scalar('x', 0n), scalar('trips', rounds)];
    return model.infer({ inputs, rows: 0, deadlineAt: performance.now() + 60_000, aborted: false });
  };

  it('gets another one beside it, which goes when it is not needed any more', async () => {
    await start(QUICK);
    const model = await load('loop', ALONE, loopModel());
    const work = Array.from({ length: 12 }, () => busy(model, 200_000n));
    await until(() => runnersOf('loop').every(({ state }) => state === 'busy') && runnersOf('loop').length === 2);
    expect(model.totalBytes).toBe(2 * (PROCESS_BYTES + LARGE));
    await Promise.all(work);
    await until(() => runnersOf('loop').length === 1);
    expect(await busy(model, 1n)).toHaveLength(1);
    expect(await model.shrink()).toBe(false);
  });

  it('gets none where there is no memory for it, and gives the second one up when it is asked to', async () => {
    await start({ ...QUICK, shrinkAfterMs: 60_000 });
    const asked: number[] = [];
    let room = false;
    const mayGrow = (bytes: number): boolean => {
      asked.push(bytes);
      return room;
    };
    const model = await load('loop', { ...ALONE, mayGrow }, loopModel());
    const refused = Array.from({ length: 6 }, () => busy(model, 200_000n));
    await until(() => asked.length > 1);
    expect(runnersOf('loop')).toHaveLength(1);
    expect(asked[0]).toBe(PROCESS_BYTES + LARGE);
    room = true;
    const granted = Array.from({ length: 6 }, () => busy(model, 200_000n));
    await until(() => runnersOf('loop').length === 2);
    expect(await model.shrink()).toBe(true);
    expect(runnersOf('loop')).toHaveLength(1);
    expect(await Promise.all([...refused, ...granted])).toHaveLength(12);
  });

  it('may give the second one up while it is unloaded: both are told of the end', async () => {
    await start({ ...QUICK, shrinkAfterMs: 60_000 });
    const model = await load('loop', ALONE, loopModel());
    while (runnersOf('loop').length < 2) await Promise.all(Array.from({ length: 12 }, () => busy(model, 200_000n)));
    await until(() => runnersOf('loop').every(({ state }) => state === 'idle'));
    const pids = runnersOf('loop').map(({ pid }) => pid!);
    expect(await Promise.all([model.shrink(), model.unload()])).toEqual([true, undefined]);
    expect(pids.map(alive)).toEqual([false, false]);
  });

  it('is unloaded beside its successor of the same name, each by itself', async () => {
    await start();
    const old = await load('loop', ALONE, loopModel());
    const work = busy(old, 1_000_000n);
    await until(() => runnersOf('loop')[0]?.state === 'busy');
    const unloading = old.unload();
    const successor = await load('loop', ALONE, loopModel());
    await Promise.all([unloading, successor.unload()]);
    expect([test.runtime.status().models, runnersOf('loop')]).toEqual([0, []]);
    await expect(busy(successor, 1n)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(await work).toHaveLength(1);
  });

  it('keeps the one that holds it where a further one cannot load it, and is given up only when that ends', async () => {
    await start({ ...QUICK, shrinkAfterMs: 60_000 });
    const file = path.join(folder, 'changed.onnx');
    writeFileSync(file, loopModel());
    let rechecks = 0;
    const recheck = (): Promise<void> => {
      rechecks++;
      return Promise.reject(new Error('the file is not what it was'));
    };
    const model = await test.runtime.load({ key: 'changed', path: file, recheck }, { ...OPTIONS, ...ALONE });
    const pid = await pidOf('changed');
    const work = (): Promise<unknown> => Promise.all(Array.from({ length: 12 }, () => busy(model, 200_000n)));
    while (rechecks === 0) await work();
    await until(() => runnersOf('changed').length === 1);
    await work();
    expect([rechecks, model.givenUp, await pidOf('changed')]).toEqual([1, false, pid]);
    process.kill(pid, 'SIGKILL');
    await until(() => model.givenUp);
    await expect(busy(model, 1n)).rejects.toMatchObject({ code: 'model_not_ready' });
  });
});
