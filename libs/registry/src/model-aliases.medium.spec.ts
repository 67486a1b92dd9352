import { DomainError } from '@sibyl/kernel';
import { ModelPolicy } from './model-policy';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());
beforeEach(() => (at.changes.length = 0));

let models = 0;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );

/** A model of its own with these versions, all valid. */
async function model(...versions: string[]): Promise<string> {
  const name = `a${++models}`;
  for (const version of versions)
    await at.registry.registerFolder(ALICE, await packageFolder({ manifest: { name, version } }), {}, at.record);
  at.changes.length = 0;
  return name;
}

const move = (
  name: string,
  version: string,
  ifMatch?: string,
  alias = 'champion',
): ReturnType<typeof at.registry.aliases.move> =>
  at.registry.aliases.move(
    ALICE,
    { model: name, alias, version, reason: 'because', ...(ifMatch === undefined ? { ifNoneMatch: '*' } : { ifMatch }) },
    at.record,
  );
const rollback = (name: string, ifMatch: string): ReturnType<typeof at.registry.aliases.rollback> =>
  at.registry.aliases.rollback(ALICE, { model: name, alias: 'champion', reason: 'worse', ifMatch }, at.record);

describe('moving an alias', () => {
  it('creates and moves it, each with one event and a new ETag', async () => {
    const name = await model('1', '2');
    const first = await move(name, '1');
    expect(first).toMatchObject({
      version: '1',
      revision: 1,
      etag: '"1"',
      kind: 'move',
      actor: ALICE,
      reason: 'because',
    });
    expect(first.from).toBeUndefined();
    const second = await move(name, '2', first.etag);
    expect(second).toMatchObject({ version: '2', from: '1', revision: 2, etag: '"2"' });
    expect(at.changes).toEqual([
      expect.objectContaining({ action: 'model.promote', changes: { version: { from: null, to: '1' }, revision: 1 } }),
      expect.objectContaining({
        action: 'model.promote',
        reason: 'because',
        resource: { type: 'model_alias', id: `${name}/champion` },
        model: { name, version: '2', digest: second.digest, alias: 'champion' },
      }),
    ]);
    expect((await at.registry.find(name, 'champion')).version).toBe('2');
    expect((await at.registry.find(name, '2')).status).toBe('active');
    expect((await at.registry.find(name, '1')).status).toBe('validated');
  });

  it('needs a precondition that holds', async () => {
    const name = await model('1', '2');
    const request = { model: name, alias: 'champion', version: '1', reason: 'because' };
    expect((await failure(at.registry.aliases.move(ALICE, request, at.record))).code).toBe('precondition_required');
    expect((await failure(at.registry.aliases.move(ALICE, { ...request, ifNoneMatch: '"1"' }, at.record))).code).toBe(
      'precondition_required',
    );
    expect((await failure(move(name, '1', '"1"'))).code).toBe('etag_mismatch');
    await move(name, '1');
    expect((await failure(move(name, '2'))).code).toBe('etag_mismatch');
    expect((await failure(move(name, '2', 'W/"1"'))).code).toBe('etag_mismatch');
    expect((await failure(move(name, '2', '1'))).code).toBe('etag_mismatch');
    expect((await move(name, '2', '"7", "1"')).version).toBe('2');
    // It would hold wherever somebody else has moved the alias meanwhile.
    for (const any of ['*', ' * ']) expect((await failure(move(name, '1', any))).code).toBe('precondition_required');
  });

  it('lets exactly one of 50 movers with one ETag win', async () => {
    const name = await model('1', '2', '3');
    const { etag } = await move(name, '1');
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => move(name, i % 2 ? '2' : '3', etag)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'etag_mismatch' });
    expect((await at.registry.catalog.history(name)).items).toHaveLength(2);
  });

  it('changes nothing when it is there already, so that a rollback still leads to the version before', async () => {
    const name = await model('1', '2');
    await move(name, '1');
    await move(name, '2', '"1"');
    expect(await move(name, '2', '"2"')).toMatchObject({ version: '2', revision: 2 });
    expect((await rollback(name, '"2"')).version).toBe('1');
  });

  it('goes to versions that may serve only', async () => {
    const name = await model('1', '2');
    const wrong = { samples: [{ inputs: { features: [[0, 0]] }, outputs: { variable: [[9]] } }] };
    await failure(
      at.registry.registerFolder(
        ALICE,
        await packageFolder({ manifest: { name, version: '3' }, golden: wrong }),
        {},
        at.record,
      ),
    );
    await at.registry.archive(ALICE, { model: name, version: '2', reason: 'old' }, at.record);
    expect((await failure(move(name, '2'))).code).toBe('version_not_servable');
    expect((await failure(move(name, '3'))).code).toBe('version_not_servable');
    expect((await failure(move(name, '4'))).code).toBe('version_not_found');
    expect((await failure(move('nobody', '1'))).code).toBe('model_not_found');
    expect((await move(name, 'v1')).version).toBe('1');
  });

  it('refuses `latest`, names that are none, names of versions, and a missing reason', async () => {
    const name = await model('1', '2');
    for (const alias of ['latest', 'Latest', '', '../x', 'a/b', 'x\0', '2', `a${'b'.repeat(64)}`]) {
      expect((await failure(move(name, '1', undefined, alias))).code).toBe('invalid_parameter');
    }
    const request = { model: name, alias: 'champion', version: '1', reason: '  ', ifNoneMatch: '*' };
    expect((await failure(at.registry.aliases.move(ALICE, request, at.record))).faults?.[0]?.pointer).toBe('/reason');
    expect(at.changes).toEqual([]);
  });

  it('leaves nothing behind when its event cannot be written', async () => {
    const name = await model('1');
    const request = { model: name, alias: 'champion', version: '1', reason: 'because', ifNoneMatch: '*' };
    const unwritable = (): Promise<void> => Promise.reject(new DomainError('audit_unavailable', 'Full.'));
    expect((await failure(at.registry.aliases.move(ALICE, request, unwritable))).code).toBe('audit_unavailable');
    expect((await failure(at.registry.catalog.aliasAt(name, 'champion'))).code).toBe('alias_not_found');
    expect((await at.registry.catalog.history(name)).items).toEqual([]);
  });
});

