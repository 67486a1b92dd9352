import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loopModel, unaryModel } from '@sibyl/onnx/testing';
import type { Tensor } from '@sibyl/protocol';
import type { InferenceOptions } from './inference-options';
import { NO_OBSERVER, type RunnerLoss } from './inference-observer';
import type { LoadOptions, LoadedModel } from './model-runtime';
import { builtRunner, startTestRuntime, type TestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-crashes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 64, warmup: [] };
/** Numbers on which the test's runner ends, and how. */
const SEGFAULT = 666;
const ABORT = 667;
const EXIT = 668;
/** On this one it is sent a signal, as the kernel's OOM killer does. */
const KILLED = 669;
const QUICK = { crashCoolDownMs: 300 };

let test: TestRuntime;
let lost: [RunnerLoss, string | undefined][];
afterEach(() => test.close());

/**
 * The real runner, in which a run ends the process where the inputs say so: the operators of this ONNX Runtime check all
 * that is known to have crashed older ones, so that no small model is left that does it.
 */
function crashingRunner(): string {
  const place = path.join(folder, 'runner.js');
  const built = (name: string): string => JSON.stringify(path.join(path.dirname(builtRunner()), name));
  writeFileSync(
    place,
    `const { OnnxSession } = require(${built('src/onnx-session.js')});
    const { run } = OnnxSession.prototype;
    const end = {
      ${SEGFAULT}: () => process.kill(process.pid, 'SIGSEGV'),
      ${ABORT}: () => process.abort(),
      ${EXIT}: () => process.exit(9),
      ${KILLED}: () => process.kill(process.pid, 'SIGKILL'),
    };
    OnnxSession.prototype.run = function (tensors) {
      for (const { data } of tensors) for (const number of data) end[number]?.();
      return run.call(this, tensors);
    };
    require(${built('main.js')});`,
  );
  return place;
}

async function start(changes: Partial<InferenceOptions> = {}): Promise<void> {
  lost = [];
  test = await startTestRuntime(
    { runnerPath: crashingRunner(), ...changes },
    { ...NO_OBSERVER, onRunnerLost: (reason, key) => lost.push([reason, key]) },
  );
}

function load(key: string, bytes = unaryModel('Neg')): Promise<LoadedModel> {
  const place = path.join(folder, `${key}.onnx`);
  writeFileSync(place, bytes);
  return test.runtime.load({ key, path: place }, OPTIONS);
}

async function ask(model: LoadedModel, number: number): Promise<number> {
  const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(number) };
  const deadlineAt = performance.now() + 20_000;
  const [y] = await model.infer({ inputs: [x], rows: 1, deadlineAt, aborted: false });
  return (y!.data as Float32Array)[0]!;
}

/** The answer, or the code of the error. */
const outcome = (model: LoadedModel, number: number): Promise<number | string> =>
  ask(model, number).catch((error: { code: string }) => error.code);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Runs what is asked in one batch: it waits while another model has the only runner. */
async function together(asked: () => Promise<number | string>[]): Promise<(number | string)[]> {
  const loop = await load('loop', loopModel());
  const scalar = (name: string, value: bigint): Tensor => {
    return { name, datatype: 'INT64', shape: [], data: BigInt64Array.of(value) };
  };
  const inputs = [scalar('x', 0n), scalar('trips', 200_000n)];
  const busy = loop.infer({ inputs, rows: 0, deadlineAt: performance.now() + 20_000, aborted: false });
  await until(() => test.runtime.status().runners[0]!.state === 'busy');
  const answers = asked();
  await busy;
  return Promise.all(answers);
}

describe('a request that ends its runner', () => {
  it('is found among many, and alone is told so', async () => {
    await start();
    const model = await load('neg');
    const numbers = Array.from({ length: 64 }, (_, i) => (i === 41 ? SEGFAULT : i));
    const answers = await together(() => numbers.map((number) => outcome(model, number)));
    expect(answers).toEqual(numbers.map((n) => (n === SEGFAULT ? 'model_crashed_on_input' : -n)));
    // The batch, an eighth of it, the request.
    expect(lost).toEqual(new Array(3).fill(['crashed', 'neg']));
    expect(model.statistics()).toMatchObject({ requests: 63, failures: 1, unavailable: undefined });
  });

  it.each([
    ['a crash', ABORT, 1],
    ['an exit', EXIT, 1],
    ['a signal that may be from outside', KILLED, 2],
  ])('by %s is to blame after so many attempts alone', async (_, number, losses) => {
    await start();
    const model = await load('neg');
    const refused = await ask(model, number).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'model_crashed_on_input',
      message: 'The process that ran the model ended on these inputs.',
    });
    expect(lost).toHaveLength(losses);
    expect(await ask(model, 1)).toBe(-1);
  });
});

