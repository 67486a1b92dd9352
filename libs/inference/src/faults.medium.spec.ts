import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  attribute,
  encodeModel,
  endlessModel,
  externalDataModel,
  graph,
  hugeOutputModel,
  loopModel,
  node,
  tensor,
  unaryModel,
  value,
} from '@sibyl/onnx/testing';
import type { DomainError } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import type { InferenceOptions } from './inference-options';
import { NO_OBSERVER, type RunnerLoss } from './inference-observer';
import type { InferRequest, LoadOptions, LoadedModel, TrialLimits, TrialPhase } from './model-runtime';
import { startTestRuntime, type TestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 64, warmup: [] };
const ENDLESS = 2n ** 62n;
const MIB = 1024 * 1024;

let test: TestRuntime;
let lost: [RunnerLoss, string | undefined][];
/** Resolves when the next runner is ready. */
let nextReady: () => Promise<void>;

async function start(changes: Partial<InferenceOptions> = {}): Promise<void> {
  let waiters: (() => void)[] = [];
  lost = [];
  nextReady = () => new Promise((resolve) => waiters.push(resolve));
  test = await startTestRuntime(changes, {
    ...NO_OBSERVER,
    onRunnerLost: (reason, key) => lost.push([reason, key]),
    onRunnerReady: () => {
      for (const go of waiters) go();
      waiters = [];
    },
  });
}
afterEach(() => test.close());

function file(key: string, bytes: Buffer): { key: string; path: string } {
  const place = path.join(folder, `${key}.onnx`);
  writeFileSync(place, bytes);
  return { key, path: place };
}
const load = (key: string, bytes: Buffer, options: Partial<LoadOptions> = {}): Promise<LoadedModel> =>
  test.runtime.load(file(key, bytes), { ...OPTIONS, ...options });

const request = (inputs: readonly Tensor[], rows: number, deadlineMs = 20_000): InferRequest => {
  return { inputs, rows, deadlineAt: performance.now() + deadlineMs, aborted: false };
};
const integers = (name: string, shape: readonly number[], ...values: bigint[]): Tensor => {
  return { name, datatype: 'INT64', shape, data: BigInt64Array.from(values) };
};
const negate = async (model: LoadedModel, number: number, deadlineMs?: number): Promise<number> => {
  const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(number) };
  const [y] = await model.infer(request([x], 1, deadlineMs));
  return (y!.data as Float32Array)[0]!;
};
const pids = (): number[] => test.runtime.status().runners.flatMap((runner) => runner.pid ?? []);
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Answers `x` (INT64 rows) with itself, after as many rounds as the largest row of its batch says. */
function patientModel(): Buffer {
  const body = graph({
    nodes: [node('Identity', ['condition_in'], ['condition_out']), node('Identity', ['state_in'], ['state_out'])],
    inputs: [value('i', 'INT64', []), value('condition_in', 'BOOL', []), value('state_in', 'INT64', [])],
    outputs: [value('condition_out', 'BOOL', []), value('state_out', 'INT64', [])],
  });
  return encodeModel({
    nodes: [
      node('ReduceMax', ['x'], ['trips'], { attributes: [attribute('keepdims', { i: 0 })] }),
      node('Loop', ['trips', 'true', 'zero'], ['nothing'], { attributes: [attribute('body', { g: body })] }),
      node('Add', ['x', 'nothing'], ['y']),
    ],
    initializers: [tensor('true', 'BOOL', [], [1]), tensor('zero', 'INT64', [], [0])],
    inputs: [value('x', 'INT64', [-1])],
    outputs: [value('y', 'INT64', [-1])],
  });
}

