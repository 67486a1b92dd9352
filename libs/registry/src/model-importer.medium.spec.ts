import { cp, mkdir, mkdtemp, realpath, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { DomainError } from '@sibyl/kernel';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
let imports: string;
beforeAll(async () => {
  imports = await realpath(await mkdtemp(path.join(os.tmpdir(), 'sibyl-import-')));
  at = await registryFixture({ importFolders: [path.join(imports, 'missing'), imports] });
});
afterAll(async () => {
  await at.end();
  await rm(imports, { recursive: true });
});
beforeEach(() => {
  at.changes.length = 0;
  at.runtime.trials.length = 0;
  at.runtime.before = undefined;
});

let models = 0;
const fresh = (): string => `i${++models}`;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );

/** A package under `folder`. */
async function place(folder: string, name: string, manifest: Record<string, unknown> | undefined): Promise<string> {
  const target = path.join(folder, name);
  await cp(await packageFolder({ manifest, ...(manifest ? {} : { golden: null }) }), target, { recursive: true });
  return target;
}
const importUri = (uri: string, expect = {}): ReturnType<typeof at.registry.importUri> =>
  at.registry.importUri(ALICE, { uri, ...expect }, at.record);

describe('importing', () => {
  it('takes a folder by path, by relative path and by file: URI, its sibyl.json, and a bare .onnx', async () => {
    const name = fresh();
    const folder = await place(imports, `${name} x`, { name });
    const { version, created } = await importUri(folder);
    expect({ model: version.model, created }).toEqual({ model: name, created: true });
    for (const uri of [
      `${name} x`,
      `./${name} x`,
      pathToFileURL(folder).href,
      path.join(folder, 'sibyl.json'),
      `${folder}/model.onnx`,
    ]) {
      expect(await importUri(uri)).toMatchObject({ created: false, version: { digest: version.digest } });
    }
    const bare = await place(imports, fresh(), undefined);
    await rename(path.join(bare, 'model.onnx'), path.join(bare, 'churn.onnx'));
    await writeFile(path.join(bare, 'other.onnx'), 'x');
    expect((await importUri(path.join(bare, 'churn.onnx'), { name: fresh(), version: '3' })).version).toMatchObject({
      version: '3',
    });
  });

  it('says which schemes there are', async () => {
    for (const uri of ['gs://x/model.onnx', 'ftp://b/k', 'dbfs:/m/1', 'file://other-host/x', 'x\0y', '']) {
      const error = await failure(importUri(uri, { pointer: '/registry_uri' }));
      expect(error).toMatchObject({
        code: 'invalid_parameter',
        faults: [
          { pointer: '/registry_uri', expected: 'a path, or a URI of file:, http:, https:, s3:, models: or runs:' },
        ],
      });
    }
    for (const uri of ['https://x/model.onnx', 's3://bucket/k', 'models:/m/1', 'runs:/m/model']) {
      const error = await failure(importUri(uri, { pointer: '/registry_uri' }));
      expect(error).toMatchObject({ code: 'invalid_parameter', faults: [{ pointer: '/registry_uri' }] });
    }
  });

  it('answers the same for what lies outside, what is not there, and what leads outside', async () => {
    const outside = await packageFolder({ manifest: { name: fresh() } });
    await symlink(outside, path.join(imports, 'link'));
    await writeFile(path.join(imports, 'note.txt'), 'x');
    const answers = await Promise.all(
      [
        outside,
        path.join(imports, 'nothing'),
        path.join(imports, 'link'),
        `${imports}/../x`,
        '/etc',
        '../..',
        `${imports}x`,
        'note.txt',
      ].map((uri) => failure(importUri(uri))),
    );
    expect(new Set(answers.map(({ code, detail }) => `${code} ${detail}`)).size).toBe(1);
    expect(answers[0]).toMatchObject({ code: 'invalid_parameter', faults: [{ pointer: '/source_uri' }] });
    expect(JSON.stringify(answers.map(({ faults }) => faults))).not.toContain(outside);
  });
});