describe('a version that ends its runners', () => {
  it('is refused for a while after three losses in a row; the other versions are not', async () => {
    await start();
    const model = await load('neg');
    const other = await load('other', unaryModel('Abs'));
    for (let i = 0; i < 3; i++) expect(await outcome(model, SEGFAULT)).toBe('model_crashed_on_input');
    const refused = await ask(model, 1).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'model_not_ready', retryAfterSeconds: 30 });
    expect(model.statistics().unavailable).toMatch(/several times/);
    expect(await ask(other, -1)).toBe(1);
    expect(other.statistics().unavailable).toBeUndefined();
    expect(lost).toHaveLength(3);
  });

  it('is not kept from its other requests by one that comes again and again', async () => {
    await start();
    const model = await load('neg');
    for (let i = 0; i < 5; i++) {
      expect(await outcome(model, SEGFAULT)).toBe('model_crashed_on_input');
      expect(await ask(model, i)).toBe(-i);
    }
  });

  it('is refused in spite of answers in between when it ends very many', async () => {
    await start({ crashesMost: 3 });
    const model = await load('neg');
    for (let i = 0; i < 3; i++) {
      expect(await ask(model, i)).toBe(-i);
      expect(await outcome(model, SEGFAULT)).toBe('model_crashed_on_input');
    }
    expect(await outcome(model, 1)).toBe('model_not_ready');
  });

  it('is tried with one request after the cool-down, and answers again if that one is answered', async () => {
    await start({ ...QUICK, crashesInARow: 1 });
    const model = await load('neg');
    const open = (): boolean => model.statistics().unavailable !== undefined;
    expect(await outcome(model, SEGFAULT)).toBe('model_crashed_on_input');
    expect(await outcome(model, 1)).toBe('model_not_ready');
    await untilTried(model, SEGFAULT, 'model_crashed_on_input');
    expect(open()).toBe(true);
    expect(await outcome(model, 1)).toBe('model_not_ready');
    await untilTried(model, 2, -2);
    expect(open()).toBe(false);
    expect(await Promise.all([3, 4].map((number) => ask(model, number)))).toEqual([-3, -4]);
  });

  it('refuses what waits when it is found out, and costs few runners until then', async () => {
    await start();
    const model = await load('neg');
    const answers = await together(() => Array.from({ length: 64 }, () => outcome(model, SEGFAULT)));
    expect(new Set(answers)).toEqual(new Set(['model_not_ready']));
    // The batch and three eighths of it: what the first of them loses says nothing new.
    expect(lost).toHaveLength(4);
  });
});

describe('a spare runner', () => {
  const spares = (): number => test.runtime.status().spareRunners;
  const serving = (): number | undefined => test.runtime.status().runners[0]!.pid;
  const first = (): number => {
    const pid = serving();
    // To 0 a signal would go to the whole process group.
    if (pid === undefined) throw new Error('no runner is up');
    return pid;
  };
  /** Children of this process that are in no slot. */
  const others = (): number[] =>
    readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
      .split(' ')
      .map(Number)
      .filter((pid) => pid !== 0 && pid !== serving());

  /** A runtime that has answered something: before that it wants no spare. */
  const startAndAsk = async (): Promise<void> => {
    await start({ spareRunners: 1 });
    await ask(await load('first'), 1);
  };

  it('is not started before something was asked', async () => {
    await start({ spareRunners: 1 });
    const model = await load('idle');
    // Several times what its start is put off by.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(others()).toEqual([]);
    await ask(model, 1);
    await until(() => spares() === 1);
  });

  it('takes the place of one that is killed, with all models, and is followed by another', async () => {
    await startAndAsk();
    const models = await Promise.all(['Neg', 'Abs'].map((operator) => load(operator, unaryModel(operator))));
    for (let kills = 0; kills < 3; kills++) {
      await until(() => spares() === 1);
      const [spare] = others();
      process.kill(first(), 'SIGKILL');
      expect(await Promise.all(models.map((model) => ask(model, -2)))).toEqual([2, 2]);
      expect(first()).toBe(spare);
    }
  });

  it('that is killed itself is replaced', async () => {
    await startAndAsk();
    await until(() => spares() === 1);
    const [spare] = others();
    process.kill(spare!, 'SIGKILL');
    await until(() => spares() === 1 && others()[0] !== spare);
    expect(lost).toEqual([]);
  });

  it('that somebody has suspended too, as the runner whose place it takes, costs nobody an answer', async () => {
    await start({ spareRunners: 1, runLimitMs: 200 });
    const model = await load('neg');
    await ask(model, 1);
    await until(() => spares() === 1);
    for (const pid of [first(), ...others()]) process.kill(pid, 'SIGSTOP');
    expect(await ask(model, 4)).toBe(-4);
    // Its load would have had two minutes.
    expect(lost).toEqual([
      ['crashed', 'neg'],
      ['crashed', undefined],
    ]);
  });

  it('that is not wanted is not started, and one that is ends with the runtime', async () => {
    await startAndAsk();
    await until(() => spares() === 1);
    const spare = others();
    await test.close();
    expect(others()).not.toEqual(expect.arrayContaining(spare));
    await start({ spareRunners: 0 });
    await ask(await load('neg'), 1);
    expect(others()).toEqual([]);
  });

  it('is taken while it starts when runners end one after another', async () => {
    await startAndAsk();
    const model = await load('neg');
    for (let kills = 0; kills < 4; kills++) {
      process.kill(first(), 'SIGKILL');
      await until(() => test.runtime.status().runners[0]!.restarts === kills + 1 && test.runtime.status().ready);
    }
    expect(await ask(model, 2)).toBe(-2);
  });
});

/** Asks until the answer is not that the version is refused. */
async function untilTried(model: LoadedModel, number: number, expected: number | string): Promise<void> {
  let answer = await outcome(model, number);
  while (answer === 'model_not_ready') {
    await new Promise((resolve) => setTimeout(resolve, 10));
    answer = await outcome(model, number);
  }
  expect(answer).toBe(expected);
}