/** Fills as many elements (of 8 bytes) as `x` (INT64, one row) says, and looks at them in a loop: for ever, if there is more than one. */
function hungryModel(): Buffer {
  const body = graph({
    nodes: [
      node('Identity', ['condition_in'], ['condition_out']),
      node('ReduceMax', ['filled'], ['state_out'], { attributes: [attribute('keepdims', { i: 0 })] }),
    ],
    inputs: [value('i', 'INT64', []), value('condition_in', 'BOOL', []), value('state_in', 'INT64', [])],
    outputs: [value('condition_out', 'BOOL', []), value('state_out', 'INT64', [])],
  });
  return encodeModel({
    nodes: [
      node('ConstantOfShape', ['x'], ['filled'], {
        attributes: [attribute('value', { t: tensor('', 'INT64', [1], [0]) })],
      }),
      node('Sub', ['x', 'one'], ['more']),
      node('ReduceMax', ['more'], ['some'], { attributes: [attribute('keepdims', { i: 0 })] }),
      node('Mul', ['some', 'many'], ['trips']),
      node('Loop', ['trips', 'true', 'zero'], ['nothing'], { attributes: [attribute('body', { g: body })] }),
      node('Mul', ['x', 'nothing'], ['y']),
    ],
    initializers: [
      tensor('one', 'INT64', [1], [1]),
      tensor('many', 'INT64', [], [1_000_000_000]),
      tensor('true', 'BOOL', [], [1]),
      tensor('zero', 'INT64', [], [0]),
    ],
    inputs: [value('x', 'INT64', [1])],
    outputs: [value('y', 'INT64', [1])],
  });
}

