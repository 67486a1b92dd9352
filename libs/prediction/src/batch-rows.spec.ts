import { DomainError, SystemClock } from '@sibyl/kernel';
import { FakeRuntime, type FakeModel } from '@sibyl/inference/testing';
import type { Tensor } from '@sibyl/protocol';
import { aModelVersion, aReport } from '@sibyl/registry/testing';
import { FeatureReader, ManifestDefaults, type FeatureAsk, type VersionFeatures } from './feature-reader';
import type { ModelReconciler } from './model-reconciler';
import { PredictCall } from './predict-call';
import { PredictionService } from './prediction-service';
import { ServedVersion } from './served-version';

const TOO_LARGE = 1e300;

/** Answers `a` of each row, for as many rows as `answers` makes of those that it was asked. */
const modelOf = (batch: number, answers: (rows: number) => number): FakeModel => ({
  signature: {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [batch, 2] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [batch, 1] }],
  },
  respond: ([x]): Tensor[] => {
    const rows = answers(x?.shape[0] ?? 0);
    const data = Float32Array.from({ length: rows }, (_, i) => Number(x?.data[2 * i]));
    return [{ name: 'y', datatype: 'FP32', shape: [rows, 1], data }];
  },
});

const DECISIONS = {
  value: { task: 'regression', decision: { value_output: 'y' } },
  outputs: { task: 'clustering' },
};

interface Tried {
  readonly batch?: number;
  readonly decision?: keyof typeof DECISIONS;
  readonly features?: FeatureReader;
  readonly answers?: (rows: number) => number;
}

/** What a batch comes to, row by row: a number, or why there is none. */
async function tryBatch(
  rows: readonly Record<string, unknown>[],
  { batch = -1, decision = 'value', features = new ManifestDefaults(), answers = (n) => n }: Tried,
): Promise<unknown[]> {
  const model = modelOf(batch, answers);
  const trial = { provider: 'cpu', loadMs: 1, memoryBytes: 1, observedOutputs: [], rowsIndependent: true };
  const facts = aModelVersion({
    signature: model.signature,
    report: aReport({ trial }),
    document: {
      ...DECISIONS[decision],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [batch, 2], columns: ['a', 'b'] }],
      // As a version may have it that was registered before defaults were held against their datatype.
      features: [{ name: 'a' }, { name: 'b', default: TOO_LARGE }],
    },
  });
  const served = new ServedVersion(facts);
  served.loaded = await new FakeRuntime(model).load(served.fileAt('/model.onnx'), {} as never);
  const clock = new SystemClock();
  const limits = { awaitingRequests: 1, awaitingBytes: 1 };
  const service = new PredictionService({} as ModelReconciler, features, clock, limits);
  const requests = rows.map((row) => ({ features: row, query: {}, pointer: '/features' }));
  const found = await service.predictRows(served, requests, new PredictCall(clock.monotonic() + 60_000));
  return found.map((answer) => {
    if (answer instanceof DomainError) return answer.code;
    const read = JSON.parse(answer.json as string) as { value?: number; outputs?: { y: number[] } };
    return read.value ?? read.outputs?.y;
  });
}

/** Supplies `b`; what it has for `a` in place of 3 fits no model. */
class Amending extends FeatureReader {
  featuresOf({ contract }: ServedVersion): VersionFeatures {
    const slot = contract.slots[0]!;
    const fill = ({ features }: FeatureAsk) => ({
      values: new Map([['b', 0]]),
      amended: features['a'] === 3 ? [{ slot, value: TOO_LARGE }] : [],
      defaulted: [],
      stale: [],
      basis: undefined,
    });
    return { extra: new Set(), read: (rows) => rows.map(fill) };
  }

  check(): Promise<void> {
    return Promise.resolve();
  }
}

const BAD = 'internal_error';

describe.each([
  ['any number of rows a run', -1],
  ['three rows a run', 3],
])('a batch with a row that cannot be filled, %s', (_, batch) => {
  it.each(['value', 'outputs'] as const)(
    'by a default of the manifest: the others have their own %s',
    async (decision) => {
      const own = (a: number): unknown => (decision === 'value' ? a : [a]);
      const rows = [{ a: 1, b: 0 }, { a: 2, b: 0 }, { a: 3 }, { a: 4, b: 0 }, { a: 5 }, { a: 6, b: 0 }];
      const expected = [own(1), own(2), BAD, own(4), BAD, own(6)];
      expect(await tryBatch(rows, { batch, decision })).toEqual(expected);
      expect(await tryBatch(rows.slice(2, 3), { batch, decision })).toEqual([BAD]);
    },
  );

  it.each(['value', 'outputs'] as const)('by what a set has for it: the others have their own %s', async (decision) => {
    const own = (a: number): unknown => (decision === 'value' ? a : [a]);
    const rows = [1, 2, 3, 4, 5].map((a) => ({ a }));
    const features = new Amending();
    expect(await tryBatch(rows, { batch, decision, features })).toEqual([own(1), own(2), BAD, own(4), own(5)]);
  });
});

it.each(['value', 'outputs'] as const)(
  'is answered row by row where outputs are not one for each row, as %s',
  async (decision) => {
    const own = (a: number): unknown => (decision === 'value' ? a : [a]);
    const rows = [1, 2, 3].map((a) => ({ a, b: 0 }));
    for (const answers of [(n: number) => Math.min(n, 2), (n: number) => (n > 1 ? n + 1 : n)])
      expect(await tryBatch(rows, { decision, answers })).toEqual([own(1), own(2), own(3)]);
  },
);
