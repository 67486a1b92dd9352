import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Actor } from '@sibyl/kernel';
import { ModelPolicy } from '../model-policy';
import type { ModelVersion } from '../model-version';
import { SourceOptions } from '../sources/source-options';
import { MlflowServer } from '../testing/mlflow-server';
import { packageFolder } from '../testing/package-folder';
import { registryFixture, type RegistryFixture } from '../testing/registry-fixture';
import { readSync } from './sync-rule';

const person = (id: string, owner: string, of = id): Actor => ({
  type: 'key',
  id,
  keyId: id,
  name: id,
  owner,
  person: of,
});
const ANN = person('k1', 'Ann');
const FORGED = person('k2', 'Eve', 'k1');
const BEN = person('k3', 'Ben');

describe('a version that came because a model follows MLflow', () => {
  let at: RegistryFixture;
  let mlflow: MlflowServer;
  beforeAll(async () => {
    at = await registryFixture();
    mlflow = await MlflowServer.start();
  });
  afterAll(async () => {
    await mlflow.stop();
    await at.end();
  });

  it('is registered in the name of who made the model follow, who then approves nothing of it', async () => {
    const sourceOptions = Object.assign(new SourceOptions(), { mlflowUri: mlflow.http.url, retryMs: 1, attempts: 2 });
    const registry = at.another({}, { sourceOptions });
    const model = 'followed';
    const sync = readSync({ name: 'churn' });
    const edits: [Actor, Partial<ModelPolicy>][] = [
      [BEN, { sync: readSync({ name: 'other' }) }],
      [ANN, { sync }],
      // Who edits another member has not made it follow.
      [BEN, { sync, approvals: 1 }],
    ];
    for (const [actor, policy] of edits) {
      const { etag: ifMatch } = await registry.policies.of(undefined, model);
      await registry.setPolicy(actor, { model, policy: ModelPolicy.of(policy), reason: 'r', ifMatch }, at.record);
    }
    const folder = await packageFolder({ manifest: { name: model, version: undefined } });
    const names = await readdir(folder);
    const files = names.map(async (name) => [name, await readFile(path.join(folder, name))] as const);
    mlflow.register('churn', 'Production', Object.fromEntries(await Promise.all(files)));
    const log = { info: () => undefined, warn: () => undefined };
    const promote = () => Promise.reject(new Error('nothing is promoted'));
    await registry.mlflowSync({ record: at.record, log, promote }).tick();
    const approve = (actor: Actor): Promise<ModelVersion> =>
      registry.approve(actor, { model, version: '1', reason: 'r' }, at.record);
    expect((await registry.find(model, '1')).registeredBy).toMatchObject({ type: 'system', owner: 'Ann' });
    for (const actor of [ANN, FORGED]) await expect(approve(actor)).rejects.toMatchObject({ code: 'policy_forbidden' });
    expect((await approve(BEN)).status).toBe('approved');
  });
});
