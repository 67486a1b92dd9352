import { DomainError, SystemClock } from '@sibyl/kernel';
import { FeatureReader, type FeatureAsk, type FilledRows, type VersionFeatures } from './feature-reader';
import type { ModelReconciler } from './model-reconciler';
import { PredictCall } from './predict-call';
import { PredictionService } from './prediction-service';
import type { ServedVersion } from './served-version';

const slot = { name: 'x', shape: [], datatype: 'FP32' };
const versionOf = (model: string): ServedVersion =>
  ({ model, contract: { slots: [slot], slotNames: ['x'], inputs: [], fixedRows: true } }) as unknown as ServedVersion;

/** Has nothing for any row, after a while; notes in which turn it was asked. */
class SlowReader extends FeatureReader {
  readonly turns: number[] = [];
  private turn = 0;

  featuresOf(): VersionFeatures {
    return { extra: new Set(), read: (rows) => this.read(rows) };
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  private read(rows: readonly FeatureAsk[]): Promise<FilledRows> {
    this.turns.push(this.turn);
    queueMicrotask(() => (this.turn += 1));
    return new Promise((resolve) =>
      setTimeout(() => resolve(rows.map(() => new DomainError('incomplete_features', 'Nothing is there.'))), 1),
    );
  }
}

it.each([false, true])('reads what rows of several versions leave out in one turn; a long call: %s', async (long) => {
  const reader = new SlowReader();
  const limits = { perModel: 1, total: 1, waitMs: 1 } as never;
  const service = new PredictionService({} as ModelReconciler, reader, new SystemClock(), limits);
  const call = new PredictCall(1000);
  call.long = long;
  const rows = [{ features: {}, query: { symbol: 'A' }, pointer: '/features' }];
  const groups = [versionOf('a'), versionOf('b'), versionOf('c')].map((served) => ({ served, rows }));
  const answers = await service.predictGroups(groups, call);
  expect(reader.turns).toEqual([0, 0, 0]);
  expect(answers).toEqual(groups.map(() => [expect.objectContaining({ code: 'incomplete_features' })]));
});
