import { DomainError } from '@sibyl/kernel';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';
import type { AliasMove } from './model-aliases';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());

const register = async (version: string, manifest: Record<string, unknown>): Promise<unknown> =>
  at.registry.registerFolder(
    ALICE,
    await packageFolder({ manifest: { name: 'm', version, ...manifest } }),
    {},
    at.record,
  );
const move = (version: string, given: Partial<AliasMove>): ReturnType<typeof at.registry.aliases.move> =>
  at.registry.aliases.move(ALICE, { model: 'm', alias: 'champion', version, reason: 'because', ...given }, at.record);
const refused = (work: Promise<unknown>): Promise<DomainError> =>
  work.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );

describe('a promotion that would break callers', () => {
  const A = { name: 'a', datatype: 'FP32', min: -100, max: 100 };
  const B = { name: 'b', datatype: 'FP32', nullable: true, default: 0 };

  beforeAll(async () => {
    await register('1', { features: [A, B] });
    await register('2', { features: [{ ...A, max: 50 }, B] });
    await register('3', { features: [A, { name: 'b', datatype: 'FP32' }] });
    await move('1', { ifNoneMatch: '*' });
  });
  beforeEach(() => (at.changes.length = 0));

  it('is refused, each difference named, before anything is loaded and when the alias would move', async () => {
    const request = { model: 'm', alias: 'champion', version: '2', reason: 'because', ifMatch: '"1"' };
    for (const work of [at.registry.aliases.foresee(ALICE, request), move('2', { ifMatch: '"1"' })]) {
      const error = await refused(work);
      expect(error).toMatchObject({
        code: 'breaking_change',
        faults: [{ pointer: '/features/a/max', expected: '100', received: '50' }],
      });
    }
    expect(at.changes).toEqual([]);
    expect((await at.registry.catalog.aliasAt('m', 'champion')).version).toBe('1');
  });

  it('does not hide a precondition that does not hold', async () => {
    expect((await refused(move('2', { ifMatch: '"9"' }))).code).toBe('etag_mismatch');
  });

  it('goes through where its mover allows it, which its event and its row tell for ever', async () => {
    const event = await move('2', { ifMatch: '"1"', allowBreaking: true });
    const breaking = [{ pointer: '/features/a/max', expected: '100', received: '50' }];
    expect(event).toMatchObject({ version: '2', breaking });
    expect((await at.registry.catalog.history('m', { limit: 1 })).items[0]).toMatchObject({ version: '2', breaking });
    expect(at.changes).toMatchObject([{ changes: { allow_breaking: true, breaking: ['/features/a/max'] } }]);
  });

  it('back to what served before is never hindered, and has nothing to allow', async () => {
    await move('3', { ifMatch: '"2"', allowBreaking: true });
    const back = { model: 'm', alias: 'champion', reason: 'worse' };
    for (const ifMatch of ['"3"', '"4"'])
      expect(await at.registry.aliases.rollback(ALICE, { ...back, ifMatch }, at.record)).not.toHaveProperty('breaking');
    expect((await at.registry.catalog.aliasAt('m', 'champion')).version).toBe('1');
  });

  it('is no matter of a new alias, which has no callers, nor of a version that breaks nobody', async () => {
    expect(await move('3', { alias: 'canary', ifNoneMatch: '*' })).not.toHaveProperty('breaking');
    expect(await move('1', { alias: 'canary', ifMatch: '"1"', allowBreaking: true })).not.toHaveProperty('breaking');
  });
});
