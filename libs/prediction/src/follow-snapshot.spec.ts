import type { ModelVersion } from '@sibyl/registry';
import { aModelVersion, aReport } from '@sibyl/registry/testing';
import { followSnapshot } from './follow-snapshot';
import { ServingTable } from './serving-table';

const log = { warn: () => undefined };
const unproven = (): ModelVersion => {
  const { validatedAt: at, ...rest } = aModelVersion();
  return at === undefined ? rest : { ...rest, status: 'registered', report: aReport() };
};
const next = (before: ServingTable, version: ModelVersion) =>
  followSnapshot(before, { models: [{ name: version.model, versions: [version], aliases: [], warm: [] }] }, log).table;
const served = (table: ServingTable) => table.models.get('linear')!.versions.get('1.0.0')!;

it('compiles a version anew once its validation has shown what its outputs are', () => {
  const before = next(new ServingTable(new Map()), unproven());
  const shown = aModelVersion({
    signature: { ...unproven().signature, inputs: [{ name: 'features', datatype: 'FP32', shape: [1, 2] }] },
  });
  const after = next(before, shown);
  expect(served(after).fixedBatch).toBe(1);
});

it('keeps the object of a version that was valid before, whatever its status', () => {
  const before = next(new ServingTable(new Map()), aModelVersion());
  const after = next(before, aModelVersion({ status: 'approved' }));
  expect(served(after)).toBe(served(before));
  expect(served(after).facts.status).toBe('approved');
});