describe('the packages that a start names', () => {
  const start = (...uris: string[]): ReturnType<typeof at.registry.registerAtStart> =>
    at.registry.registerAtStart(ALICE, uris, at.record);

  /** A folder of packages of one model. */
  async function shelf(name: string, ...versions: string[]): Promise<string> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-start-'));
    for (const version of versions) await place(folder, `${name}-${version}`, { name, version });
    return folder;
  }

  it('are registered in natural order; the first valid version gets production, the last is latest', async () => {
    const name = fresh();
    const folder = await shelf(name, '1.10.0', '1.2.3', '1.9.0');
    await writeFile(path.join(folder, 'README.md'), 'x');
    await mkdir(path.join(folder, '.hidden'));
    const results = await start(`${folder}/*`);
    expect(results.map(({ outcome, version }) => [outcome, version])).toEqual([
      ['created', '1.2.3'],
      ['created', '1.9.0'],
      ['created', '1.10.0'],
    ]);
    expect((await at.registry.find(name, 'production')).version).toBe('1.2.3');
    expect((await at.registry.find(name, 'latest')).version).toBe('1.10.0');
    expect(at.changes).toHaveLength(3);
    expect(at.changes[0]).toMatchObject({
      action: 'model.register',
      model: { alias: 'production' },
      changes: { alias: 'production' },
    });
  });

  it('are not read again while nothing has changed, and are when something has', async () => {
    const name = fresh();
    const folder = await shelf(name, '1', '2');
    await start(`${folder}/*`);
    at.runtime.trials.length = 0;
    at.changes.length = 0;
    // Unreadable bytes with the old fingerprint would be noticed by nobody who reads.
    expect((await start(`${folder}/*`)).map(({ outcome }) => outcome)).toEqual(['present', 'present']);
    await utimes(path.join(folder, `${name}-1`, 'model.onnx'), 1, 1);
    expect((await start(`${folder}/*`)).map(({ outcome }) => outcome)).toEqual(['present', 'present']);
    await writeFile(path.join(folder, `${name}-2`, 'golden.json'), '{}');
    expect(await start(`${folder}/*`)).toEqual([
      expect.objectContaining({ outcome: 'present' }),
      expect.objectContaining({
        outcome: 'failed',
        error: expect.objectContaining({ code: 'version_conflict' }) as DomainError,
      }),
    ]);
    expect(at.runtime.trials).toEqual([]);
    expect(at.changes).toEqual([]);
  });

  it('are stored again when the store has lost them', async () => {
    const name = fresh();
    const folder = await shelf(name, '1');
    await start(`${folder}/*`);
    const { digest } = await at.registry.find(name, '1');
    await rm(await at.registry.artifactFolder(digest), { recursive: true });
    expect((await start(`${folder}/*`)).map(({ outcome }) => outcome)).toEqual(['present']);
    await expect(at.registry.artifactFolder(digest)).resolves.toContain(digest.slice(7));
  });

  it('do not keep each other from being registered, and an alias that was moved stays', async () => {
    const name = fresh();
    const folder = await shelf(name, '1', '2');
    const results = await start(
      '/nowhere',
      'https://x/y',
      path.join(folder, `${name}-1`),
      `${folder}/nothing/*`,
      path.join(folder, `${name}-2`),
    );
    expect(results.map(({ outcome }) => outcome)).toEqual(['failed', 'failed', 'created', 'created']);
    const move = { model: name, alias: 'production', version: '2', reason: 'better', ifMatch: '"1"' };
    await at.registry.aliases.move(ALICE, move, at.record);
    await place(folder, `${name}-3`, { name, version: '3' });
    await start(`${folder}/*`);
    expect((await at.registry.find(name, 'production')).version).toBe('2');
  });

  it('give production to the first version that is valid, and to none of a model that has one already', async () => {
    const name = fresh();
    const folder = await shelf(name, '1', '2');
    let trials = 0;
    at.runtime.before = () => {
      if (trials++ === 0) throw new DomainError('model_rejected', 'No.');
    };
    expect((await start(`${folder}/*`)).map(({ outcome }) => outcome)).toEqual(['failed', 'created']);
    expect((await at.registry.find(name, 'production')).version).toBe('2');
    const other = fresh();
    await at.registry.registerFolder(ALICE, await packageFolder({ manifest: { name: other } }), {}, at.record);
    await start(path.join(await shelf(other, '2'), `${other}-2`));
    expect((await failure(at.registry.find(other, 'production'))).code).toBe('version_not_found');
  });

  it('stop the start when the database is gone, since nothing could be registered', async () => {
    const name = fresh();
    const folder = await shelf(name, '1');
    at.runtime.before = () => {
      throw new DomainError('database_unavailable', 'Gone.');
    };
    expect((await failure(start(`${folder}/*`))).code).toBe('database_unavailable');
  });
});
