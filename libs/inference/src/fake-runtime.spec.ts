import type { Tensor } from '@sibyl/protocol';
import { FakeRuntime, describeModelRuntime, type FakeModel } from './testing';

const doubling: FakeModel = {
  signature: {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 1] }],
  },
  respond: ([x]) => [{ ...x!, name: 'y', data: (x!.data as Float32Array).map((value) => 2 * value) } as Tensor],
};

const inputs = (rows: readonly number[]): Tensor[] => [
  { name: 'x', datatype: 'FP32', shape: [rows.length, 1], data: Float32Array.from(rows) },
];

describeModelRuntime('FakeRuntime', async () => {
  const runtime = new FakeRuntime(doubling);
  const broken = { key: 'broken', path: '' };
  const { DomainError } = await import('@sibyl/kernel');
  runtime.define('broken', {
    ...doubling,
    loadError: new DomainError('model_not_ready', 'no'),
    trialError: new DomainError('model_rejected', 'no'),
  });
  return { runtime, broken, inputName: 'x', model: { key: 'double', path: '' }, inputs, answer: (row) => [2 * row] };
});

describe('FakeRuntime', () => {
  it('holds answers until it is told to go on', async () => {
    const runtime = new FakeRuntime(doubling);
    const options = { devicePolicy: 'cpu_only', batchable: true, maxBatchRows: 8, warmup: [] } as const;
    const model = await runtime.load({ key: 'a', path: '' }, options);
    runtime.hold();
    let answered = false;
    const request = { inputs: inputs([1]), rows: 1, deadlineAt: performance.now() + 10_000, aborted: false };
    const answer = model.infer(request).finally(() => (answered = true));
    await new Promise(setImmediate);
    expect([answered, runtime.waiting]).toEqual([false, 1]);
    runtime.release();
    expect((await answer)[0]?.data).toEqual(Float32Array.of(2));
    expect(runtime.loads).toEqual(['a']);
  });
});
