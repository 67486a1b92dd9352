import { DomainError } from '@sibyl/kernel';
import type { InferReceiver, InferRequest } from '@sibyl/inference';
import type { Tensor, TensorSpec } from '@sibyl/protocol';
import { aReport } from '@sibyl/registry/testing';
import { fixedBatchOf, runInFixedBatches } from './fixed-batch';

const spec = (...shape: number[]): TensorSpec => ({ name: 'x', datatype: 'FP32', shape });
const trial = (rowsIndependent: boolean) =>
  aReport({ trial: { provider: 'cpu', loadMs: 1, memoryBytes: 1, observedOutputs: [], rowsIndependent } });

describe('the batch that a file fixes', () => {
  const fixed = (inputs: TensorSpec[], outputs: TensorSpec[], report = trial(true)) =>
    fixedBatchOf({ signature: { inputs, outputs }, report });

  it.each([
    ['one row', [spec(1, 4)], [spec(1, 3)], 1],
    ['as many as every input and output begin with', [spec(8, 4), spec(8)], [spec(8, 3), spec(8)], 8],
    ['outputs that say less', [spec(8, 4)], [spec(-1, 3), { name: 'y', datatype: 'FP32' as const }], 8],
    ['any number', [spec(-1, 4)], [spec(-1, 3)], undefined],
    ['inputs that differ', [spec(8, 4), spec(1, 4)], [spec(8, 3)], undefined],
    ['an input that is no list of rows', [spec(8, 4), spec()], [spec(8, 3)], undefined],
    ['an output that is none', [spec(8, 4)], [spec()], undefined],
    ['a lone dimension, which may be the width of one row', [spec(3)], [spec(3)], undefined],
    ['no inputs', [], [spec(1)], undefined],
  ])('%s', (_what, inputs, outputs, batch) => {
    expect(fixed(inputs, outputs)).toBe(batch);
  });

  it('of more than one row counts only where rows were shown not to know of each other', () => {
    expect(fixed([spec(3, 3)], [spec(3, 3)], trial(false))).toBeUndefined();
    expect(fixed([spec(3, 3)], [spec(3, 3)], aReport())).toBeUndefined();
    expect(fixed([spec(1, 3)], [spec(1, 3)], aReport())).toBe(1);
  });
});

describe('a request of another number of rows', () => {
  const batchOf = 3;
  const request = (rows: number): InferRequest => ({
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [rows, 2], data: Float32Array.from({ length: 2 * rows }, (_, i) => i) },
      { name: 't', datatype: 'BYTES', shape: [rows], data: Array.from({ length: rows }, (_, i) => `t${i}`) },
    ],
    rows,
    deadlineAt: 100,
    aborted: false,
  });

  /** Runs as a model that answers its inputs, and tells which runs there were. */
  function answer(
    asked: InferRequest,
    batch = batchOf,
    model: (inputs: readonly Tensor[]) => readonly Tensor[] | Error = (inputs) => inputs,
  ): { runs: InferRequest[]; outputs: readonly Tensor[] | undefined; error: Error | undefined } {
    const runs: InferRequest[] = [];
    let outputs: readonly Tensor[] | undefined;
    let error: Error | undefined;
    const receiver: InferReceiver = { answered: (all) => (outputs = all), failed: (why) => (error = why) };
    runInFixedBatches(asked, batch, receiver, (run, hears) => {
      runs.push(run);
      const result = model(run.inputs);
      if (result instanceof Error) hears.failed(result);
      else hears.answered(result);
    });
    return { runs, outputs, error };
  }

  it.each([1, 2, 4, 5, 30])('of %i is answered row for row', (rows) => {
    const { runs, outputs } = answer(request(rows));
    expect(outputs).toEqual(request(rows).inputs);
    expect(runs).toHaveLength(Math.ceil(rows / batchOf));
    for (const run of runs) {
      expect(run.inputs.map(({ shape }) => shape)).toEqual([[3, 2], [3]]);
      expect(run).toMatchObject({ rows: 0, deadlineAt: 100 });
    }
  });

  it.each([true, false])('waits among those that nobody waits for, or not, as it says: %s', (bulk) => {
    expect(answer({ ...request(5), bulk }).runs.map((run) => run.bulk)).toEqual([bulk, bulk]);
  });

  it('is filled up with its last row, which no model chokes on that took it', () => {
    const [, last] = answer(request(4)).runs;
    expect(last?.inputs.map(({ data }) => [...data])).toEqual([
      [6, 7, 6, 7, 6, 7],
      ['t3', 't3', 't3'],
    ]);
  });

  it('runs row by row where a run takes one', () => {
    const { runs, outputs } = answer(request(5), 1);
    expect(runs).toHaveLength(5);
    expect(outputs).toEqual(request(5).inputs);
  });

  it('fails with the first of its runs, and begins no others', () => {
    const { runs, outputs, error } = answer(request(100), 1, () => new DomainError('queue_full', 'full'));
    expect([error, outputs]).toEqual([expect.objectContaining({ code: 'queue_full' }), undefined]);
    expect(runs).toHaveLength(1);
  });

  it('is refused where answers do not come row for row', () => {
    const whole: Tensor = { name: 'y', datatype: 'FP32', shape: [], data: Float32Array.of(1) };
    expect(answer(request(5), 3, () => [whole]).error).toMatchObject({ code: 'batch_too_large' });
  });

  it('is refused where its rows differ from run to run in more than their number', () => {
    let runs = 0;
    const growing = (): Tensor[] => {
      const shape = [3, ++runs];
      return [{ name: 'y', datatype: 'FP32', shape, data: new Float32Array(3 * runs) }];
    };
    expect(answer(request(5), 3, growing)).toMatchObject({ outputs: undefined, error: { code: 'batch_too_large' } });
  });

  it('is answered once, whatever becomes of its other runs', () => {
    const told: string[] = [];
    const runs: { readonly run: InferRequest; readonly hears: InferReceiver }[] = [];
    const receiver: InferReceiver = {
      answered: () => told.push('answered'),
      failed: ({ message }) => told.push(message),
    };
    runInFixedBatches(request(9), batchOf, receiver, (run, hears) => runs.push({ run, hears }));
    expect(runs).toHaveLength(3);
    runs[0]?.hears.answered(runs[0].run.inputs);
    runs[1]?.hears.failed(new Error('first'));
    runs[2]?.hears.failed(new Error('second'));
    expect(told).toEqual(['first']);
  });

  it('stops when nobody waits any more', () => {
    const asked = request(100);
    const { runs } = answer(asked, 1, (inputs) => {
      asked.aborted = true;
      return inputs;
    });
    expect(runs.every((run) => run.aborted)).toBe(true);
  });
});