describe('rolling back', () => {
  it('goes back one version at a time, and history only grows', async () => {
    const name = await model('A', 'B', 'C');
    await move(name, 'A');
    await move(name, 'B', '"1"');
    await move(name, 'C', '"2"');
    expect(await rollback(name, '"3"')).toMatchObject({ version: 'B', from: 'C', kind: 'rollback', etag: '"4"' });
    expect(await rollback(name, '"4"')).toMatchObject({ version: 'A', from: 'B', etag: '"5"' });
    expect(await failure(rollback(name, '"5"'))).toMatchObject({ code: 'version_not_servable' });
    const { items } = await at.registry.catalog.history(name);
    expect(items.map(({ kind, from, version }) => [kind, from, version])).toEqual([
      ['rollback', 'B', 'A'],
      ['rollback', 'C', 'B'],
      ['move', 'B', 'C'],
      ['move', 'A', 'B'],
      ['move', undefined, 'A'],
    ]);
    expect(at.changes.at(-1)).toMatchObject({ action: 'model.rollback', changes: { version: { from: 'B', to: 'A' } } });
  });

  it('undoes a move that came after a rollback first', async () => {
    const name = await model('A', 'B', 'C');
    await move(name, 'A');
    await move(name, 'B', '"1"');
    await rollback(name, '"2"');
    await move(name, 'C', '"3"');
    expect((await rollback(name, '"4"')).version).toBe('A');
    expect((await failure(rollback(name, '"5"'))).code).toBe('version_not_servable');
  });

  it('needs If-Match, an alias, and a version that may still serve', async () => {
    const name = await model('A', 'B');
    const request = { model: name, alias: 'champion', reason: 'worse' };
    expect((await failure(at.registry.aliases.rollback(ALICE, { ...request, ifMatch: '"1"' }, at.record))).code).toBe(
      'alias_not_found',
    );
    await move(name, 'A');
    await move(name, 'B', '"1"');
    expect((await failure(at.registry.aliases.rollback(ALICE, request, at.record))).code).toBe('precondition_required');
    expect((await failure(rollback(name, '"1"'))).code).toBe('etag_mismatch');
    await at.registry.archive(ALICE, { model: name, version: 'A', reason: 'old' }, at.record);
    expect(await failure(rollback(name, '"2"'))).toMatchObject({
      code: 'version_not_servable',
      detail: `Alias 'champion' of model '${name}' has no version before B that may serve: A is archived.`,
    });
  });

  it('goes past versions that may serve no more, where everybody expects it to go', async () => {
    const name = await model('A', 'B', 'C', 'D');
    await move(name, 'A');
    for (const [i, version] of ['B', 'C', 'D'].entries()) await move(name, version, `"${i + 1}"`);
    const target = async (): Promise<unknown> => {
      const snapshot = await at.registry.snapshot();
      const alias = snapshot.models.find((entry) => entry.name === name)?.aliases[0];
      const { etag: ifMatch } = await at.registry.catalog.aliasAt(name, 'champion');
      const champion = { model: name, alias: 'champion', reason: 'worse', ifMatch };
      const foreseen = await at.registry.aliases.foreseeRollback(ALICE, champion).catch(() => null);
      expect(alias?.previous).toBe(foreseen);
      return alias?.previous;
    };
    expect(await target()).toBe('C');
    await at.registry.archive(ALICE, { model: name, version: 'C', reason: 'it leaks' }, at.record);
    // What failed its last validation may not serve again either.
    at.runtime.before = () => {
      throw new DomainError('model_rejected', 'It crashes now.', { faults: [] });
    };
    await failure(at.registry.revalidate(ALICE, { model: name, version: 'B', reason: 'upgrade' }, at.record));
    at.runtime.before = undefined;
    expect(await target()).toBe('A');
    await expect(
      at.registry.delete(ALICE, { model: name, version: 'A', reason: 'x' }, at.record),
    ).rejects.toMatchObject({
      code: 'in_use',
    });
    expect(await rollback(name, '"4"')).toMatchObject({ version: 'A', from: 'D', kind: 'rollback', etag: '"5"' });
    expect(await target()).toBeNull();
    // What comes back is where it was.
    await move(name, 'D', '"5"');
    await at.registry.archive(ALICE, { model: name, version: 'A', reason: 'old' }, at.record);
    expect(await failure(rollback(name, '"6"'))).toMatchObject({ code: 'version_not_servable' });
    await at.registry.approve(ALICE, { model: name, version: 'A', reason: 'after all' }, at.record);
    expect(await rollback(name, '"6"')).toMatchObject({ version: 'A' });
  });

  it('does not go past a version to the one that is there', async () => {
    const name = await model('A', 'B');
    await move(name, 'A');
    await move(name, 'B', '"1"');
    await move(name, 'A', '"2"');
    await at.registry.archive(ALICE, { model: name, version: 'B', reason: 'old' }, at.record);
    expect(await failure(rollback(name, '"3"'))).toMatchObject({
      code: 'version_not_servable',
      detail: expect.stringContaining('B is archived') as string,
    });
  });
});

