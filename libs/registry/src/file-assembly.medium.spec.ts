import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Registered } from './model-registrar';
import { packageFolder } from './testing';
import { flipBit } from './testing/flip-bit';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());

const everybody = (): boolean => true;
async function register(name: string, version = '1.0.0'): Promise<{ sha256: string; bytes: number }> {
  const folder = await packageFolder({ manifest: { name, version } });
  await at.registry.registerFolder(ALICE, folder, {}, at.record);
  const manifest = await readFile(path.join(folder, 'sibyl.json'));
  return { sha256: createHash('sha256').update(manifest).digest('hex'), bytes: manifest.length };
}

it('finds a file of a version by its content, for who may take that model, until its bytes are deleted', async () => {
  const { sha256, bytes } = await register('found');
  const complete = { offset: bytes, complete: true };
  const unknown = { offset: 0, complete: false };
  expect(await at.registry.uploadState('other', sha256, everybody)).toEqual(complete);
  expect(await at.registry.uploadState('other', sha256, (model) => model === 'found')).toEqual(complete);
  expect(await at.registry.uploadState('other', sha256, (model) => model === 'other')).toEqual(unknown);
  expect(await at.registry.uploadState('other', '0'.repeat(64), everybody)).toEqual(unknown);
  await at.registry.delete(ALICE, { model: 'found', version: '1.0.0', reason: 'a test' }, at.record);
  expect(await at.registry.uploadState('other', sha256, everybody)).toEqual(unknown);
});

it('takes a file from where it is whole, and asks for it again once it is known that it is whole nowhere', async () => {
  const folders = await Promise.all(['a1', 'a2'].map((name) => packageFolder({ manifest: { name } })));
  const model = await readFile(path.join(folders[0] ?? '', 'model.onnx'));
  const sha256 = createHash('sha256').update(model).digest('hex');
  const registered: Registered[] = [];
  for (const folder of folders) registered.push(await at.registry.registerFolder(ALICE, folder, {}, at.record));
  const damage = async (of: number): Promise<void> => {
    const digest = registered[of]?.version.digest.slice('sha256:'.length) ?? '';
    await flipBit(path.join(at.options.artifactFolder, 'packages', digest, 'model.onnx'), 3);
  };
  const take = (version: string): Promise<unknown> =>
    at.registry.registerFiles(
      ALICE,
      { name: 'a3', version, files: { 'model.onnx': sha256 }, may: (name) => name.startsWith('a') && name !== 'a3' },
      at.record,
    );
  await damage(0);
  expect(await take('1')).toMatchObject({ created: true });
  await damage(1);
  await expect(take('2')).rejects.toMatchObject({ code: 'model_not_ready' });
  const log = { info: jest.fn(), warn: jest.fn(), error: jest.fn() };
  await at.registry.scrubber({ log, record: at.record }).checkNow(undefined, new AbortController().signal);
  const may = (name: string): boolean => name === 'a1' || name === 'a2';
  expect(await at.registry.uploadState('a3', sha256, may)).toEqual({ offset: 0, complete: false });
});

it('looks a content up, and reads the lists of no other version', async () => {
  for (const version of ['1', '2', '3', '4']) await register('many', version);
  const { sha256 } = await register('many', '5');
  const asked: string[] = [];
  const query = jest.spyOn(at.database, 'query');
  await at.registry.uploadState('other', sha256, everybody);
  for (const [sql] of query.mock.calls) asked.push(sql);
  query.mockRestore();
  expect(asked).toHaveLength(1);
  const plan = await at.database.transaction(async (tx) => {
    // Of a handful of rows a planner reads all.
    await tx.query('SET LOCAL enable_seqscan = off');
    return tx.query<{ 'QUERY PLAN': string }[]>(`EXPLAIN (ANALYZE, TIMING off) ${asked[0]}`, [[sha256]]);
  });
  const lines = plan.map((line) => line['QUERY PLAN']).join('\n');
  expect(lines).toContain('Bitmap Index Scan on model_version_file_digests');
  expect(lines).toMatch(/Heap Scan on model_version.*rows=1(\.00)? loops=1/);
});
