import { DomainError, type Actor } from '@sibyl/kernel';
import type { PolicyRevision } from './policy-revision';
import { ModelPolicy } from './model-policy';
import { packageFolder } from './testing';
import { registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());
beforeEach(() => (at.changes.length = 0));

const key = (id: string, owner: string, person = id): Actor => ({
  type: 'key',
  id,
  keyId: id,
  name: id,
  owner,
  person,
});
const ANN = key('k1', 'Ann');
/** Issued by Ann, who may write what she likes as its owner. */
const FORGED = key('k2', 'Somebody', 'k1');
const BEN = key('k3', 'Ben');
const CAT = key('k4', 'Cat');

let models = 0;
const set = async (model: string, policy: Partial<ModelPolicy>, actor = ANN): Promise<PolicyRevision> => {
  const { etag: ifMatch } = await at.registry.policies.of(undefined, model);
  return at.registry.setPolicy(actor, { model, policy: ModelPolicy.of(policy), reason: 'rules', ifMatch }, at.record);
};
async function modelWith(policy: Partial<ModelPolicy>): Promise<string> {
  const model = `w${++models}`;
  await set(model, policy);
  return model;
}
const approve = (model: string, actor: Actor, ifMatch?: string): Promise<PolicyRevision> =>
  at.registry.approvePolicy(actor, { model, reason: 'agreed', ...(ifMatch ? { ifMatch } : {}) }, at.record);
const inForce = async (model: string): Promise<PolicyRevision> => at.registry.policies.find(model);
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'accepted',
    (error: DomainError) => error.code,
  );

describe('a policy that asks for approvals', () => {
  it('is weakened by nobody alone: not by who proposes it, nor with a second key of theirs', async () => {
    const model = await modelWith({ approvals: 2 });
    const proposed = await set(model, { approvals: 0 });
    expect(proposed).toMatchObject({ revision: 1, policy: { approvals: 2 }, proposal: { etag: '"1.1"' } });
    for (const actor of [ANN, FORGED]) expect(await codeOf(approve(model, actor, '"1.1"'))).toBe('policy_forbidden');
    expect(await inForce(model)).toEqual(proposed);
    const again = await approve(model, BEN, '"1.1"');
    expect(again).toMatchObject({ revision: 1, proposal: { approvals: [{ actor: BEN, reason: 'agreed' }] } });
    // Nor by one of the others twice.
    expect((await approve(model, key('k9', 'other', 'k3'), '"1.1"')).proposal?.approvals).toHaveLength(1);
    const weaker = await approve(model, CAT, '"1.1"');
    expect(weaker).toMatchObject({ revision: 2, actor: ANN, reason: 'rules', policy: { approvals: 0 } });
    expect(weaker.approvals?.map(({ actor }) => actor)).toEqual([BEN, CAT]);
    expect(weaker.proposal).toBeUndefined();
    expect(await inForce(model)).toEqual({ ...weaker, proposal: undefined });
    expect(at.changes.map(({ action, status, changes }) => [action, status, changes])).toEqual([
      ['policy.set', undefined, { revision: 1, approvals: { from: 0, to: 2 } }],
      ['policy.propose', 202, { proposal: 1, weakens: ['approvals'], approvals: { from: 2, to: 0 } }],
      ['policy.approve', undefined, { proposal: 1, given: 1 }],
      ['policy.approve', undefined, { proposal: 1, given: 1 }],
      ['policy.approve', undefined, { proposal: 1, given: 2, revision: 2, approvals: { from: 2, to: 0 } }],
    ]);
  });

  it('is tightened at once, which ends what was proposed instead of it', async () => {
    const model = await modelWith({ approvals: 1 });
    await set(model, {});
    expect(await set(model, { approvals: 1, keepWarm: 1 }, BEN)).toMatchObject({ revision: 2 });
    expect((await inForce(model)).proposal).toBeUndefined();
    expect(await codeOf(approve(model, BEN, '"1.1"'))).toBe('etag_mismatch');
  });

  it('is approved as it was read, or not', async () => {
    const model = await modelWith({ approvals: 1 });
    expect(await codeOf(approve(model, BEN, '"1.1"'))).toBe('etag_mismatch');
    await set(model, { approvals: 1, metrics: [], promoters: ['owner:Ann'] });
    await set(model, {});
    expect(await codeOf(approve(model, BEN))).toBe('precondition_required');
    expect(await codeOf(approve(model, BEN, '*'))).toBe('precondition_required');
    expect(await codeOf(approve(model, BEN, '"1.1"'))).toBe('etag_mismatch');
    expect(await codeOf(approve(model, BEN, '"1.2"'))).toBe('accepted');
    expect(await codeOf(approve('nothing', BEN, '"1.2"'))).toBe('model_not_found');
  });

  it('takes a proposal back where it is set again as it is', async () => {
    const model = await modelWith({ approvals: 1 });
    await set(model, {});
    expect((await set(model, { approvals: 1 })).proposal).toBeUndefined();
    expect((await inForce(model)).proposal).toBeUndefined();
    expect(await codeOf(approve(model, BEN, '"1.1"'))).toBe('etag_mismatch');
    expect(await codeOf(approve(model, BEN, '"1.2"'))).toBe('etag_mismatch');
  });

  it('of several who approve and tighten at once has one winner, and no half state', async () => {
    for (let round = 0; round < 5; round++) {
      const model = await modelWith({ approvals: 2 });
      await set(model, { approvals: 0 });
      const ends = await Promise.all([
        ...[BEN, BEN, CAT, CAT].map((actor) => codeOf(approve(model, actor, '"1.1"'))),
        codeOf(set(model, { approvals: 2, keepWarm: 1 }, BEN)),
      ]);
      const { revision, policy, approvals } = await inForce(model);
      expect(revision).toBe(2);
      if (policy.approvals === 0) expect(approvals?.map(({ actor }) => actor.owner).sort()).toEqual(['Ben', 'Cat']);
      else expect([approvals, policy.keepWarm]).toEqual([undefined, 1]);
      expect(ends.every((end) => ['accepted', 'etag_mismatch'].includes(end))).toBe(true);
    }
  });

  it('holds a promotion that races its change to one of the two', async () => {
    const model = await modelWith({ approvals: 1 });
    const folder = await packageFolder({ manifest: { name: model, version: '1' } });
    await at.registry.registerFolder(ANN, folder, {}, at.record);
    await set(model, {});
    const move = { model, alias: 'production', version: '1', reason: 'r', ifNoneMatch: '*' };
    const [promoted, changed] = await Promise.all([
      codeOf(at.registry.aliases.move(ANN, move, at.record)),
      codeOf(approve(model, BEN, '"1.1"')),
    ]);
    expect(changed).toBe('accepted');
    const actions = at.changes.map(({ action }) => action);
    const after = actions.indexOf('model.promote') > actions.indexOf('policy.approve');
    expect(promoted).toBe(after ? 'accepted' : 'version_not_servable');
  });

  it('keeps every proposal and approval, and gives nobody the right to change one', async () => {
    for (const table of ['policy_proposal', 'policy_approval']) {
      await expect(at.database.query(`UPDATE registry.${table} SET number = 9`)).rejects.toThrow();
      await expect(at.database.query(`DELETE FROM registry.${table}`)).rejects.toThrow();
    }
  });
});

describe('a policy that asks for none', () => {
  it('is changed by whoever may', async () => {
    const model = await modelWith({ metrics: [{ metric: 'a', op: '>=', value: 1 }] });
    expect(await set(model, {})).toMatchObject({ revision: 2 });
  });
});
