import { chmod, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { attribute, encodeModel, externalTensor, node, value, zipMapModel, zipMapValue } from '@sibyl/onnx/testing';
import { packageDigest } from './package-digest';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';
import { packageFolder } from './testing/package-folder';
import type { ModelVersion } from './model-version';

let fixture: RegistryFixture;
beforeAll(async () => {
  fixture = await registryFixture();
});
afterAll(() => fixture.end());

const bare = (model: Buffer, parts = {}) => packageFolder({ model, manifest: undefined, golden: null, ...parts });

async function register(version: string, folder: string): Promise<ModelVersion> {
  const expect = { name: 'zipped', version };
  return (await fixture.registry.registerFolder(ALICE, folder, expect, fixture.record)).version;
}

const derivedFile = (version: ModelVersion): string =>
  path.join(fixture.options.artifactFolder, 'derived', version.digest.slice(7), 'model.onnx');

async function modelFile(version: ModelVersion): Promise<string> {
  const { registry } = fixture;
  return registry.modelFile(await registry.artifactFolder(version.digest), version);
}

describe('a model with a ZipMap', () => {
  let version: ModelVersion;
  beforeAll(async () => {
    version = await register('1', await bare(zipMapModel()));
  });

  it('is validated as the file that will run, and keeps the digest of what came', async () => {
    expect(version.status).toBe('validated');
    const { path: tried } = fixture.runtime.trials.at(-1)!.model;
    expect(tried).toBe(derivedFile(version));
    expect(version.digest).toBe(packageDigest(version.files));
    expect(version.onnx.operators).toMatchObject({ 'ai.onnx.ml:ZipMap': 1 });
    expect(version.signature.outputs[1]).toEqual({ name: 'output_probability', datatype: 'FP32', shape: [-1, 2] });
    expect(await readFile(path.join(await fixture.registry.artifactFolder(version.digest), 'model.onnx'))).toEqual(
      zipMapModel(),
    );
  });

  it('has its keys as classes, and says what was done to it', async () => {
    const derived = {
      file: 'model.onnx',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      bytes: (await readFile(derivedFile(version))).length,
      changes: [expect.objectContaining({ kind: 'zipmap_dropped', output: 'output_probability', classes: [0, 1] })],
    };
    for (const seen of [version, await fixture.registry.find('zipped', '1')]) {
      expect(seen.derived).toEqual(derived);
      expect(seen.manifest.classes).toEqual(['0', '1']);
      expect(seen.manifest.document).not.toHaveProperty('classes');
    }
    expect(fixture.changes.at(-1)).toMatchObject({
      action: 'model.register',
      changes: { derived: { sha256: version.derived?.sha256, changes: [{ kind: 'zipmap_dropped' }] } },
    });
  });

  it('keeps the classes that its manifest names', async () => {
    const manifest = { name: 'zipped', version: 'named', classes: ['no', 'yes'] };
    const folder = await packageFolder({
      model: zipMapModel(),
      golden: null,
      manifest: { ...manifest, inputs: undefined, features: undefined, outputs: undefined, decision: undefined },
    });
    expect((await register('named', folder)).manifest.classes).toEqual(['no', 'yes']);
  });

  it('runs again when its file is gone, cut off, or was changed', async () => {
    const file = derivedFile(version);
    const whole = await readFile(file);
    await rm(path.dirname(file), { recursive: true });
    expect(await modelFile(version)).toBe(file);
    expect(await readFile(file)).toEqual(whole);
    for (const damaged of [whole.subarray(0, 100), Buffer.concat([whole.subarray(0, -1), Buffer.from('x')])]) {
      await chmod(file, 0o600);
      await writeFile(file, damaged);
      await Promise.all([modelFile(version), modelFile(version)]);
      expect(await readFile(file)).toEqual(whole);
    }
    expect(await readdir(path.join(fixture.options.artifactFolder, 'staging'))).toEqual([]);
  });

  it('does not run as another file than the one that was validated', async () => {
    const other = { ...version, derived: { ...version.derived!, sha256: '0'.repeat(64) } };
    await expect(modelFile(other)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(await modelFile(version)).toBe(derivedFile(version));
  });

  it('is validated again as what it was', async () => {
    const decision = { model: 'zipped', version: '1', reason: 'a new runtime' };
    const again = await fixture.registry.revalidate(ALICE, decision, fixture.record);
    expect(again.derived).toEqual(version.derived);
    expect(fixture.runtime.trials.at(-1)!.model.path).toBe(derivedFile(version));
  });

  it('cannot be given another file once it was valid', async () => {
    const change = fixture.database.query("UPDATE registry.model_version SET derived = '{}' WHERE version = '1'");
    await expect(change).rejects.toThrow(/immutable/);
  });
});

it('has its weights beside it where the package has', async () => {
  const keys = attribute('classlabels_strings', { strings: ['a', 'b'] });
  const model = encodeModel({
    opsets: [
      ['', 17],
      ['ai.onnx.ml', 3],
    ],
    nodes: [
      node('MatMul', ['features', 'w'], ['scores']),
      node('ZipMap', ['scores'], ['answer'], { domain: 'ai.onnx.ml', attributes: [keys] }),
    ],
    initializers: [externalTensor('w', 'FP32', [2, 2], { location: 'weights.bin' })],
    inputs: [value('features', 'FP32', [-1, 2])],
    outputs: [zipMapValue('answer')],
  });
  const weights = Buffer.from(new Float32Array([1, 2, 3, 4]).buffer);
  const version = await register('external', await bare(model, { files: { 'weights.bin': weights } }));
  const beside = path.join(path.dirname(derivedFile(version)), 'weights.bin');
  expect(await readFile(beside)).toEqual(weights);
  await chmod(beside, 0o600);
  await writeFile(beside, Buffer.alloc(16));
  await modelFile(version);
  expect(await readFile(beside)).toEqual(weights);
});

it('refuses lists of dictionaries that no ZipMap at the end makes, with nothing left behind', async () => {
  const model = encodeModel({
    nodes: [node('Identity', ['features'], ['answer'])],
    inputs: [value('features', 'FP32', [-1, 2])],
    outputs: [zipMapValue('answer')],
  });
  await expect(register('never', await bare(model))).rejects.toMatchObject({ code: 'model_rejected' });
  await expect(fixture.registry.find('zipped', 'never')).rejects.toMatchObject({ code: 'version_not_found' });
});