describe('a rollback that is foreseen', () => {
  it('is refused for what the rollback is refused for, changes nothing, and says where it leads', async () => {
    const name = await model('A', 'B');
    const { aliases } = at.registry;
    const both = async (ifMatch?: string, of = name): Promise<string> => {
      const request = { model: of, alias: 'champion', reason: 'worse', ...(ifMatch === undefined ? {} : { ifMatch }) };
      const foreseen = await failure(aliases.foreseeRollback(ALICE, request));
      expect(await failure(aliases.rollback(ALICE, request, at.record))).toMatchObject({
        code: foreseen.code,
        detail: foreseen.detail,
      });
      return foreseen.code;
    };
    expect(await both('*', 'a-model-that-is-none')).toBe('model_not_found');
    expect(await both('*')).toBe('alias_not_found');
    await move(name, 'A');
    expect(await both('"1"')).toBe('version_not_servable');
    await move(name, 'B', '"1"');
    expect(await both()).toBe('precondition_required');
    expect(await both('"1"')).toBe('etag_mismatch');
    const champion = { model: name, alias: 'champion', reason: 'worse', ifMatch: '"2"' };
    expect(await aliases.foreseeRollback(ALICE, champion)).toBe('A');
    expect((await at.registry.catalog.aliasAt(name, 'champion')).version).toBe('B');
    const policy = ModelPolicy.of({ promoters: ['key:somebody-else'] });
    await at.registry.setPolicy(ALICE, { model: name, policy, reason: 'four eyes', ifNoneMatch: '*' }, at.record);
    expect(await both('"2"')).toBe('policy_forbidden');
  });
});

describe('what an alias was', () => {
  it('has one answer for every time, whatever the clocks did', async () => {
    const name = await model('A', 'B', 'C');
    const times: { from: number; version: string }[] = [];
    for (const [i, version] of ['A', 'B', 'C', 'A', 'B'].entries()) {
      const event = await move(name, version, i === 0 ? undefined : `"${i}"`);
      times.push({ from: Date.parse(event.at), version });
      at.clock.advance(i === 2 ? -5_000 : 700);
    }
    const start = times[0]?.from ?? 0;
    const yearZero = Date.parse('0000-01-01T00:00:00Z');
    expect((await failure(at.registry.catalog.aliasAt(name, 'champion', yearZero))).code).toBe('alias_not_found');
    expect(await at.registry.catalog.aliasAt(name, 'champion', Date.parse('9999-12-31T23:59:59-12:00'))).toMatchObject({
      version: 'B',
    });
    expect((await failure(at.registry.catalog.aliasAt(name, 'champion', start - 1))).code).toBe('alias_not_found');
    for (let t = start; t < start + 5_000; t += 100) {
      const expected = times.findLast(({ from }) => from <= t)?.version;
      expect((await at.registry.catalog.aliasAt(name, 'champion', t)).version).toBe(expected);
    }
    expect(times.every(({ from }, i) => from >= (times[i - 1]?.from ?? 0))).toBe(true);
    expect(await at.registry.catalog.aliasAt(name, 'champion')).toMatchObject({ version: 'B', etag: '"5"' });
  });

  it('comes in pages, newest first', async () => {
    const name = await model('A', 'B');
    for (let i = 0; i < 5; i++) await move(name, i % 2 ? 'B' : 'A', i === 0 ? undefined : `"${i}"`);
    const revisions: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await at.registry.catalog.history(name, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      revisions.push(...page.items.map(({ revision }) => revision));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(revisions).toEqual([5, 4, 3, 2, 1]);
    expect((await failure(at.registry.catalog.history(name, { cursor: 'bm9wZQ' }))).code).toBe('invalid_parameter');
    expect((await failure(at.registry.catalog.history('nobody'))).code).toBe('model_not_found');
  });
});
