import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { customDomainModel, linearModel } from '@sibyl/onnx/testing';
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
const stored = (): Promise<string[]> => readdir(path.join(at.options.artifactFolder, 'packages')).catch(() => []);
const staged = (): Promise<string[]> => readdir(path.join(at.options.artifactFolder, 'staging'));
const register = (folder: string, expect = {}): ReturnType<typeof at.registry.registerFolder> =>
  at.registry.registerFolder(ALICE, folder, expect, at.record);

describe('registering a package', () => {
  it('refuses a version or an alias that would take the callers of another one with or without a v', async () => {
    const name = fresh();
    for (const [first, second] of [
      ['1.0.0', 'v1.0.0'],
      ['v2', '2'],
    ] as const) {
      await register(await packageFolder({ manifest: { name, version: first } }));
      const twin = await packageFolder({ manifest: { name, version: second } });
      expect((await failure(register(twin))).code).toBe('version_conflict');
    }
    const move = { model: name, alias: 'v1.0.0', version: 'v2', reason: 'because', ifNoneMatch: '*' as const };
    expect((await failure(at.registry.aliases.move(ALICE, move, at.record))).code).toBe('invalid_parameter');
  });

  it('stores it, replays its golden samples and validates it, with one event', async () => {
    const name = fresh();
    const { version, created } = await register(
      await packageFolder({ manifest: { name, metrics: { accuracy: 0.9 }, team: 'risk' } }),
    );
    expect(created).toBe(true);
    expect(version).toMatchObject({
      model: name,
      version: '1.0.0',
      status: 'validated',
      aliases: [],
      registeredBy: ALICE,
    });
    expect(version.manifest.document).toMatchObject({ team: 'risk' });
    expect(version.report).toMatchObject({ passed: true, golden: { compared: 2, missCount: 0, source: 'by hand' } });
    expect(version.report?.trial?.observedOutputs).toEqual([{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }]);
    expect(version.files.map((file) => file.path).sort()).toEqual(['golden.json', 'model.onnx', 'sibyl.json']);
    expect(at.changes).toEqual([
      expect.objectContaining({ action: 'model.register', model: { name, version: '1.0.0', digest: version.digest } }),
    ]);
    expect(await readdir(await at.registry.artifactFolder(version.digest))).toEqual(
      expect.arrayContaining(['model.onnx']),
    );
    expect(await staged()).toEqual([]);
  });

  it('answers the same version for the same bytes, without a trial or a change', async () => {
    const folder = await packageFolder({ manifest: { name: fresh() } });
    const first = await register(folder);
    at.changes.length = 0;
    const again = await register(folder);
    expect(again.created).toBe(false);
    expect(again.version).toEqual(first.version);
    expect(at.runtime.trials).toHaveLength(1);
    expect(at.changes).toEqual([]);
  });

  it('refuses other bytes under a used version and keeps nothing of them', async () => {
    const name = fresh();
    await register(await packageFolder({ manifest: { name } }));
    const before = await stored();
    const error = await failure(register(await packageFolder({ manifest: { name, description: 'other' } })));
    expect(error).toMatchObject({ code: 'version_conflict' });
    expect(await stored()).toEqual(before);
    expect(await staged()).toEqual([]);
  });

  it('rejects a model whose answers differ, lists each miss, and keeps the report', async () => {
    const name = fresh();
    const golden = { samples: [{ inputs: { features: [[1, 2]] }, outputs: { variable: [[0.75]] } }] };
    const error = await failure(register(await packageFolder({ manifest: { name }, golden })));
    expect(error).toMatchObject({ code: 'model_rejected', detail: '1 values differ from the golden samples.' });
    expect(error.faults).toEqual([
      {
        pointer: '/golden.json/samples/0/outputs/variable/0',
        expected: '0.75',
        received: '0.5',
        hint: 'difference 0.25',
      },
    ]);
    const kept = await at.registry.find(name, '1.0.0');
    expect(kept).toMatchObject({ status: 'rejected', report: { passed: false, golden: { missCount: 1 } } });
    expect(kept.validatedAt).toBeUndefined();
    expect(at.changes).toEqual([expect.objectContaining({ action: 'model.register', status: 422 })]);
  });

  it('takes other bytes for a rejected version, and the same bytes for another attempt', async () => {
    const name = fresh();
    const wrong = { samples: [{ inputs: { features: [[1, 2]] }, outputs: { variable: [[9]] } }] };
    const bad = await packageFolder({ manifest: { name }, golden: wrong });
    await failure(register(bad));
    await failure(register(bad));
    expect(at.runtime.trials).toHaveLength(2);
    const { version, created } = await register(await packageFolder({ manifest: { name } }));
    expect(created).toBe(true);
    expect(version.status).toBe('validated');
    expect((await failure(register(bad))).code).toBe('version_conflict');
  });

  it('rejects what the runtime cannot run, with its reasons', async () => {
    const name = fresh();
    at.runtime.before = () => {
      throw new DomainError('model_rejected', 'It does not load.', {
        faults: [{ pointer: '/model.onnx', received: 'a crash' }],
      });
    };
    const error = await failure(register(await packageFolder({ manifest: { name } })));
    expect(error.faults).toEqual([{ pointer: '/model.onnx', received: 'a crash' }]);
    expect((await at.registry.find(name, '1.0.0')).status).toBe('rejected');
  });

  it('leaves a version registered when it could not be tried, and completes it when the bytes come again', async () => {
    const name = fresh();
    const folder = await packageFolder({ manifest: { name } });
    at.runtime.before = () => {
      throw new DomainError('queue_full', 'Busy.');
    };
    expect((await failure(register(folder))).code).toBe('queue_full');
    expect((await at.registry.find(name, '1.0.0')).status).toBe('registered');
    expect(at.changes).toEqual([]);
    at.runtime.before = undefined;
    expect((await register(folder)).version.status).toBe('validated');
  });

  it('takes other bytes for a version that was abandoned half-way, once it is old enough', async () => {
    const name = fresh();
    at.runtime.before = () => {
      throw new DomainError('queue_full', 'Busy.');
    };
    await failure(register(await packageFolder({ manifest: { name } })));
    at.runtime.before = undefined;
    const other = await packageFolder({ manifest: { name, description: 'other' } });
    expect((await failure(register(other))).code).toBe('version_conflict');
    at.clock.advance(at.options.abandonedAfterMs + 1);
    expect((await register(other)).version.manifest.description).toBe('other');
  });

  it('says so when there are no golden samples', async () => {
    const { version } = await register(await packageFolder({ manifest: { name: fresh() }, golden: null }));
    expect(version.report?.notes).toEqual([expect.stringContaining('no golden samples')]);
    expect(version.report?.golden).toBeUndefined();
    expect(at.runtime.trials[0]?.samples).toBe(0);
  });

  it('keeps nothing of a model that the scan refuses', async () => {
    const name = fresh();
    const before = await stored();
    const error = await failure(register(await packageFolder({ manifest: { name }, model: customDomainModel() })));
    expect(error.code).toBe('model_rejected');
    expect(error.faults).not.toHaveLength(0);
    expect((await failure(at.registry.find(name, '1.0.0'))).code).toBe('model_not_found');
    expect(await stored()).toEqual(before);
    expect(await staged()).toEqual([]);
    expect(at.runtime.trials).toEqual([]);
  });

  it('refuses a name or version that differs from the manifest', async () => {
    const folder = await packageFolder({ manifest: { name: fresh() } });
    expect(await failure(register(folder, { name: 'other' }))).toMatchObject({
      code: 'manifest_mismatch',
      faults: [{ pointer: '/sibyl.json/name', expected: 'other' }],
    });
    expect((await failure(register(folder, { version: '2.0.0' }))).code).toBe('manifest_mismatch');
  });

  it('takes a bare .onnx under the name and version of the request', async () => {
    const name = fresh();
    const folder = await packageFolder({ manifest: undefined, golden: null });
    expect((await failure(register(folder, { name }))).faults).toEqual([
      { pointer: '/version', expected: 'a version', received: 'nothing' },
    ]);
    const { version } = await register(folder, { name, version: '7' });
    expect(version).toMatchObject({ model: name, version: '7', status: 'validated', manifest: { metrics: {} } });
    expect((await register(folder, { name, version: '8' })).version.digest).toBe(version.digest);
  });

  it('takes the only .onnx of a folder, whatever its name, and an MLflow directory', async () => {
    const folder = await packageFolder({
      manifest: undefined,
      golden: null,
      files: { MLmodel: 'flavors:\n  onnx: {}\n', 'python_model.pkl': 'x' },
    });
    const { version } = await register(folder, { name: fresh(), version: '1' });
    expect(version.report?.ignoredFiles).toEqual(['MLmodel', 'python_model.pkl']);
    const bare = await packageFolder({ manifest: undefined, golden: null });
    await writeFile(path.join(bare, 'churn.onnx'), linearModel({ weights: [[1, 1]], bias: [0] }));
    await rm(path.join(bare, 'model.onnx'));
    expect((await register(bare, { name: fresh(), version: '1' })).version.files).toEqual([
      expect.objectContaining({ path: 'model.onnx' }),
    ]);
  });

  it('refuses a folder without a model, and one with several', async () => {
    const none = await packageFolder({ files: { MLmodel: 'flavors:\n  python_function: {}\n' } });
    await rm(path.join(none, 'model.onnx'));
    expect((await failure(register(none))).faults?.[0]?.received).toBe('an MLflow model without an ONNX flavor');
    const two = await packageFolder({ files: { 'a.onnx': 'x', 'b.onnx': 'y' } });
    await rm(path.join(two, 'model.onnx'));
    expect((await failure(register(two))).faults?.[0]?.received).toBe('2 .onnx files');
  });

  it('replays samples that lie in raw files, which become part of the package', async () => {
    const raw = (file: string, ...values: number[]): Record<string, Buffer> => ({
      [file]: Buffer.from(Float32Array.from(values).buffer),
    });
    const tensor = (file: string, ...shape: number[]): object => ({ file, datatype: 'FP32', shape });
    const samples = [{ inputs: { features: tensor('in.bin', 1, 2) }, outputs: { variable: tensor('out.bin', 1, 1) } }];
    const files = { ...raw('in.bin', 1, 2), ...raw('out.bin', 0.5) };
    const { version } = await register(
      await packageFolder({ manifest: { name: fresh() }, golden: { samples }, files }),
    );
    expect(version.report?.golden).toMatchObject({ compared: 1, missCount: 0 });
    expect(version.files.map((file) => file.path)).toEqual(expect.arrayContaining(['in.bin', 'out.bin']));
    const missing = await packageFolder({
      manifest: { name: fresh() },
      golden: { samples },
      files: raw('in.bin', 1, 2),
    });
    expect((await failure(register(missing))).faults?.[0]?.received).toContain('no such file');
  });

  it('answers version_conflict when somebody else replaced the version while it was tried', async () => {
    const name = fresh();
    const replace = `UPDATE registry.model_version SET revision = revision + 1 WHERE model = '${name}'`;
    at.runtime.before = async () => void (await at.database.query(replace));
    expect((await failure(register(await packageFolder({ manifest: { name } })))).code).toBe('version_conflict');
    expect(at.changes).toEqual([]);
  });

  it('takes a version name only if no alias has it', async () => {
    const name = fresh();
    await register(await packageFolder({ manifest: { name } }));
    const move = { model: name, alias: 'champion', version: '1.0.0', reason: 'first', ifNoneMatch: '*' };
    await at.registry.aliases.move(ALICE, move, at.record);
    const error = await failure(register(await packageFolder({ manifest: { name, version: 'champion' } })));
    expect(error.code).toBe('version_conflict');
  });
});

