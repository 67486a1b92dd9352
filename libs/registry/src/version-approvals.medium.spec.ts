import { DomainError, OPERATOR, systemActor, type Actor } from '@sibyl/kernel';
import { ModelPolicy } from './model-policy';
import type { ModelVersion } from './model-version';
import { packageFolder } from './testing';
import { registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());
beforeEach(() => (at.changes.length = 0));

let actors = 0;
const key = (name: string, owner?: string): Actor => {
  const id = `key-${++actors}`;
  return { type: 'key', id, keyId: id, name, ...(owner === undefined ? {} : { owner }) };
};
const ANN = key('ann laptop', 'Ann');
const ANN_TOO = key('ann ci', ' ann ');
const BEN = key('ben', 'Ben');
const CAT = key('cat');
const CAT_TOO = key('Cat');

let models = 0;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );

const register = (name: string, version: string, manifest: Record<string, unknown> = {}): Promise<unknown> =>
  packageFolder({ manifest: { name, version, ...manifest } }).then((folder) =>
    at.registry.registerFolder(ANN, folder, {}, at.record),
  );
const setPolicy = async (model: string, policy: Partial<ModelPolicy>): Promise<unknown> => {
  const { etag: ifMatch } = await at.registry.policies.of(undefined, model);
  return at.registry.setPolicy(BEN, { model, policy: ModelPolicy.of(policy), reason: 'rules', ifMatch }, at.record);
};
async function modelWith(policy: Partial<ModelPolicy>, ...versions: string[]): Promise<string> {
  const name = `v${++models}`;
  await setPolicy(name, policy);
  for (const version of versions) await register(name, version);
  return name;
}
const approve = (name: string, actor: Actor, version = '1'): Promise<ModelVersion> =>
  at.registry.approve(actor, { model: name, version, reason: 'looks right' }, at.record);
const promote = (name: string, version: string, actor = BEN, alias = 'production'): Promise<unknown> =>
  at.registry.catalog.aliasAt(name, alias).then(
    ({ etag }) =>
      at.registry.aliases.move(actor, { model: name, alias, version, reason: 'r', ifMatch: etag }, at.record),
    () => at.registry.aliases.move(actor, { model: name, alias, version, reason: 'r', ifNoneMatch: '*' }, at.record),
  );
const latest = async (name: string): Promise<string> =>
  at.registry.find(name, 'latest').then(
    ({ version }) => version,
    (error: DomainError) => error.code,
  );
const snapshotOf = async (name: string) => (await at.registry.snapshot()).models.find((entry) => entry.name === name);

