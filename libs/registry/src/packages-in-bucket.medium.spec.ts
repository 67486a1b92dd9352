import { rm } from 'node:fs/promises';
import path from 'node:path';
import { SourceOptions } from './sources/source-options';
import { flipBit } from './testing/flip-bit';
import { packageFolder } from './testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';
import { S3Server } from './testing/s3-server';
import type { ModelRegistry } from './model-registry';

describe('a registry that keeps its packages in a bucket', () => {
  let server: S3Server;
  let fixture: RegistryFixture;
  let registry: ModelRegistry;
  const { signal } = new AbortController();
  const logged: string[] = [];
  const log = {
    error: (_: object, message: string) => void logged.push(message),
    info: (_: object, message: string) => void logged.push(message),
  };

  beforeEach(async () => {
    logged.length = 0;
    server = await S3Server.start();
    fixture = await registryFixture();
    registry = inBucket('one');
  });
  afterEach(async () => {
    await fixture.end();
    await server.stop();
  });

  /** As an installation of its own has it, on the same database. */
  const inBucket = (machine: string): ModelRegistry => {
    const given = { s3Endpoint: server.url, s3AccessKeyId: 'id', s3SecretAccessKey: 'secret', attempts: 1 };
    const artifactFolder = path.join(fixture.options.artifactFolder, machine);
    const sourceOptions = Object.assign(new SourceOptions(), given);
    return fixture.another({ artifactFolder, artifactBucket: server.bucket, keepPredictedDays: 0 }, { sourceOptions });
  };
  const register = async (by = registry) => by.registerFolder(ALICE, await packageFolder(), {}, fixture.record);
  const check = (by = registry) => by.scrubber({ log, record: fixture.record }).checkNow(undefined, signal);

  it('has no valid version whose bytes are not there, and completes it when they come again', async () => {
    server.refuses = ({ key }) => key.endsWith('.json') && !key.includes('/golden');
    await expect(register()).rejects.toMatchObject({ code: 'source_unavailable' });
    expect(await registry.find('linear', '1.0.0')).toMatchObject({ status: 'registered' });
    expect([fixture.runtime.trials, fixture.changes]).toEqual([[], []]);
    server.refuses = () => false;
    const { version, created } = await register();
    expect([version.status, created]).toEqual(['validated', true]);
    expect(server.objects.has(`packages/${version.digest.slice(7)}.json`)).toBe(true);
  });

  it('lets nobody import what it keeps there, however the place is written', async () => {
    const { version } = await register();
    const hex = version.digest.slice(7);
    const { bucket } = server;
    const before = server.calls.length;
    for (const uri of [
      `s3://${bucket}/packages/${hex}/`,
      `s3://${bucket}/packages/${hex}/model.onnx`,
      `s3://${bucket.toUpperCase()}/packages/${hex}/`,
      `s3://${bucket}/elsewhere/../packages/${hex}/`,
      `s3://${bucket}/./packages/${hex}/`,
      `s3://${bucket}/pack`,
      `s3://${bucket}/`,
    ])
      await expect(
        registry.importUri(ALICE, { uri, name: 'mine', version: '1' }, fixture.record),
      ).rejects.toMatchObject({ code: 'invalid_parameter' });
    expect(server.calls.length).toBe(before);
  });

  it('gives another installation its versions, to load and to export', async () => {
    const { version } = await register();
    const other = inBucket('two');
    const folder = await other.artifactFolder(version.digest);
    expect(folder).toContain(`${path.sep}two${path.sep}`);
    expect(await other.modelFile(folder, version)).toBe(path.join(folder, 'model.onnx'));
    await rm(folder, { recursive: true });
    expect((await other.export(ALICE, version, fixture.record)).bytes).toBeGreaterThan(0);
  });

  it('mends what a look finds damaged, and reports what the bucket cannot give', async () => {
    const { version } = await register();
    const model = path.join(await registry.artifactFolder(version.digest), 'model.onnx');
    fixture.changes.length = 0;
    await flipBit(model, 3);
    expect(await check()).toMatchObject([{ intact: true, damaged: [] }]);
    expect(logged).toEqual(['damaged or missing files of a version were fetched']);
    expect(fixture.changes).toEqual([]);
    await flipBit(model, 3);
    server.refuses = () => true;
    expect(await check()).toMatchObject([{ intact: false, damaged: ['model.onnx'] }]);
    expect(fixture.changes).toMatchObject([{ action: 'model.check', changes: { intact: { from: true, to: false } } }]);
    server.refuses = () => false;
    expect(await check()).toMatchObject([{ intact: true, damaged: [] }]);
    expect(fixture.changes.at(-1)).toMatchObject({ changes: { intact: { from: false, to: true } } });
  });

  it('deletes from the bucket too, at the latest with the next start after it was away', async () => {
    const { version } = await register();
    server.refuses = () => true;
    const decision = { model: 'linear', version: '1.0.0', reason: 'no longer needed' };
    const deleted = await registry.delete(ALICE, decision, fixture.record);
    expect(deleted.deletion).toBeDefined();
    expect(server.objects.size).toBeGreaterThan(0);
    await inBucket('one').start();
    server.refuses = () => false;
    await inBucket('one').start();
    expect(server.objects.size).toBe(0);
    await expect(registry.artifactFolder(version.digest)).rejects.toMatchObject({ code: 'model_not_ready' });
  });
});
