import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Tensor } from '@sibyl/protocol';
import { NO_OBSERVER, type RunnerLoss } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import type { LoadOptions } from './model-runtime';
import { builtRunner, startTestRuntime, type TestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-lies-'));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS: LoadOptions = { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 8, warmup: [] };
const X: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) };

let test: TestRuntime;
let lost: RunnerLoss[];
afterEach(() => test.close());

/** A runner that says it is ready and answers with whatever `answer`, a JavaScript expression over `frame`, gives. */
async function start(answer: string, changes: Partial<InferenceOptions> = {}): Promise<void> {
  const protocol = path.resolve(builtRunner(), '../../../libs/protocol/src/index.js');
  const runnerPath = path.join(folder, 'runner.js');
  writeFileSync(
    runnerPath,
    `const { FrameDecoder, FrameEncoder, FRAME_TYPES: T } = require(${JSON.stringify(protocol)});
    const socket = new (require('net').Socket)({ fd: 3 });
    const encoder = new FrameEncoder(1e6);
    const decoder = new FrameDecoder(1e6);
    const say = (type, request, message) => Buffer.from(encoder.message(type, 1, request, message));
    const tensor = { name: 'x', datatype: 'FP32', shape: [-1] };
    const loaded = (frame) => say(T.loaded, frame.request, { provider: 'cpu', inputs: [tensor], outputs: [tensor], loadMs: 1, memoryBytes: 1 });
    socket.write(say(T.ready, 0, { runtime: '0', providers: ['cpu'] }));
    socket.on('end', () => process.exit(0));
    socket.on('data', (chunk) => {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame; frame = decoder.next()) socket.write(${answer});
    });`,
  );
  lost = [];
  test = await startTestRuntime(
    { runnerPath, ...changes },
    { ...NO_OBSERVER, onRunnerLost: (reason) => lost.push(reason) },
  );
}

const load = () => test.runtime.load({ key: 'model', path: __filename }, OPTIONS);
const ask = async (): Promise<unknown> =>
  (await load()).infer({ inputs: [X], rows: 1, deadlineAt: performance.now() + 20_000, aborted: false });
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
const answerRuns = (bytes: string): string => `frame.type === T.load ? loaded(frame) : ${bytes}`;

describe('a runner that lies', () => {
  it.each([
    ['sends bytes that are no frame', 'Buffer.alloc(64, 255)'],
    ['answers another request', 'say(T.outputs, frame.request + 1)'],
    [
      'sends tensors that are none',
      '(() => { const f = say(T.outputs, frame.request, { a: "long enough for a header" }); return f; })()',
    ],
    [
      'fails with a message that is none',
      '(() => { const f = say(T.runFailed, frame.request); f[16] = 63; return f; })()',
    ],
  ])('and %s is killed, and its request is not answered with it', async (_, bytes) => {
    await start(answerRuns(bytes));
    await expect(ask()).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(new Set(lost)).toEqual(new Set(['protocol']));
  });

  it('about a load is killed, and the load is model_not_ready', async () => {
    await start('Buffer.alloc(64, 255)');
    await expect(load()).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(lost).toEqual(['protocol', 'protocol']);
  });

  it('and answers a load with something else has not loaded it', async () => {
    await start('say(T.unloaded, frame.request)');
    await expect(load()).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  it('about a session that it does not have fails the request: model_not_ready', async () => {
    await start(answerRuns('say(T.runFailed, frame.request, { reason: "unknown_session", message: "" })'));
    await expect(ask()).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  it('about the size of its answer fails the request: model_run_failed', async () => {
    await start(answerRuns('say(T.runFailed, frame.request, { reason: "too_large", message: "" })'));
    await expect(ask()).rejects.toMatchObject({ code: 'model_run_failed' });
  });

  it('about providers fails the load: execution_provider_unavailable', async () => {
    await start('say(T.loadFailed, frame.request, { reason: "provider", message: "" })');
    await expect(load()).rejects.toMatchObject({ code: 'execution_provider_unavailable' });
  });

  it('in a trial has its model rejected', async () => {
    await start('Buffer.alloc(64, 255)');
    const trial = test.runtime.trial({ key: 'model', path: '/nowhere' }, { samples: [] });
    await expect(trial).rejects.toMatchObject({ code: 'model_rejected', faults: [{ expected: 'readable answers' }] });
  });

  it('in a trial, about a sample, has its model rejected', async () => {
    await start(answerRuns('say(T.outputs, frame.request, { a: "long enough for a header" })'));
    const trial = test.runtime.trial({ key: 'model', path: '/nowhere' }, { samples: [[X]] });
    await expect(trial).rejects.toMatchObject({ code: 'model_rejected', faults: [{ pointer: '/model.onnx' }] });
  });

  it('and ends in each load too has its model refused; it is tried later, and serves if that goes well', async () => {
    const ill = path.join(folder, 'ill');
    const refusesToRun = `say(T.runFailed, frame.request, { reason: 'model', message: '' })`;
    await start(`require('fs').existsSync(${JSON.stringify(ill)}) ? process.exit(1) : ${answerRuns(refusesToRun)}`, {
      restartDelayMs: 1,
      crashCoolDownMs: 500,
    });
    const model = await load();
    writeFileSync(ill, '');
    await expect(ask()).rejects.toMatchObject({ code: 'model_crashed_on_input' });
    while (model.statistics().unavailable === undefined) await pause();
    // The run, and two loads.
    expect(lost).toEqual(['crashed', 'crashed', 'crashed']);
    await expect(ask()).rejects.toMatchObject({ code: 'model_not_ready', retryAfterSeconds: 1 });
    while (!test.runtime.status().ready) await pause();
    rmSync(ill);
    let code = 'model_not_ready';
    for (; code === 'model_not_ready'; await pause())
      code = (await ask().catch((error: { code: string }) => error.code)) as string;
    expect(code).toBe('model_run_failed');
    expect(model.statistics().unavailable).toBeUndefined();
    expect(lost).toHaveLength(3);
  });
});