describe('approvals', () => {
  it('are asked of distinct persons, and none of them who registered the version', async () => {
    const name = await modelWith({ approvals: 2 }, '1');
    expect((await failure(approve(name, ANN))).code).toBe('policy_forbidden');
    expect((await failure(approve(name, ANN_TOO))).code).toBe('policy_forbidden');
    expect(await approve(name, CAT)).toMatchObject({ status: 'validated', approvals: [{ actor: CAT }] });
    expect(await approve(name, CAT_TOO)).toMatchObject({ status: 'validated', approvals: [{ actor: CAT }] });
    const refused = await failure(promote(name, '1'));
    expect(refused).toMatchObject({
      code: 'version_not_servable',
      faults: [{ pointer: '/approvals', expected: '2 of persons other than who registered it', received: '1' }],
    });
    const approved = await approve(name, BEN);
    expect(approved.status).toBe('approved');
    expect(approved.approvals.map(({ digest, policyRevision, reason }) => [digest, policyRevision, reason])).toEqual([
      [approved.digest, 1, 'looks right'],
      [approved.digest, 1, 'looks right'],
    ]);
    await promote(name, '1');
  });

  it('are given by nobody who could have forged the other: by the chain of keys, whatever is written of owners', async () => {
    const person = (id: string, of: string): Actor => ({ ...key(id, id), person: of });
    const name = await modelWith({ approvals: 2 });
    const folder = await packageFolder({ manifest: { name, version: '1' } });
    await at.registry.registerFolder(person('Dan', 'dan'), folder, {}, at.record);
    expect((await failure(approve(name, person('Not Dan', 'dan')))).code).toBe('policy_forbidden');
    await approve(name, person('Eve', 'eve'));
    expect((await approve(name, person('Not Eve', 'eve'))).approvals).toHaveLength(1);
    expect((await approve(name, person('Fay', 'fay'))).status).toBe('approved');
  });

  it('of what the server took in at its start are for others than the operator', async () => {
    const name = await modelWith({ approvals: 1 });
    const folder = await packageFolder({ manifest: { name, version: '1' } });
    await at.registry.registerAtStart(systemActor('start'), [folder], at.record);
    expect((await failure(approve(name, { ...key('admin'), person: OPERATOR }))).code).toBe('policy_forbidden');
    expect((await approve(name, BEN)).status).toBe('approved');
  });

  it('of one version from all sides at once count once a person', async () => {
    const name = await modelWith({ approvals: 2 }, '1');
    const all = await Promise.all([BEN, BEN, BEN, CAT, CAT_TOO, CAT].map((actor) => approve(name, actor)));
    expect(all.filter(({ status }) => status === 'approved').length).toBeGreaterThan(0);
    expect((await at.registry.find(name, '1')).approvals).toHaveLength(2);
  });

  it('are what latest waits for, in the catalog and in what is served', async () => {
    const name = await modelWith({ approvals: 1 }, '1', '2');
    expect(await latest(name)).toBe('version_not_found');
    expect((await snapshotOf(name))?.latest).toBeUndefined();
    await approve(name, BEN, '1');
    expect(await latest(name)).toBe('1');
    expect((await snapshotOf(name))?.latest).toBe('1');
  });

  it('end when the version is archived, and begin anew when it comes back', async () => {
    const name = await modelWith({ approvals: 2 }, '1');
    await approve(name, BEN);
    await at.registry.archive(CAT, { model: name, version: '1', reason: 'doubts' }, at.record);
    expect(await approve(name, CAT)).toMatchObject({ status: 'archived', approvals: [{ actor: CAT }] });
    expect(await approve(name, BEN)).toMatchObject({ status: 'approved' });
  });

  it('bring a version back for a rollback only when there are enough of them', async () => {
    const name = await modelWith({ approvals: 2 }, '1', '2');
    const { aliases } = at.registry;
    const back = { model: name, alias: 'production', reason: 'worse', ifMatch: '"2"' };
    for (const version of ['1', '2']) {
      for (const actor of [BEN, CAT]) await approve(name, actor, version);
      await promote(name, version);
    }
    await at.registry.archive(CAT, { model: name, version: '1', reason: 'it leaks' }, at.record);
    await approve(name, BEN);
    expect((await failure(aliases.rollback(BEN, back, at.record))).code).toBe('version_not_servable');
    await approve(name, CAT);
    expect(await aliases.rollback(BEN, back, at.record)).toMatchObject({ version: '1' });
  });

  it('end when the version is validated again with other results, and only then', async () => {
    const name = await modelWith({ approvals: 1 }, '1');
    const again = (): Promise<ModelVersion> =>
      at.registry.revalidate(BEN, { model: name, version: '1', reason: 'new runtime' }, at.record);
    await approve(name, BEN);
    expect((await again()).status).toBe('approved');
    const { answer } = at.runtime;
    // Another row count: rows can no longer be shown to be independent.
    at.runtime.answer = (features) => {
      const right = answer(features);
      const shift = features.shape[0] === 2 || features.shape[0] === 1 ? 0 : 1e-3;
      return { ...right, data: Float32Array.from(right.data as Float32Array, (value) => value + shift) };
    };
    const changed = await again().finally(() => (at.runtime.answer = answer));
    expect(changed).toMatchObject({ status: 'validated', approvals: [] });
    expect((await failure(promote(name, '1'))).code).toBe('version_not_servable');
    const rows = await at.database.query<{ kind: string; reason: string }>(
      'SELECT kind, reason FROM registry.model_approval WHERE model = $1 ORDER BY id',
      [name],
    );
    expect(rows.map(({ kind }) => kind)).toEqual(['approve', 'void']);
    await expect(at.database.query('DELETE FROM registry.model_approval')).rejects.toThrow();
  });

  it('are asked for by the policy of now, also of versions that were approved before', async () => {
    const name = await modelWith({}, '1', '2');
    expect((await approve(name, ANN)).status).toBe('approved');
    await approve(name, BEN, '2');
    await setPolicy(name, { approvals: 1 });
    expect((await at.registry.find(name, '1')).status).toBe('validated');
    expect((await at.registry.find(name, '2')).status).toBe('approved');
    expect((await failure(promote(name, '1'))).code).toBe('version_not_servable');
    await promote(name, '2');
    await setPolicy(name, { approvals: 2 });
    expect((await at.registry.find(name, 'production')).version).toBe('2');
    expect(await latest(name)).toBe('version_not_found');
  });

  it('keep production from the first version of a model that asks for them', async () => {
    const name = `v${++models}`;
    await setPolicy(name, { approvals: 1 });
    const folder = await packageFolder({ manifest: { name } });
    const [result] = await at.registry.registerAtStart(ANN, [folder], at.record);
    expect(result?.outcome).toBe('created');
    expect((await at.registry.find(name, '1.0.0')).aliases).toEqual([]);
  });
});

