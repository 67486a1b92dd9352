import { ModelPolicy } from './model-policy';
import { weakened } from './policy-weakening';

const change = (before: Partial<ModelPolicy>, after: Partial<ModelPolicy>): string[] =>
  weakened(ModelPolicy.of(before), ModelPolicy.of(after));
const rule = (metric: string, op: '>=' | '>' | '<=' | '<' | '==', value: number) => ({ metric, op, value });

describe('a policy is weaker than another', () => {
  it.each<[string, Partial<ModelPolicy>, Partial<ModelPolicy>]>([
    ['approvals', { approvals: 2 }, { approvals: 1 }],
    ['metrics', { metrics: [rule('a', '>=', 0.7)] }, {}],
    ['metrics', { metrics: [rule('a', '>=', 0.7)] }, { metrics: [rule('a', '>=', 0.6)] }],
    ['metrics', { metrics: [rule('a', '<', 2)] }, { metrics: [rule('a', '<', 3)] }],
    ['metrics', { metrics: [rule('a', '>', 0.7)] }, { metrics: [rule('a', '>=', 0.7)] }],
    ['metrics', { metrics: [rule('a', '==', 1)] }, { metrics: [rule('a', '==', 2)] }],
    ['metrics', { metrics: [rule('a', '>=', 0.7)] }, { metrics: [rule('b', '>=', 0.7)] }],
    ['noWorseThanCurrent', { noWorseThanCurrent: [{ metric: 'a', better: 'higher', margin: 0 }] }, {}],
    [
      'noWorseThanCurrent',
      { noWorseThanCurrent: [{ metric: 'a', better: 'higher', margin: 0 }] },
      { noWorseThanCurrent: [{ metric: 'a', better: 'higher', margin: 0.1 }] },
    ],
    [
      'noWorseThanCurrent',
      { noWorseThanCurrent: [{ metric: 'a', better: 'higher', margin: 0 }] },
      { noWorseThanCurrent: [{ metric: 'a', better: 'lower', margin: 0 }] },
    ],
    ['promoters', { promoters: ['role:admin'] }, {}],
    ['promoters', { promoters: ['role:admin'] }, { promoters: ['role:admin', 'owner:ann'] }],
    ['promoters', { promoters: ['role:admin', 'owner:ann'] }, { promoters: ['owner:ann'] }],
    ['promoters', {}, { promoters: ['owner:ann'] }],
    [
      'protectedAliases',
      { promoters: ['role:admin'] },
      { promoters: ['role:admin'], protectedAliases: ['production'] },
    ],
    [
      'protectedAliases',
      { promoters: ['role:admin'], protectedAliases: ['production', 'eu'] },
      { promoters: ['role:admin'], protectedAliases: ['production'] },
    ],
    ['signature', { signature: 'require' }, { signature: 'verify' }],
    ['signers', { signers: ['a'] }, {}],
    ['signers', { signers: ['a'] }, { signers: ['a', 'b'] }],
  ])('in %s: %j, %j', (member, before, after) => {
    expect(change(before, after)).toEqual([member]);
  });

  it.each<[Partial<ModelPolicy>, Partial<ModelPolicy>]>([
    [{ approvals: 1 }, { approvals: 2, metrics: [rule('a', '>=', 0.7)], signature: 'require', signers: ['a'] }],
    [{ metrics: [rule('a', '>=', 0.7)] }, { metrics: [rule('b', '<', 1), rule('a', '>=', 0.8)] }],
    [{ metrics: [rule('a', '<=', 2)] }, { metrics: [rule('a', '<=', 1)] }],
    [
      { noWorseThanCurrent: [{ metric: 'a', better: 'lower', margin: 0.1 }] },
      { noWorseThanCurrent: [{ metric: 'a', better: 'lower', margin: 0 }] },
    ],
    [{ signers: ['a', 'b'] }, { signers: ['b'] }],
    [{ promoters: ['role:admin', 'owner:ann'] }, { promoters: ['owner:ann', 'role:admin'] }],
    [
      { promoters: ['role:admin'], protectedAliases: ['production'] },
      { promoters: ['role:admin'], protectedAliases: ['eu', 'production'] },
    ],
    [{ promoters: ['role:admin'], protectedAliases: ['production'] }, { promoters: ['role:admin'] }],
    [{ keepWarm: 3, autoArchive: 5 }, {}],
  ])('and not: %j, %j', (before, after) => {
    expect(change(before, after)).toEqual([]);
  });
});
