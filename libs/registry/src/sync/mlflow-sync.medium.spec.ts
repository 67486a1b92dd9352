import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { ModelPolicy } from '../model-policy';
import type { ModelRegistry } from '../model-registry';
import { SourceOptions } from '../sources/source-options';
import { MlflowServer } from '../testing/mlflow-server';
import { packageFolder } from '../testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from '../testing/registry-fixture';
import type { MlflowSync, SyncResult } from './mlflow-sync';
import { readSync } from './sync-rule';

let at: RegistryFixture;
let mlflow: MlflowServer;
let model: string;
let registry: ModelRegistry;
let models = 0;
beforeAll(async () => {
  at = await registryFixture();
});
afterAll(() => at.end());
beforeEach(async () => {
  mlflow = await MlflowServer.start();
  model = `s${++models}`;
  registry = withOptions();
});
afterEach(async () => {
  await at.database.query('DELETE FROM registry.model_sync');
  // So that no later test follows what this one did.
  await setPolicy(undefined);
  await mlflow.stop();
  expect(await readdir(path.join(at.options.artifactFolder, 'uploads'))).toEqual([]);
});

function withOptions(given: Partial<SourceOptions> = {}): ModelRegistry {
  const quick = { mlflowUri: mlflow.http.url, retryMs: 1, attempts: 2 };
  return at.another({}, { sourceOptions: Object.assign(new SourceOptions(), quick, given) });
}

async function setPolicy(sync: Record<string, unknown> | undefined, rest: Partial<ModelPolicy> = {}): Promise<void> {
  const { etag } = await registry.policies.of(undefined, model);
  const policy = ModelPolicy.of({ ...rest, sync: sync && readSync({ name: 'churn', ...sync }) });
  await registry.setPolicy(ALICE, { model, policy, reason: 'to follow it', ifMatch: etag }, at.record);
}

/** Files of a package that says nothing of its version. */
async function files(weights = 2): Promise<Record<string, Buffer>> {
  const folder = await packageFolder({ manifest: { name: model, version: undefined, metrics: { weights } } });
  const names = await readdir(folder);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name))] as const)),
  );
}

function syncOf(own: ModelRegistry = registry): { sync: MlflowSync; results: SyncResult[]; warnings: string[] } {
  const results: SyncResult[] = [];
  const warnings: string[] = [];
  const sync = own.mlflowSync({
    record: at.record,
    log: { info: () => undefined, warn: (_fields, message) => void warnings.push(message) },
    promote: (actor, move) => own.aliases.move(actor, move, at.record),
    onResult: (_model, result) => void results.push(result),
  });
  return { sync, results, warnings };
}

const dueNow = (): Promise<unknown> =>
  at.database.query("UPDATE registry.model_sync SET due_at = now(), lease_until = 'epoch'");
const aliased = async (alias: string): Promise<string> => (await registry.catalog.aliasAt(model, alias)).version;

