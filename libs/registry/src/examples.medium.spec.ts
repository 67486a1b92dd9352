import path from 'node:path';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { startTestRuntime, type TestRuntime } from '@sibyl/inference/testing';
import { SystemClock, UuidV7Source, systemActor } from '@sibyl/kernel';
import { link, mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import { classifierModel, encodeModel, externalDataModel, node, value } from '@sibyl/onnx/testing';
import { ModelRegistry, RegistryOptions, registryMigrations } from './index';
import { packageFolder } from './testing';

const EXAMPLES = path.resolve(__dirname, '../../../examples/models');
const ACTOR = systemActor('test');
const nothing = (): Promise<void> => Promise.resolve();

let db: TestDatabase;
let test: TestRuntime;
let registry: ModelRegistry;
let folder: string;
beforeAll(async () => {
  db = await createTestDatabase(registryMigrations);
  test = await startTestRuntime();
  folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-examples-'));
  const clock = new SystemClock();
  const options = Object.assign(new RegistryOptions(), { artifactFolder: folder });
  registry = new ModelRegistry({
    database: db.database,
    runtime: test.runtime,
    clock,
    ids: new UuidV7Source(clock),
    options,
  });
});
afterAll(async () => {
  await test.close();
  await db.drop();
  await rm(folder, { recursive: true });
});

describe('the example models, in the real runtime', () => {
  it('all pass their golden samples; momentum serves 1.2.3 while latest is 1.3.0', async () => {
    const results = await registry.registerAtStart(ACTOR, [`${EXAMPLES}/*`], nothing);
    expect(results.map(({ outcome, model, version, error }) => [outcome, model, version, error])).toEqual([
      ['created', 'breast_cancer', '1.0.0', undefined],
      ['created', 'fraud_detection', '2.0.0', undefined],
      ['created', 'momentum', '1.2.3', undefined],
      ['created', 'momentum', '1.3.0', undefined],
    ]);
    const { items } = await registry.catalog.list();
    for (const { report } of items)
      expect(report).toMatchObject({ passed: true, golden: { compared: 17, missCount: 0 } });
    expect((await registry.find('momentum', 'production')).version).toBe('1.2.3');
    expect((await registry.find('momentum', 'latest')).version).toBe('1.3.0');
  });

  it('are described by what they answer where the file declares less', async () => {
    const { signature, onnx } = await registry.find('fraud_detection', '2.0.0');
    expect(onnx.outputs.find(({ name }) => name === 'label')?.shape).toEqual([1]);
    expect(signature.outputs).toEqual([
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
    ]);
  });

  it('need no trial on the second start', async () => {
    const results = await registry.registerAtStart(ACTOR, [`${EXAMPLES}/*`], nothing);
    expect(results.map(({ outcome }) => outcome)).toEqual(['present', 'present', 'present', 'present']);
  });
});

describe('models from elsewhere, in the real runtime', () => {
  const external = externalDataModel({ location: 'weights.bin' });
  const manifest = {
    name: 'external',
    inputs: undefined,
    features: undefined,
    outputs: undefined,
    decision: undefined,
  };
  const golden = { samples: [{ inputs: { x: [1, 2] }, outputs: { y: [11, 22] } }] };
  const weights = Buffer.from(Float32Array.of(10, 20).buffer);
  const register = (place: string): ReturnType<typeof registry.registerFolder> =>
    registry.registerFolder(ACTOR, place, {}, nothing);

  it('may have weights beside them, which become part of the package', async () => {
    const { version } = await register(
      await packageFolder({ manifest, golden, model: external, files: { 'weights.bin': weights } }),
    );
    expect(version.report).toMatchObject({ passed: true, golden: { compared: 1 } });
    expect(version.files.map(({ path: file }) => file).sort()).toEqual([
      'golden.json',
      'model.onnx',
      'sibyl.json',
      'weights.bin',
    ]);
  });

  it('are refused when the weights are missing, too short, or a link of either kind', async () => {
    const refused = { code: 'model_rejected' };
    const version = { ...manifest, version: '2' };
    await expect(register(await packageFolder({ manifest: version, golden, model: external }))).rejects.toMatchObject(
      refused,
    );
    const short = { 'weights.bin': weights.subarray(1) };
    await expect(
      register(await packageFolder({ manifest: version, golden, model: external, files: short })),
    ).rejects.toMatchObject(refused);
    for (const make of [symlink, link]) {
      const place = await packageFolder({
        manifest: version,
        golden,
        model: external,
        files: { 'other.bin': weights },
      });
      await make(path.join(place, 'other.bin'), path.join(place, 'weights.bin'));
      await expect(register(place)).rejects.toMatchObject(refused);
    }
    await expect(registry.find('external', '2')).rejects.toMatchObject({ code: 'version_not_found' });
  });

  it('may answer with texts, and golden misses of a real run are listed', async () => {
    const model = classifierModel({ weights: [[1], [-1]], bias: [0, 0], labels: ['up', 'down'] });
    const document = { ...manifest, name: 'words', task: 'classification', classes: ['up', 'down'] };
    const right = { samples: [{ inputs: { features: [[1], [-1]] }, outputs: { label: ['up', 'down'] } }] };
    const { version } = await register(await packageFolder({ manifest: document, golden: right, model }));
    expect(version.report?.passed).toBe(true);
    const wrong = { samples: [{ inputs: { features: [[1], [-1]] }, outputs: { label: ['up', 'up'] } }] };
    await expect(
      register(await packageFolder({ manifest: { ...document, version: '2' }, golden: wrong, model })),
    ).rejects.toMatchObject({
      faults: [{ pointer: '/golden.json/samples/0/outputs/label/1', expected: 'up', received: 'down' }],
    });
  });

  it('are rejected with the reason when they pass the scan and do not load', async () => {
    const model = encodeModel({
      nodes: [node('Gemm', ['x', 'x', 'x'], ['y'])],
      inputs: [value('x', 'FP32', [-1])],
      outputs: [value('y', 'FP32', [-1])],
    });
    const outcome = register(await packageFolder({ manifest: { ...manifest, name: 'broken' }, golden: null, model }));
    await expect(outcome).rejects.toMatchObject({ code: 'model_rejected' });
    expect(await registry.find('broken', '1.0.0')).toMatchObject({ status: 'rejected', report: { passed: false } });
  });
});
