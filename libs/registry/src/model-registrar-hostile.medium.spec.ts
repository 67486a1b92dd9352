import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { DomainError } from '@sibyl/kernel';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture({ registrationsAtOnce: 8 })));
afterAll(() => at.end());
beforeEach(() => {
  at.changes.length = 0;
  at.runtime.trials.length = 0;
  at.runtime.before = undefined;
});

let models = 0;
/** Each test has a model of its own. */
const fresh = (): string => `m${++models}`;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );
const staged = (): Promise<string[]> => readdir(path.join(at.options.artifactFolder, 'staging'));
const register = (folder: string, expect = {}): ReturnType<typeof at.registry.registerFolder> =>
  at.registry.registerFolder(ALICE, folder, expect, at.record);

describe('hostile packages', () => {
  it('are refused for links, whichever file is one, and nothing outside is read', async () => {
    const secret = path.join(await packageFolder(), 'sibyl.json');
    for (const file of ['sibyl.json', 'golden.json', 'model.onnx', 'config.json']) {
      const folder = await packageFolder({ manifest: { name: fresh() } });
      await rm(path.join(folder, file), { force: true });
      await symlink(secret, path.join(folder, file));
      const error = await failure(register(folder));
      expect(error).toMatchObject({ code: 'model_rejected' });
      expect(error.faults?.[0]).toMatchObject({ pointer: `/${file}`, received: 'a symbolic link' });
    }
  });

  it('are refused for a folder on the way that is a link', async () => {
    const target = await packageFolder({ files: { 'config.json': '{}' } });
    const folder = await packageFolder({ manifest: { name: fresh() } });
    await symlink(target, path.join(folder, '1_Pooling'));
    expect((await failure(register(folder))).faults?.[0]?.received).toBe('a path through a symbolic link');
  });

  it('are refused for files that climb out, are too large, or are no files', async () => {
    const climbing = await packageFolder({
      manifest: { name: fresh(), native: { format: 'xgboost', files: ['../model.json'] } },
    });
    expect((await failure(register(climbing))).faults?.[0]?.pointer).toBe('/sibyl.json/native/files');
    const raw = { inputs: { features: { file: '/etc/passwd', datatype: 'FP32', shape: [1, 2] } }, outputs: {} };
    const outside = await packageFolder({ manifest: { name: fresh() }, golden: { samples: [raw] } });
    expect((await failure(register(outside))).faults?.[0]?.pointer).toBe('/golden.json/samples/0/inputs/features/file');
    const large = await packageFolder({ manifest: { name: fresh(), description: 'x'.repeat(2 ** 20) } });
    expect((await failure(register(large))).faults?.[0]?.pointer).toBe('/sibyl.json');
    const folder = await packageFolder({ manifest: { name: fresh() } });
    await mkdir(path.join(folder, 'tokenizer.json'));
    expect((await failure(register(folder))).faults?.[0]?.received).toBe('a folder');
  });

  it('are refused when the manifest names a file that is not there', async () => {
    const folder = await packageFolder({
      manifest: { name: fresh(), native: { format: 'lightgbm', files: ['model.txt'] } },
    });
    expect(await failure(register(folder))).toMatchObject({
      code: 'manifest_mismatch',
      faults: [{ received: 'model.txt' }],
    });
  });

  it('are refused past the artifact limit', async () => {
    const small = at.another({ artifactBytes: 300 });
    const folder = await packageFolder({ manifest: { name: fresh() } });
    const error = await failure(small.registerFolder(ALICE, folder, {}, at.record));
    expect(error.faults?.[0]).toMatchObject({ expected: 'a package within the artifact limit' });
    expect(await staged()).toEqual([]);
  });
});

describe('registering the same version at once', () => {
  it('creates it once for equal bytes, in one process and in two', async () => {
    const name = fresh();
    const folder = await packageFolder({ manifest: { name } });
    const other = at.another();
    const all = await Promise.all([
      ...Array.from({ length: 4 }, () => register(folder)),
      ...Array.from({ length: 4 }, () => other.registerFolder(ALICE, folder, {}, at.record)),
    ]);
    expect(all.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(all.map(({ version }) => version.digest)).size).toBe(1);
    expect(all.every(({ version }) => version.status === 'validated')).toBe(true);
    expect(at.changes).toHaveLength(1);
  });

  it('lets one of two different packages win, and answers version_conflict to the others', async () => {
    const name = fresh();
    const folders = await Promise.all(
      ['a', 'b', 'c'].map((description) => packageFolder({ manifest: { name, description } })),
    );
    const other = at.another();
    const outcomes = await Promise.allSettled(
      folders.map((folder, i) => (i % 2 ? other : at.registry).registerFolder(ALICE, folder, {}, at.record)),
    );
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(lost).toHaveLength(2);
    for (const { reason } of lost) expect(reason).toMatchObject({ code: 'version_conflict' });
    expect(at.changes).toHaveLength(1);
  });

  it('refuses more than may wait', async () => {
    const narrow = at.another({ registrationsAtOnce: 1, registrationsWaiting: 1 });
    const folder = await packageFolder({ manifest: { name: fresh() } });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => narrow.registerFolder(ALICE, folder, {}, at.record)));
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(lost.map(({ reason }) => reason as DomainError)).toEqual([expect.objectContaining({ code: 'queue_full' })]);
  });
});
