import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { linearModel } from '@sibyl/onnx/testing';
import { ModelPolicy } from './model-policy';
import { packageFolder } from './testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

describe('deleting the bytes of a version', () => {
  let fixture: RegistryFixture;
  beforeEach(async () => (fixture = await registryFixture()));
  afterEach(() => fixture.end());

  const packages = (): Promise<string[]> => readdir(path.join(fixture.options.artifactFolder, 'packages'));
  const take = async (version: string, bias: number) => {
    const model = linearModel({ weights: [[2, -1]], bias: [bias] });
    const folder = await packageFolder({ manifest: { version }, model, golden: null });
    return fixture.registry.registerFolder(ALICE, folder, {}, fixture.record);
  };
  const remove = (version: string) =>
    fixture.registry.delete(ALICE, { model: 'linear', version, reason: 'no longer needed' }, fixture.record);
  const move = async (version: string) => {
    const present = await fixture.registry.catalog.aliasAt('linear', 'production').catch(() => undefined);
    const seen = present === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: present.etag };
    const to = { model: 'linear', alias: 'production', version, reason: 'a test', ...seen };
    await fixture.registry.aliases.move(ALICE, to, fixture.record);
  };

  it('takes them from the disk and keeps all that is known of it', async () => {
    const { version } = await take('1.0.0', 1);
    await take('2.0.0', 2);
    const deleted = await remove('1.0.0');
    expect(deleted).toMatchObject({ status: 'archived', digest: version.digest, report: { passed: true } });
    expect(deleted.deletion).toMatchObject({ actor: ALICE, reason: 'no longer needed' });
    expect(await packages()).toHaveLength(1);
    expect(fixture.changes.at(-1)).toMatchObject({ action: 'model.delete', model: { digest: version.digest } });
    await expect(fixture.registry.artifactFolder(version.digest)).rejects.toMatchObject({ code: 'model_not_ready' });
    const approval = { model: 'linear', version: '1.0.0', reason: 'after all' };
    const unservable = { code: 'version_not_servable' };
    await expect(fixture.registry.approve(ALICE, approval, fixture.record)).rejects.toMatchObject(unservable);
    await expect(fixture.registry.export(ALICE, approval, fixture.record)).rejects.toMatchObject(unservable);
    // Once more is the same, without another event.
    const events = fixture.changes.length;
    expect(await remove('1.0.0')).toEqual(deleted);
    expect(fixture.changes).toHaveLength(events);
  });

  it('is refused while an alias points at it or a rollback leads to it', async () => {
    await take('1.0.0', 1);
    await take('2.0.0', 2);
    await move('1.0.0');
    await move('2.0.0');
    const because = (received: string) => ({ code: 'in_use', faults: [expect.objectContaining({ received })] });
    await expect(remove('2.0.0')).rejects.toMatchObject(because("the alias 'production' points at it"));
    await expect(remove('1.0.0')).rejects.toMatchObject(because("a rollback of 'production' leads to it"));
    expect(await packages()).toHaveLength(2);
    const given = { model: 'linear', version: '1.0.0', reason: 'never again' };
    await fixture.registry.archive(ALICE, given, fixture.record);
    expect((await remove('1.0.0')).deletion).toBeDefined();
  });

  it('is refused while the policy keeps it warm', async () => {
    for (const [i, version] of ['1.0.0', '2.0.0', '3.0.0', '4.0.0'].entries()) {
      await take(version, i);
      await move(version);
    }
    const policy = ModelPolicy.of({ keepWarm: 2 });
    const set = { model: 'linear', policy, reason: 'two are enough', ifNoneMatch: '*' as const };
    await fixture.registry.setPolicy(ALICE, set, fixture.record);
    const { models } = await fixture.registry.snapshot();
    expect(models[0]?.warm).toEqual(['3.0.0', '2.0.0']);
    const received = 'keep_warm of the policy is 2, and keeps it';
    await expect(remove('2.0.0')).rejects.toMatchObject({
      code: 'in_use',
      faults: [expect.objectContaining({ received })],
    });
    expect((await remove('1.0.0')).deletion).toBeDefined();
    await fixture.registry.archive(ALICE, { model: 'linear', version: '2.0.0', reason: 'given up' }, fixture.record);
    expect((await remove('2.0.0')).deletion).toBeDefined();
  });

  it('keeps bytes that another version has too', async () => {
    const folder = await packageFolder({ manifest: undefined, golden: null });
    for (const name of ['one', 'two'])
      await fixture.registry.registerFolder(ALICE, folder, { name, version: '1' }, fixture.record);
    expect(await packages()).toHaveLength(1);
    const decision = (model: string) => ({ model, version: '1', reason: 'a test' });
    await fixture.registry.delete(ALICE, decision('one'), fixture.record);
    expect(await packages()).toHaveLength(1);
    await fixture.registry.delete(ALICE, decision('two'), fixture.record);
    expect(await packages()).toHaveLength(0);
  });

  it('is undone by the same bytes, which are archived as they were', async () => {
    const { version } = await take('1.0.0', 1);
    await remove('1.0.0');
    const again = await take('1.0.0', 1);
    expect(again).toMatchObject({ created: false, version: { status: 'archived', digest: version.digest } });
    expect(again.version.deletion).toBeUndefined();
    expect(await fixture.registry.artifactFolder(version.digest)).toContain('packages');
  });

  it('is not undone by a server that finds the package again', async () => {
    const { version } = await take('1.0.0', 1);
    await remove('1.0.0');
    const model = linearModel({ weights: [[2, -1]], bias: [1] });
    const folder = await packageFolder({ manifest: { version: '1.0.0' }, model, golden: null });
    const system = { type: 'system', id: 'start', name: 'start' } as const;
    const found = await fixture.registry.registerFolder(system, folder, {}, fixture.record);
    expect(found).toMatchObject({ created: false, version: { deletion: expect.anything() } });
    await expect(fixture.registry.artifactFolder(version.digest)).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  it('ends its approvals: what comes back is approved anew', async () => {
    await take('1.0.0', 1);
    const bob = { ...ALICE, id: 'bob', keyId: 'bob', name: 'bob' };
    const approval = { model: 'linear', version: '1.0.0', reason: 'reviewed' };
    expect((await fixture.registry.approve(bob, approval, fixture.record)).approvals).toHaveLength(1);
    await remove('1.0.0');
    expect((await take('1.0.0', 1)).version.approvals).toEqual([]);
  });

  it('does not keep others from the place of one that never was valid', async () => {
    const golden = {
      source: 'a test',
      tolerance: { rtol: 0, atol: 0 },
      samples: [{ inputs: { features: [[1, 1]] }, outputs: { variable: [[9]] } }],
    };
    const wrong = await packageFolder({
      manifest: { version: '1.0.0' },
      model: linearModel({ weights: [[2, -1]], bias: [1] }),
      golden,
    });
    await expect(fixture.registry.registerFolder(ALICE, wrong, {}, fixture.record)).rejects.toMatchObject({
      code: 'model_rejected',
    });
    await fixture.registry.archive(
      ALICE,
      { model: 'linear', version: '1.0.0', reason: 'it was wrong' },
      fixture.record,
    );
    expect(await take('1.0.0', 5)).toMatchObject({ created: true, version: { status: 'validated' } });
  });

  it('that a crash cut short after its commit ends with the next start', async () => {
    const { version } = await take('1.0.0', 1);
    const { database } = fixture;
    const at = new Date().toISOString();
    await database.query('INSERT INTO registry.released_artifact (digest, at) VALUES ($1, $2)', [version.digest, at]);
    await fixture.another().start();
    // Released in error: a version still needs it.
    expect(await packages()).toHaveLength(1);
    await database.query('INSERT INTO registry.released_artifact (digest, at) VALUES ($1, $2)', [version.digest, at]);
    await database.query(`UPDATE registry.model_version SET status = 'archived', deletion = '{}'`);
    await fixture.another().start();
    expect(await packages()).toHaveLength(0);
    expect(await database.query('SELECT * FROM registry.released_artifact')).toEqual([]);
  });

  it('takes the bytes of a rejected version with it when others come in its place', async () => {
    fixture.runtime.answer = (features) => ({ ...features, name: 'variable', shape: [1, 1], data: Float32Array.of(9) });
    const wrong = await packageFolder({ model: linearModel({ weights: [[0, 0]], bias: [9] }) });
    const rejected = fixture.registry.registerFolder(ALICE, wrong, {}, fixture.record);
    await expect(rejected).rejects.toMatchObject({ code: 'model_rejected' });
    expect(await packages()).toHaveLength(1);
    const { version } = await take('1.0.0', 1);
    expect(await packages()).toEqual([version.digest.slice('sha256:'.length)]);
    expect(await fixture.database.query('SELECT * FROM registry.released_artifact')).toEqual([]);
  });

  it('takes the bytes of a rejected version also with those that are rejected in its place', async () => {
    fixture.runtime.answer = (features) => ({ ...features, name: 'variable', shape: [1, 1], data: Float32Array.of(9) });
    for (const bias of [8, 9]) {
      const wrong = await packageFolder({ model: linearModel({ weights: [[0, 0]], bias: [bias] }) });
      const rejected = fixture.registry.registerFolder(ALICE, wrong, {}, fixture.record);
      await expect(rejected).rejects.toMatchObject({ code: 'model_rejected' });
      const { digest } = await fixture.registry.find('linear', '1.0.0');
      expect(await packages()).toEqual([digest.slice('sha256:'.length)]);
    }
  });

  it('is refused where the version has answered of late', async () => {
    const asked: unknown[] = [];
    const kept = fixture.another(
      {},
      {
        lastPrediction: (...of) => {
          asked.push(of);
          return Promise.resolve('2026-01-01T00:00:00Z');
        },
      },
    );
    await take('1.0.0', 1);
    const decision = { model: 'linear', version: '1.0.0', reason: 'a test' };
    await expect(kept.delete(ALICE, decision, fixture.record)).rejects.toMatchObject({
      code: 'in_use',
      faults: [{ received: 'its last prediction was recorded at 2026-01-01T00:00:00Z' }],
    });
    expect(asked).toEqual([['linear', '1.0.0', fixture.clock.now() - 30 * 24 * 3_600_000]]);
  });
});