describe('a batch that never ends', () => {
  it('costs its cause a deadline_exceeded, its neighbours a second run and other models a wait', async () => {
    await start({ runLimitMs: 400 });
    const patient = await load('patient', patientModel());
    const other = await load('other', unaryModel('Neg'));
    const ask = (trips: bigint): Promise<readonly Tensor[]> => patient.infer(request([integers('x', [1], trips)], 1));
    const [before] = pids();
    const ready = nextReady();
    const answers = Promise.allSettled([ask(1n), ask(ENDLESS), ask(2n), ask(3n)]);
    const others = Array.from({ length: 20 }, (_, i) => negate(other, i));
    const settled = await answers;
    expect(settled.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect((settled[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'deadline_exceeded' });
    const neighbour = (settled[3] as PromiseFulfilledResult<readonly Tensor[]>).value;
    expect(neighbour[0]?.data).toEqual(BigInt64Array.of(3n));
    expect(await Promise.all(others)).toEqual(others.map((_, i) => -i));
    await ready;
    expect(lost).toContainEqual(['overran', 'patient']);
    expect(pids()).not.toContain(before);
    expect(alive(before!)).toBe(false);
    // The batch once, and the endless request by itself.
    expect(lost).toHaveLength(2);
  });

  it('answers its deadline at once, and is killed at its limit', async () => {
    await start({ runLimitMs: 500 });
    const endless = await load('endless', endlessModel());
    const other = await load('other', unaryModel('Neg'));
    const ready = nextReady();
    const late = endless.infer(request([integers('x', [], 0n)], 0, 50));
    const waiting = negate(other, 5);
    await expect(late).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(lost).toEqual([]);
    expect(await waiting).toBe(-5);
    await ready;
    expect(lost).toEqual([['overran', 'endless']]);
  });

  it('takes the limit that its model was loaded with', async () => {
    await start({ runLimitMs: 60_000 });
    const endless = await load('endless', endlessModel(), { runLimitMs: 100 });
    const ask = endless.infer(request([integers('x', [], 0n)], 0));
    // Its own deadline was twenty seconds away.
    await expect(ask).rejects.toMatchObject({
      code: 'deadline_exceeded',
      message: expect.stringContaining('limit of one run') as string,
    });
    expect(lost).toEqual([['overran', 'endless']]);
  });
});

describe('a runner that is killed', () => {
  it('under traffic costs nobody an answer', async () => {
    await start({ runners: 2 });
    const model = await load('neg', unaryModel('Neg'));
    let stop = false;
    let answered = 0;
    const clients = Array.from({ length: 16 }, async (_, client) => {
      for (let i = 0; !stop; i++) {
        const number = client * 1000 + (i % 1000);
        if ((await negate(model, number)) !== -number) throw new Error('a wrong answer');
        answered++;
      }
    });
    for (let kills = 0; kills < 5; kills++) {
      const ready = nextReady();
      process.kill(pids()[0]!, 'SIGKILL');
      await ready;
    }
    const answeredBefore = answered;
    await negate(model, 1);
    stop = true;
    await Promise.all(clients);
    expect(answered).toBeGreaterThanOrEqual(answeredBefore);
    expect(lost.filter(([reason]) => reason === 'crashed')).toHaveLength(5);
    expect(test.runtime.status().runners.reduce((sum, runner) => sum + runner.restarts, 0)).toBe(5);
  });

  it('after somebody has suspended it costs nobody an answer', async () => {
    await start({ runLimitMs: 200 });
    const model = await load('neg', unaryModel('Neg'));
    process.kill(pids()[0]!, 'SIGSTOP');
    expect(await negate(model, 4)).toBe(-4);
    expect(lost).toEqual([['crashed', 'neg']]);
  });

  it('with one request twice ends that request, which may have been the cause', async () => {
    await start();
    const loop = await load('loop', loopModel());
    const ask = loop.infer(request([integers('x', [], 0n), integers('trips', [], ENDLESS)], 0));
    ask.catch(() => undefined);
    await untilBusy();
    const ready = nextReady();
    process.kill(pids()[0]!, 'SIGTERM');
    process.kill(pids()[0]!, 'SIGKILL');
    await ready;
    await untilBusy();
    process.kill(pids()[0]!, 'SIGKILL');
    await expect(ask).rejects.toMatchObject({ code: 'model_crashed_on_input' });
    expect(loop.statistics()).toMatchObject({ requests: 0, failures: 1 });
  });

  it('is replaced, its models loaded again', async () => {
    await start();
    const models = await Promise.all(
      ['Neg', 'Abs', 'Ceil', 'Floor'].map((operator) => load(operator, unaryModel(operator))),
    );
    const ready = nextReady();
    process.kill(pids()[0]!, 'SIGKILL');
    await ready;
    expect(await negate(models[0]!, 2)).toBe(-2);
    expect(await negate(models[1]!, -2)).toBe(2);
    expect(test.runtime.status()).toMatchObject({ ready: true, models: 4, runners: [{ restarts: 1 }] });
  });

  it('while it loads a model is replaced, and the load goes on', async () => {
    await start();
    const loading = load('neg', unaryModel('Neg'));
    process.kill(pids()[0]!, 'SIGKILL');
    expect(await negate(await loading, 3)).toBe(-3);
  });
});

describe('a pool', () => {
  it('waits ever longer between runners that end at their start, and says that none is ready', async () => {
    const starts = path.join(folder, 'starts');
    const broken = path.join(folder, 'broken-runner.js');
    writeFileSync(broken, `require('fs').appendFileSync(${JSON.stringify(starts)}, '.'); process.exit(7);`);
    await start();
    const failing = startTestRuntime({ runnerPath: broken, startLimitMs: 1500, restartDelayMs: 200 });
    await expect(failing).rejects.toMatchObject({ code: 'model_not_ready' });
    // At 0, 0, 200, 600 and 1400 ms and the time that each takes; without a pause it would be dozens.
    const count = statSync(starts).size;
    expect(count).toBeGreaterThanOrEqual(2);
    expect(count).toBeLessThanOrEqual(5);
  });

  it('gives up a model that cannot be loaded again, and serves the others', async () => {
    await start();
    const gone = file('gone', unaryModel('Neg'));
    const model = await test.runtime.load(gone, OPTIONS);
    const other = await load('other', unaryModel('Abs'));
    rmSync(gone.path);
    const ready = nextReady();
    process.kill(pids()[0]!, 'SIGKILL');
    await ready;
    await expect(negate(model, 1)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(await negate(other, -1)).toBe(1);
  });

  it('kills a runner that takes more memory than allowed', async () => {
    await start({ runnerMemoryBytes: 300 * MIB, runnerGroups: 'off', runLimitMs: 60_000 });
    const hungry = await load('hungry', hungryModel());
    const ask = (elements: bigint): Promise<readonly Tensor[]> =>
      hungry.infer(request([integers('x', [1], elements)], 1, 60_000));
    // So it is not the runner itself that is too large, and neither is its model.
    expect((await ask(1n))[0]?.data).toEqual(BigInt64Array.of(0n));
    expect(lost).toEqual([]);
    await expect(ask(100_000_000n)).rejects.toMatchObject({
      code: 'model_crashed_on_input',
      message: expect.stringContaining('memory') as string,
    });
    // The second time because it might have been the memory of other models.
    expect(lost).toEqual([
      ['memory', 'hungry'],
      ['memory', 'hungry'],
    ]);
  });

  it('stops in order: what runs is answered, what comes is refused, no process stays', async () => {
    await start({ runners: 2 });
    const loop = await load('loop', loopModel());
    const running = loop.infer(request([integers('x', [], 1n), integers('trips', [], 50_000n)], 0));
    await untilBusy();
    const before = pids();
    const closed = test.close();
    await expect(negate(loop, 1)).rejects.toMatchObject({ code: 'shutting_down' });
    expect((await running)[0]?.data).toEqual(BigInt64Array.of(50_001n));
    await closed;
    expect(before.map(alive)).toEqual([false, false]);
  });

  it('stops within its limit when a model does not', async () => {
    await start({ drainLimitMs: 50, runLimitMs: 60_000 });
    const endless = await load('endless', endlessModel());
    const ask = endless.infer(request([integers('x', [], 0n)], 0));
    ask.catch(() => undefined);
    await untilBusy();
    const [pid] = pids();
    await test.close();
    await expect(ask).rejects.toMatchObject({ code: 'shutting_down' });
    expect(alive(pid!)).toBe(false);
  });
});

describe('a runner process', () => {
  it('has nothing of ours in its environment, and an empty working folder that it cannot fill', async () => {
    process.env['SIBYL_TEST_SECRET'] = 'not for runners';
    await start();
    const [pid] = pids();
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
    expect(new Set(environment.map((line) => line.split('=')[0]))).toEqual(
      new Set(['GLIBC_TUNABLES', 'LC_ALL', 'MALLOC_ARENA_MAX', 'TZ']),
    );
    const cwd = readlinkSync(`/proc/${pid}/cwd`);
    expect(cwd).toBe(test.options.workFolder);
    expect(readdirSync(cwd)).toEqual([]);
    expect(Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'))).toBe(900);
  });

  it('is not started in a folder that holds something', async () => {
    await start();
    const { workFolder } = test.options;
    writeFileSync(path.join(workFolder, '.env'), 'secret');
    await expect(startTestRuntime({ workFolder })).rejects.toThrow('must be empty');
  });

  it('gets a working folder that only we can enter', async () => {
    const workFolder = path.join(folder, 'work');
    await start({ workFolder });
    expect(statSync(workFolder).mode & 0o777).toBe(0o500);
  });
});

describe('a trial', () => {
  it('rejects garbage, and serving goes on', async () => {
    await start();
    const model = await load('neg', unaryModel('Neg'));
    const garbage = file('garbage', Buffer.alloc(5000, 'garbage '));
    const trial = await test.runtime.trial(garbage, { samples: [] }).catch((error: unknown) => error);
    expect(trial).toMatchObject({ code: 'model_rejected', faults: [{ pointer: '/model.onnx' }] });
    expect(JSON.stringify([trial, (trial as Error).message])).not.toContain(folder);
    expect(await negate(model, 1)).toBe(-1);
    expect(lost).toEqual([]);
  });

  it('says what the runtime said of a model that it refuses, in bounds and without a path of this machine', async () => {
    await start();
    const heard = async (bytes: Buffer, samples: Tensor[][] = []): Promise<string> => {
      const error = await test.runtime.trial(file('refused', bytes), { samples }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'model_rejected' });
      const { received = '' } = (error as DomainError).faults?.[0] ?? {};
      expect(received).not.toContain(folder);
      expect(received.length).toBeLessThanOrEqual(301);
      return received;
    };
    expect(await heard(unaryModel('NoSuchOperator'))).toMatch(/NoSuchOperator/);
    expect(await heard(Buffer.alloc(5000, 'garbage '))).toMatch(/refused\.onnx.*Protobuf parsing failed/);
    expect(await heard(externalDataModel({ location: 'weights.bin', offset: '0', length: '8' }))).toMatch(
      /weights\.bin/,
    );
    expect(
      await heard(unaryModel('Neg'), [[{ name: 'x', datatype: 'FP32', shape: [1, 1], data: Float32Array.of(1) }]]),
    ).toMatch(/rank/);
  });

  it('rejects a model that takes too long, and kills its process', async () => {
    await start();
    const endless = file('endless', endlessModel());
    const trial = test.runtime.trial(endless, { samples: [[integers('x', [], 0n)]] }, limitOf('samples', 600));
    trial.catch(() => undefined);
    const pid = await otherChild(pids());
    await expect(trial).rejects.toMatchObject({
      code: 'model_rejected',
      message: 'The model was too slow.',
      faults: [{ expected: 'loaded and tried within 60 s' }],
    });
    expect(alive(pid)).toBe(false);
  });

  it('rejects a model that takes too much memory, and kills its process', async () => {
    await start();
    const bomb = file('bomb', hugeOutputModel(400_000_000n));
    const one: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) };
    const trial = test.runtime.trial(bomb, { samples: [[one]] }, { memoryBytes: 300 * MIB });
    await expect(trial).rejects.toMatchObject({
      code: 'model_rejected',
      message: 'The model needs too much memory.',
      faults: [{ expected: 'at most 300 MiB' }],
    });
  });

  it('rejects a model without samples whose first run takes too long or too much, and no later run of one', async () => {
    await start();
    const endless = file('endless', endlessModel());
    const probes = [[integers('x', [], 0n)]];
    await expect(test.runtime.trial(endless, { samples: [], probes }, limitOf('probes', 600))).rejects.toMatchObject({
      message: 'The model was too slow.',
    });
    const bomb = file('bomb', hugeOutputModel(400_000_000n));
    const one: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) };
    const memoryBytes = 300 * MIB;
    await expect(test.runtime.trial(bomb, { samples: [], probes: [[one]] }, { memoryBytes })).rejects.toMatchObject({
      message: 'The model needs too much memory.',
    });
    const loop = file('loop', loopModel());
    const rounds = (trips: bigint): Tensor[] => [integers('x', [], 0n), integers('trips', [], trips)];
    const later = { samples: [], probes: [rounds(1n), rounds(2n ** 62n)] };
    expect(
      (await test.runtime.trial(loop, later, limitOf('probes', 2_000))).probes.map((each) => each !== undefined),
    ).toEqual([true, false]);
  });

  it('rejects a model that crashes its process', async () => {
    await start();
    const endless = file('endless', endlessModel());
    const trial = test.runtime.trial(endless, { samples: [[integers('x', [], 0n)]] });
    trial.catch(() => undefined);
    const pid = await otherChild(pids());
    await untilThreadsOf(pid);
    process.kill(pid, 'SIGSEGV');
    await expect(trial).rejects.toMatchObject({
      code: 'model_rejected',
      faults: [{ received: 'it ended by SIGSEGV' }],
    });
  });

  it('names the sample that cannot be computed or does not fit', async () => {
    await start();
    const loop = file('loop', loopModel());
    const good = [integers('x', [], 0n), integers('trips', [], 1n)];
    const trial = test.runtime.trial(loop, { samples: [good, [integers('x', [], 0n)]] });
    await expect(trial).rejects.toMatchObject({
      code: 'model_rejected',
      faults: [{ pointer: '/golden.json/samples/1' }],
    });
    const unknown = test.runtime.trial(loop, { samples: [[integers('nobody', [], 0n)]] });
    await expect(unknown).rejects.toMatchObject({
      code: 'model_rejected',
      faults: [{ pointer: '/golden.json/samples/0', expected: 'inputs among x, trips' }],
    });
  });

  it('waits for its turn, up to a limit, and says nothing about the model when the server stops', async () => {
    await start({ trials: 1, trialQueue: 1 });
    const endless = file('endless', endlessModel());
    const samples = [[integers('x', [], 0n)]];
    const running = test.runtime.trial(endless, { samples }).catch((error: unknown) => error);
    const waiting = test.runtime.trial(endless, { samples }).catch((error: unknown) => error);
    await expect(test.runtime.trial(endless, { samples })).rejects.toMatchObject({ code: 'queue_full' });
    await test.close();
    expect(await running).toMatchObject({ code: 'shutting_down' });
    expect(await waiting).toMatchObject({ code: 'shutting_down' });
  });
});

/** A limit of a minute, of which `leftMs` are left when a phase begins: what a busy machine takes for the start of a process is not in it. */
function limitOf(last: TrialPhase, leftMs: number): TrialLimits {
  const limitMs = 60_000;
  const { clock } = test;
  const begun = clock.monotonic();
  const onPhase = (phase: TrialPhase): void => {
    if (phase === last) clock.pass(begun + limitMs - leftMs - clock.monotonic());
  };
  return { limitMs, onPhase };
}

/** Event-loop turns until a condition holds; the test's own limit ends it otherwise. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const untilBusy = (): Promise<void> =>
  until(() => test.runtime.status().runners.some((runner) => runner.state === 'busy'));

/** A child of this process that is not one of `known`. */
async function otherChild(known: readonly number[]): Promise<number> {
  const children = (): number[] =>
    readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number)
      .filter((pid) => !known.includes(pid));
  await until(() => children().length > 0);
  return children()[0]!;
}

/** Until a process uses the processor for long enough to be past its start: it is in the endless run. */
const untilThreadsOf = (pid: number): Promise<void> =>
  until(() => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[13]) > 60);
