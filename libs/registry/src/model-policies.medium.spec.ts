import { DomainError, type Actor } from '@sibyl/kernel';
import { readRules } from './metric-rule';
import { ModelPolicy } from './model-policy';
import type { PolicyChange } from './model-policies';
import type { PolicyRevision } from './policy-revision';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());
beforeEach(() => (at.changes.length = 0));

let models = 0;
const set = (
  model: string,
  policy: Partial<ModelPolicy>,
  by: Partial<PolicyChange> = { ifNoneMatch: '*' },
  actor: Actor = ALICE,
): Promise<PolicyRevision> =>
  at.registry.setPolicy(actor, { model, policy: ModelPolicy.of(policy), reason: 'because', ...by }, at.record);
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'accepted',
    (error: DomainError) => error.code,
  );

describe('the policy of a model', () => {
  it('is the defaults until one is set, also before the first version', async () => {
    const model = `p${++models}`;
    expect(await codeOf(at.registry.policies.find(model))).toBe('model_not_found');
    expect(await set(model, { approvals: 1 })).toMatchObject({
      revision: 1,
      etag: '"1"',
      reason: 'because',
      actor: ALICE,
    });
    expect((await at.registry.policies.find(model)).policy).toEqual(ModelPolicy.of({ approvals: 1 }));
    expect(at.changes).toEqual([
      {
        action: 'policy.set',
        resource: { type: 'model_policy', id: model },
        model: { name: model },
        reason: 'because',
        changes: { revision: 1, approvals: { from: 0, to: 1 } },
      },
    ]);
  });

  it('changes only for who saw it as it is', async () => {
    const model = `p${++models}`;
    expect(await codeOf(set(model, {}, {}))).toBe('precondition_required');
    await set(model, { approvals: 1 }, { ifMatch: '"0"' });
    expect(await codeOf(set(model, {}))).toBe('etag_mismatch');
    expect(await codeOf(set(model, {}, { ifMatch: '"0"' }))).toBe('etag_mismatch');
    const both = [2, 0].map((approvals) => codeOf(set(model, { approvals }, { ifMatch: '"1"' })));
    expect((await Promise.all(both)).sort()).toEqual(['accepted', 'etag_mismatch']);
  });

  it('keeps every revision, and gives nobody the right to change one', async () => {
    const model = `p${++models}`;
    await set(model, { keepWarm: 1 });
    await set(model, { keepWarm: 1 }, { ifMatch: '"1"' });
    await set(model, { keepWarm: 2 }, { ifMatch: '"1"' });
    const rows = await at.database.query<{ revision: number; policy: ModelPolicy }>(
      'SELECT revision, policy FROM registry.model_policy WHERE model = $1 ORDER BY revision',
      [model],
    );
    expect(rows.map(({ revision, policy }) => [revision, policy.keepWarm])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    await expect(at.database.query('UPDATE registry.model_policy SET revision = 9')).rejects.toThrow();
    await expect(at.database.query('DELETE FROM registry.model_policy')).rejects.toThrow();
  });

  it('is changed by its promoters alone, once it names some', async () => {
    const model = `p${++models}`;
    const bob: Actor = { type: 'key', id: 'key-2', keyId: 'key-2', name: 'bob', owner: 'risk' };
    await set(model, { promoters: ['owner:risk'] });
    expect(await codeOf(set(model, {}, { ifMatch: '"1"' }))).toBe('policy_forbidden');
    expect(await codeOf(set(model, {}, { ifMatch: '"1"' }, bob))).toBe('accepted');
  });

  it('is refused where its members mean nothing together', async () => {
    const refused = [
      { protectedAliases: ['production'] },
      { promoters: ['risk'] },
      { promoters: ['key:'] },
      { promoters: ['owner:a\0b'] },
    ];
    for (const policy of refused) expect(await codeOf(set(`p${++models}`, policy))).toBe('invalid_parameter');
    for (const name of ['../x', '', 'a/b']) expect(await codeOf(set(name, {}))).toBe('invalid_parameter');
    expect(await codeOf(set(`p${++models}`, {}, { ifNoneMatch: '*', reason: ' ' }))).toBe('invalid_parameter');
  });
});

describe('the rules of a policy', () => {
  it('are read as text and as objects', () => {
    const accuracy = { metric: 'accuracy', op: '>=', value: 0.7 };
    expect(readRules(['accuracy >= 0.7', 'rmse<1e-3', accuracy], [{ metric: 'auc', better: 'higher' }])).toEqual({
      metrics: [accuracy, { metric: 'rmse', op: '<', value: 0.001 }, accuracy],
      noWorseThanCurrent: [{ metric: 'auc', better: 'higher', margin: 0 }],
    });
  });

  it.each([
    [['accuracy'], []],
    [['accuracy => 1'], []],
    [['accuracy >= NaN'], []],
    [['accuracy >= 1e999'], []],
    [[7], []],
    [[null], []],
    [[{ metric: 'a', op: '!=', value: 1 }], []],
    [[{ metric: 'a', op: 'constructor', value: 1 }], []],
    [[{ metric: 'a', op: '>=', value: 1, extra: 1 }], []],
    [[], ['accuracy']],
    [[], [{ metric: 'a' }]],
    [[], [{ metric: 'a', better: 'higher', margin: -1 }]],
    [[], [{ metric: '', better: 'higher' }]],
  ])('refuse %j %j', (metrics, noWorse) => {
    expect(() => readRules(metrics, noWorse)).toThrow(expect.objectContaining({ code: 'invalid_parameter' }) as Error);
  });
});
