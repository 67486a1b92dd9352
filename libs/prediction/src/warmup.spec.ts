import type { Tensor } from '@sibyl/protocol';
import { aModelVersion } from '@sibyl/registry/testing';
import { ServedVersion } from './served-version';
import { warmupOf } from './warmup';

const row = (...values: number[]): Tensor[] => [
  { name: 'features', datatype: 'FP32', shape: [1, 2], data: Float32Array.from(values) },
];
const shapes = (runs: readonly (readonly Tensor[])[]): unknown[] => runs.map((run) => run.map(({ shape }) => shape));
const served = (document: Record<string, unknown> = {}): ServedVersion =>
  new ServedVersion(aModelVersion({ document }));

describe('the warm-up of a version', () => {
  it('runs its golden samples in every batch size, over and over', () => {
    const { runs, isGuess } = warmupOf(served(), [row(1, 2), row(3, 4), row(5, 6)]);
    expect(isGuess).toBe(false);
    expect(shapes(runs)).toEqual([[[1, 2]], [[8, 2]], [[32, 2]]]);
    expect([...(runs[1]![0]!.data as Float32Array)].slice(0, 8)).toEqual([1, 2, 3, 4, 5, 6, 1, 2]);
  });

  it('makes runs up where there are no samples, or the manifest wants none', () => {
    for (const warmup of [warmupOf(served(), []), warmupOf(served({ runtime: { warmup: false } }), [row(1, 2)])]) {
      expect(warmup.isGuess).toBe(true);
      expect(shapes(warmup.runs)).toEqual([[[1, 2]], [[8, 2]], [[32, 2]]]);
    }
  });

  it('runs samples as they are where rows do not run together', () => {
    const version = served();
    const trial = { provider: 'cpu', loadMs: 1, memoryBytes: 1, observedOutputs: [], rowsIndependent: false };
    const report = { passed: true, checkedAt: '', reasons: [], notes: [], ignoredFiles: [], trial };
    version.facts = { ...version.facts, report };
    const samples = [row(1, 2), row(3, 4), row(5, 6), row(7, 8)];
    expect(warmupOf(version, samples)).toEqual({ runs: samples.slice(0, 3), isGuess: false });
  });
});