describe('the application role', () => {
  it('can change neither what a validated version is made of, nor history, nor delete anything', async () => {
    const name = fresh();
    await register(await packageFolder({ manifest: { name } }));
    await at.registry.aliases.move(
      ALICE,
      { model: name, alias: 'champion', version: '1.0.0', reason: 'first', ifNoneMatch: '*' },
      at.record,
    );
    const digest = `sha256:${'f'.repeat(64)}`;
    for (const sql of [
      `UPDATE registry.model_version SET digest = '${digest}' WHERE model = '${name}'`,
      `UPDATE registry.model_version SET manifest = '{}' WHERE model = '${name}'`,
      `UPDATE registry.model_version SET signature = '{}' WHERE model = '${name}'`,
      `UPDATE registry.model_version SET validated_at = NULL WHERE model = '${name}'`,
      `UPDATE registry.model_version SET version = '2' WHERE model = '${name}'`,
      `DELETE FROM registry.model_version WHERE model = '${name}'`,
      `UPDATE registry.alias_event SET version = 'x' WHERE model = '${name}'`,
      `DELETE FROM registry.alias_event`,
      `TRUNCATE registry.alias_event CASCADE`,
      `DELETE FROM registry.model_alias`,
    ]) {
      await expect(at.database.query(sql)).rejects.toThrow(/immutable|keeps its name|permission denied/);
    }
  });
});
