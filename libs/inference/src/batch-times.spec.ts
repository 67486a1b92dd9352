import { FakeClock } from '@sibyl/kernel/testing';
import type { Tensor } from '@sibyl/protocol';
import { BatchTimes } from './batch-times';

const batch = (rows: number): readonly Tensor[] => [
  { name: 'x', datatype: 'FP32', shape: [rows, 1], data: new Float32Array(rows) },
];

/** Times of batches whose runs take what `ms` says of the rows and the count of runs; undefined: the run fails. */
async function timesOf(ms: (rows: number, run: number) => number | undefined, rows = [1, 8, 32]) {
  const clock = new FakeClock();
  const runs: number[] = [];
  let rss = 100;
  const times = await new BatchTimes(clock, () => rss).of(rows.map(batch), (inputs) => {
    const size = inputs[0]?.shape[0] ?? 0;
    const took = ms(size, runs.push(size));
    rss = 100 + size;
    if (took !== undefined) clock.advance(took);
    return Promise.resolve(took === undefined ? undefined : inputs);
  });
  return { times, runs };
}

describe('the times of batches', () => {
  it('are medians of warm runs, with what the process grew by', async () => {
    const { times, runs } = await timesOf((rows, run) => (run % 6 === 1 ? 99 : rows));
    expect(times).toEqual([
      { rows: 1, medianMs: 1, memoryBytes: 1 },
      { rows: 8, medianMs: 8, memoryBytes: 8 },
      { rows: 32, medianMs: 32, memoryBytes: 32 },
    ]);
    expect(runs.filter((rows) => rows === 1)).toHaveLength(6);
  });

  it('end with the first size that the model does not take', async () => {
    const { times, runs } = await timesOf((rows) => (rows === 8 ? undefined : 1));
    expect(times).toEqual([expect.objectContaining({ rows: 1 }), undefined, undefined]);
    expect(runs).not.toContain(32);
  });

  it('leave out what would take too long, and repeat a slow one once or not at all', async () => {
    const { times, runs } = await timesOf((rows) => 100 * rows);
    expect(times.map((figures) => figures?.medianMs)).toEqual([100, 800, undefined]);
    expect(runs).toEqual([1, 1, 8]);
  });
});