describe('the metrics of a policy', () => {
  const RULES = { metrics: [{ metric: 'accuracy', op: '>=' as const, value: 0.7 }] };

  it('reject a version that does not keep them, for good until it is validated again', async () => {
    const name = await modelWith(RULES);
    const error = await failure(register(name, '1', { metrics: { accuracy: 0.65 } }));
    expect(error).toMatchObject({
      code: 'model_rejected',
      faults: [{ pointer: '/metrics/accuracy', expected: '>= 0.7', received: '0.65' }],
    });
    const { report, status } = await at.registry.find(name, '1');
    expect(status).toBe('rejected');
    expect(report?.steps?.map((step) => [step.name, step.passed])).toEqual([
      ['scan', true],
      ['load', true],
      ['signature', true],
      ['golden', true],
      ['determinism', true],
      ['rows', true],
      ['latency', true],
      ['metrics', false],
    ]);
    await setPolicy(name, {});
    expect((await failure(promote(name, '1'))).code).toBe('version_not_servable');
    expect((await failure(approve(name, BEN))).code).toBe('version_not_servable');
    await at.registry.revalidate(BEN, { model: name, version: '1', reason: 'other rules' }, at.record);
    await promote(name, '1');
  });

  it('reject a version without the metric that they ask for', async () => {
    const name = await modelWith(RULES);
    const error = await failure(register(name, '1', { metrics: { accuracy: '0.9' } }));
    expect(error.faults).toEqual([{ pointer: '/metrics/accuracy', expected: '>= 0.7', received: 'nothing' }]);
  });

  it('are checked at each promotion, with the policy of now', async () => {
    const name = await modelWith({});
    await register(name, '1', { metrics: { accuracy: 0.65 } });
    await setPolicy(name, RULES);
    expect((await at.registry.find(name, '1')).status).toBe('validated');
    expect((await failure(promote(name, '1'))).faults).toMatchObject([{ pointer: '/metrics/accuracy' }]);
  });

  it('compare a version with the one that it would replace', async () => {
    const name = await modelWith({ noWorseThanCurrent: [{ metric: 'accuracy', better: 'higher', margin: 0.01 }] });
    await register(name, '1', { metrics: { accuracy: 0.8 } });
    await promote(name, '1');
    await register(name, '2', { metrics: { accuracy: 0.795 } });
    const { faults } = await failure(register(name, '3', { metrics: { accuracy: 0.7 } }));
    expect(faults).toEqual([
      { pointer: '/metrics/accuracy', expected: 'no worse than the 0.8 of version 1, within 0.01', received: '0.7' },
    ]);
    await promote(name, '2');
    await setPolicy(name, { noWorseThanCurrent: [{ metric: 'accuracy', better: 'lower', margin: 0 }] });
    expect((await failure(promote(name, '1'))).faults).toMatchObject([{ received: '0.8' }]);
    const { etag: ifMatch } = await at.registry.catalog.aliasAt(name, 'production');
    const back = { model: name, alias: 'production', reason: 'in need', ifMatch };
    expect(await at.registry.aliases.rollback(BEN, back, at.record)).toMatchObject({ version: '1' });
  });
});

describe('promoters', () => {
  it('alone move what the policy protects', async () => {
    const name = await modelWith({ promoters: ['owner:Ben'], protectedAliases: ['production'] }, '1', '2');
    expect((await failure(promote(name, '1', CAT))).code).toBe('policy_forbidden');
    await promote(name, '1', CAT, 'staging');
    await promote(name, '1');
    await promote(name, '2');
    const { etag: ifMatch } = await at.registry.catalog.aliasAt(name, 'production');
    const back = { model: name, alias: 'production', reason: 'r', ifMatch };
    expect((await failure(at.registry.aliases.rollback(CAT, back, at.record))).code).toBe('policy_forbidden');
  });

  it.each([
    ['key:nobody', false],
    ['role:admin', true],
    ['owner:admin', false],
    ['role:Admin', false],
  ])('named %s: %s', async (promoter, allowed) => {
    const name = await modelWith({ promoters: [promoter] }, '1');
    const admin: Actor = { ...CAT, role: 'admin' };
    const end = promote(name, '1', admin).then(
      () => true,
      () => false,
    );
    expect(await end).toBe(allowed);
  });
});

describe('what a policy keeps', () => {
  const keys = async (name: string): Promise<Record<string, string>> =>
    Object.fromEntries((await at.registry.catalog.versions(name)).map(({ version, status }) => [version, status]));

  it('are the last versions that an alias pointed at, warm', async () => {
    const name = await modelWith({ keepWarm: 2 }, '1', '2', '3', '4');
    for (const version of ['1', '2', '3', '4']) await promote(name, version);
    expect((await snapshotOf(name))?.warm).toEqual(['3', '2']);
    await promote(name, '2');
    expect((await snapshotOf(name))?.warm).toEqual(['4', '3']);
    await setPolicy(name, {});
    expect((await snapshotOf(name))?.warm).toEqual([]);
  });

  it('are the newest versions; the others are archived, but what is served or gone back to', async () => {
    const name = await modelWith({ autoArchive: 2 }, '1', '2', '3', '4', '5');
    await promote(name, '1');
    await promote(name, '2', BEN, 'champion');
    await promote(name, '5');
    at.changes.length = 0;
    await at.registry.retire(name, at.record);
    expect(await keys(name)).toEqual({ 1: 'validated', 2: 'active', 3: 'archived', 4: 'validated', 5: 'active' });
    expect(at.changes).toMatchObject([
      {
        action: 'model.archive',
        resource: { id: `${name}/3` },
        reason: 'the policy of revision 1 keeps the newest 2 versions',
      },
    ]);
    await at.registry.retire(name, at.record);
    expect(at.changes).toHaveLength(1);
  });
});