describe('a model that follows MLflow', () => {
  it('takes each new version of the stage, once, and promotes it where the policy says so', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({ promote: 'production' });
    const { sync, results } = syncOf();
    await sync.tick();
    expect((await registry.find(model, '1')).source).toMatchObject({
      resolvedUri: 'models:/churn/1',
      registryVersion: '1',
      runId: 'r1',
    });
    expect(await aliased('production')).toBe('1');
    const asked = mlflow.http.requests.length;
    await sync.tick();
    expect(mlflow.http.requests).toHaveLength(asked);
    await dueNow();
    await sync.tick();
    const before = mlflow.versions.get('churn')?.[0];
    if (before) before.stage = 'Archived';
    mlflow.register('churn', 'Production', await files(3));
    await dueNow();
    await sync.tick();
    expect(results).toEqual(['imported', 'unchanged', 'imported']);
    expect(await aliased('production')).toBe('2');
    expect(at.changes.filter(({ action }) => action === 'model.promote').at(-1)).toMatchObject({
      reason: "followed 'churn' of MLflow",
    });
  });

  it('is left where somebody has moved it back to, until the next version comes', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({ promote: 'production' });
    const { sync } = syncOf();
    await sync.tick();
    mlflow.register('churn', 'Production', await files(3));
    await dueNow();
    await sync.tick();
    expect(await aliased('production')).toBe('2');
    const { etag } = await registry.catalog.aliasAt(model, 'production');
    await registry.aliases.rollback(ALICE, { model, alias: 'production', reason: 'worse', ifMatch: etag }, at.record);
    await dueNow();
    await sync.tick();
    expect(await aliased('production')).toBe('1');
    // Nor does it come back because somebody edits another member of the policy.
    await setPolicy({ promote: 'production' }, { keepWarm: 1 });
    await sync.tick();
    expect(await aliased('production')).toBe('1');
  });

  it('takes a version of a fallback stage and says so, until the stage itself has it', async () => {
    mlflow.register('churn', 'Staging', await files());
    await setPolicy({ stages: ['Production'], promote: 'production' });
    const { sync } = syncOf();
    await sync.tick();
    expect((await registry.find(model, '1')).source?.insteadOf).toBe('Production');
    const standIn = mlflow.versions.get('churn')?.[0];
    if (standIn) standIn.stage = 'Production';
    await dueNow();
    await sync.tick();
    const after = await registry.find(model, '1');
    expect(after.source).toMatchObject({ resolvedUri: 'models:/churn/1' });
    expect(after.source?.insteadOf).toBeUndefined();
    expect(at.changes.filter(({ action }) => action === 'model.sync').map(({ changes }) => changes)).toEqual([
      { instead_of: { from: null, to: 'Production' } },
      { instead_of: { from: 'Production', to: null } },
    ]);
  });

  it('follows an alias, and falls back where MLflow has none of that name', async () => {
    mlflow.register('churn', 'None', await files());
    mlflow.register('churn', 'None', await files(3));
    mlflow.aliases.set('champion', '1');
    await setPolicy({ alias: 'champion' });
    const { sync } = syncOf();
    await sync.tick();
    expect((await registry.find(model, '1')).source?.insteadOf).toBeUndefined();
    mlflow.aliases.clear();
    await dueNow();
    await sync.tick();
    expect((await registry.find(model, '2')).source?.insteadOf).toBe('champion');
  });

  it('is not changed by a registry that is down, which is asked again later and later', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({ promote: 'production' });
    const { sync, results, warnings } = syncOf();
    await sync.tick();
    const before = await registry.snapshot();
    await mlflow.stop();
    for (const failures of [1, 2, 3]) {
      await dueNow();
      await sync.tick();
      const [row] = await at.database.query<{ failures: number; wait: string }>(
        'SELECT failures, extract(epoch FROM due_at - now()) AS wait FROM registry.model_sync',
      );
      expect(row?.failures).toBe(failures);
      expect(Number(row?.wait)).toBeGreaterThan(10 * 2 ** failures);
    }
    expect(results).toEqual(['imported', 'failed', 'failed', 'failed']);
    expect(warnings).toHaveLength(3);
    expect(await registry.snapshot()).toEqual(before);
    mlflow = await MlflowServer.start();
  });

  it('says in its policy how far it has come, and why it comes no further', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({});
    const status = async (): Promise<unknown> => (await registry.policies.find(model)).syncStatus;
    expect(await status()).toBeUndefined();
    const { sync } = syncOf();
    await sync.tick();
    const taken = { failures: 0, registryUri: mlflow.http.url, registryVersion: '1', version: '1' };
    expect(await status()).toEqual({ ...taken, checkedAt: expect.any(String), dueAt: expect.any(String) });
    await mlflow.stop();
    await dueNow();
    await sync.tick();
    expect(await status()).toMatchObject({ ...taken, failures: 1, problem: expect.stringMatching(/\w/) });
    // Another member of the policy says nothing of it; what another thing is followed by does.
    await setPolicy({}, { keepWarm: 1 });
    expect(await status()).toMatchObject({ ...taken, failures: 1 });
    await setPolicy({ name: 'other' });
    expect(await status()).toBeUndefined();
    mlflow = await MlflowServer.start();
    registry = withOptions();
    mlflow.register('other', 'Production', { 'model.onnx': Buffer.from('not a model') });
    await syncOf().sync.tick();
    const refused = (await status()) as { version?: string };
    expect(refused).toMatchObject({ failures: 0, registryVersion: '1', detail: expect.stringMatching(/\w/) });
    expect(refused.version).toBeUndefined();
    expect(refused).not.toHaveProperty('problem');
    await setPolicy(undefined);
    expect(await status()).toBeUndefined();
  });

  it('is not taken where this server knows no MLflow and the policy names none', async () => {
    registry = at.another({}, { sourceOptions: new SourceOptions() });
    await expect(setPolicy({})).rejects.toMatchObject({
      code: 'invalid_parameter',
      faults: [{ pointer: '/sync/registry_uri', expected: expect.stringContaining('MLFLOW_TRACKING_URI') }],
    });
    await setPolicy({ registry_uri: 'https://mlflow.example.com' });
    expect((await registry.policies.find(model)).policy.sync?.registryUri).toBe('https://mlflow.example.com');
  });

  it('does not fetch again what was refused, and takes the next version', async () => {
    mlflow.register('churn', 'Production', { 'model.onnx': Buffer.from('not a model') });
    await setPolicy({});
    const { sync, results } = syncOf();
    await sync.tick();
    await dueNow();
    const asked = mlflow.http.asked('/api/2.0/mlflow-artifacts/artifacts/churn/1/model.onnx');
    await sync.tick();
    expect(mlflow.http.asked('/api/2.0/mlflow-artifacts/artifacts/churn/1/model.onnx')).toBe(asked);
    mlflow.register('churn', 'Production', await files());
    await dueNow();
    await sync.tick();
    expect(results).toEqual(['refused', 'unchanged', 'imported']);
  });

  it('waits for people where the policy wants them', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({ promote: 'production' });
    const own = registry;
    const { sync, warnings } = syncOf({
      ...own,
      mlflowSync: own.mlflowSync.bind(own),
      aliases: { move: () => Promise.reject(new DomainError('version_not_servable', 'It needs 2 approvals.')) },
    } as unknown as ModelRegistry);
    await sync.tick();
    await dueNow();
    await sync.tick();
    expect(warnings).toEqual(['a version that came waits to be promoted']);
    expect((await registry.find(model, '1')).status).toBe('validated');
  });

  it('is looked after by one of several processes', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({});
    const all = Array.from({ length: 5 }, () => syncOf(withOptions()));
    await Promise.all(all.map(({ sync }) => sync.tick()));
    expect(all.flatMap(({ results }) => results)).toEqual(['imported']);
    expect(mlflow.http.asked('/api/2.0/mlflow-artifacts/artifacts/churn/1/model.onnx')).toBe(1);
  });

  it('asks another server only where imports may, and sends it no credentials', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({ registry_uri: mlflow.http.url });
    const closed = syncOf(withOptions({ mlflowUri: 'http://127.0.0.1:1', mlflowToken: 'secret' }));
    await closed.sync.tick();
    expect(closed.results).toEqual(['failed']);
    expect(mlflow.http.requests).toEqual([]);
    await dueNow();
    const open = syncOf(
      withOptions({ mlflowUri: 'http://127.0.0.1:1', mlflowToken: 'secret', hosts: [mlflow.http.host] }),
    );
    await open.sync.tick();
    expect(open.results).toEqual(['imported']);
    expect(mlflow.http.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });
  it('takes a version of that number at another server for another version', async () => {
    mlflow.register('churn', 'Production', await files());
    await setPolicy({ promote: 'production' });
    const { sync, results } = syncOf();
    await sync.tick();
    const first = await registry.find(model, '1');
    expect(first.source?.registryUri).toBe(mlflow.http.url);
    const other = await MlflowServer.start();
    try {
      // The settings name another server now, and the policy is what it was.
      other.register('churn', 'Production', await files(3));
      const moved = syncOf(withOptions({ mlflowUri: other.http.url }));
      await dueNow();
      await moved.sync.tick();
      // A version is never replaced by other bytes.
      expect(moved.results).toEqual(['refused']);
      expect((await registry.find(model, '1')).digest).toBe(first.digest);
      const [version] = other.versions.get('churn') ?? [];
      if (version) version.stage = 'Archived';
      other.register('churn', 'Production', await files(4));
      await dueNow();
      await moved.sync.tick();
      expect(moved.results).toEqual(['refused', 'imported']);
      expect(await aliased('production')).toBe('2');
      // The first server again: what came of its version is known by what it came from.
      await dueNow();
      await sync.tick();
      expect(results).toEqual(['imported', 'unchanged']);
      expect(await aliased('production')).toBe('1');
    } finally {
      await other.stop();
    }
  });

  it('does not fetch again what is here already because somebody else had brought it', async () => {
    mlflow.register('churn', 'Production', await files());
    const folder = await packageFolder({ manifest: { name: model, version: undefined, metrics: { weights: 2 } } });
    await registry.registerFolder(ALICE, folder, { version: '1' }, at.record);
    await setPolicy({});
    const { sync } = syncOf();
    const file = '/api/2.0/mlflow-artifacts/artifacts/churn/1/model.onnx';
    await sync.tick();
    expect(mlflow.http.asked(file)).toBe(1);
    await dueNow();
    await sync.tick();
    expect(mlflow.http.asked(file)).toBe(1);
  });
});
