import type { DomainError } from '@sibyl/kernel';
import { REGISTRY_CHANNEL } from './registry-change';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );
const WRONG = { samples: [{ inputs: { features: [[0, 0]] }, outputs: { variable: [[9]] } }] };
const add = async (name: string, version: string, golden?: Record<string, unknown>): Promise<void> => {
  const folder = await packageFolder({ manifest: { name, version }, ...(golden ? { golden } : {}) });
  await at.registry.registerFolder(ALICE, folder, {}, at.record).catch(() => undefined);
};

beforeAll(async () => {
  at = await registryFixture();
  await add('churn', '1.0.0');
  await add('churn', '1.10.0');
  await add('churn', '1.9.0');
  await add('churn', '2.0.0', WRONG);
  await add('price', '1.0.0');
  const move = { model: 'churn', alias: 'production', version: '1.0.0', reason: 'first', ifNoneMatch: '*' };
  await at.registry.aliases.move(ALICE, move, at.record);
});
afterAll(() => at.end());

describe('finding a version', () => {
  it('takes a number, a number after v, an alias and latest', async () => {
    for (const [asked, version] of [
      ['1.9.0', '1.9.0'],
      ['v1.9.0', '1.9.0'],
      ['production', '1.0.0'],
      ['latest', '1.9.0'],
    ] as const) {
      expect((await at.registry.find('churn', asked)).version).toBe(version);
    }
  });

  it('names near models, and refuses every name that is none without an error of the database', async () => {
    expect((await failure(at.registry.find('chrun', '1.0.0'))).nearModels).toContain('churn');
    for (const name of ['../x', 'a\0b', '', 'x'.repeat(5000), "'; DROP TABLE registry.model", '．．/']) {
      expect((await failure(at.registry.find(name, '1.0.0'))).code).toBe('model_not_found');
      expect((await failure(at.registry.find('churn', name))).code).toBe('version_not_found');
      expect((await failure(at.registry.catalog.aliasAt('churn', name))).code).toBe('alias_not_found');
      expect((await failure(at.registry.catalog.versions(name))).code).toBe('model_not_found');
    }
  });

  it('computes latest as the valid version that arrived last', async () => {
    expect(await at.registry.catalog.aliasAt('churn', 'latest')).toMatchObject({ version: '1.9.0', kind: 'computed' });
    await add('fresh', '1', WRONG);
    expect((await failure(at.registry.find('fresh', 'latest'))).code).toBe('version_not_found');
    expect((await failure(at.registry.catalog.aliasAt('fresh', 'latest'))).code).toBe('alias_not_found');
  });
});

describe('listing', () => {
  const names = async (filter = {}): Promise<string[]> =>
    (await at.registry.catalog.list(filter)).items.map(({ model, version }) => `${model} ${version}`);

  it('has one row a version, by model and arrival, with status and aliases', async () => {
    const { items, next } = await at.registry.catalog.list({ model: 'churn' });
    expect(next).toBeUndefined();
    expect(items.map(({ version, status, aliases }) => [version, status, aliases])).toEqual([
      ['1.0.0', 'active', ['production']],
      ['1.10.0', 'validated', []],
      ['1.9.0', 'validated', []],
      ['2.0.0', 'rejected', []],
    ]);
    expect((await at.registry.catalog.versions('churn')).map(({ version }) => version)).toEqual([
      '1.0.0',
      '1.10.0',
      '1.9.0',
      '2.0.0',
    ]);
  });

  it('filters by model, by status, by what a key may see, and by a set of versions', async () => {
    expect(await names({ model: 'price' })).toEqual(['price 1.0.0']);
    expect(await names({ model: 'x\0' })).toEqual([]);
    expect(await names({ status: 'active' })).toEqual(['churn 1.0.0']);
    expect(await names({ status: 'rejected', model: 'churn' })).toEqual(['churn 2.0.0']);
    expect(await names({ accepts: (model: string) => model.startsWith('p') })).toEqual(['price 1.0.0']);
    expect(await names({ among: [{ model: 'churn', version: '1.9.0' }] })).toEqual(['churn 1.9.0']);
    expect(await names({ among: [] })).toEqual([]);
  });

  it('comes in pages that together have every version once', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await at.registry.catalog.list({}, { limit: 2, ...(cursor === undefined ? {} : { cursor }) });
      expect(page.items.length).toBeLessThanOrEqual(2);
      seen.push(...page.items.map(({ model, version }) => `${model} ${version}`));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(seen).toEqual(await names());
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('refuses limits and cursors that are none', async () => {
    for (const limit of [0, -1, 1.5, Number.NaN, 1001])
      expect((await failure(at.registry.catalog.list({}, { limit }))).code).toBe('invalid_parameter');
    for (const cursor of [
      '',
      'x',
      'bnVsbA',
      Buffer.from('["a\\u0000",1]').toString('base64url'),
      Buffer.from('["a","b"]').toString('base64url'),
    ]) {
      expect((await failure(at.registry.catalog.list({}, { cursor }))).code).toBe('invalid_parameter');
    }
  });
});

describe('the snapshot', () => {
  it('has every model with its versions in the order of arrival and its aliases', async () => {
    const { models } = await at.registry.snapshot();
    const churn = models.find(({ name }) => name === 'churn');
    expect(churn?.versions.map(({ version, status }) => [version, status])).toEqual([
      ['1.0.0', 'active'],
      ['1.10.0', 'validated'],
      ['1.9.0', 'validated'],
      ['2.0.0', 'rejected'],
    ]);
    expect(churn?.aliases).toEqual([expect.objectContaining({ alias: 'production', version: '1.0.0', revision: 1 })]);
    expect(churn?.versions[0]).toEqual(await at.registry.find('churn', '1.0.0'));
  });

  it('follows every change, and change is announced on the channel', async () => {
    const heard: string[] = [];
    let wake = (): void => undefined;
    const stop = await at.database.listen(REGISTRY_CHANNEL, (payload) => {
      heard.push(payload);
      wake();
    });
    const announced = async (change: Promise<unknown>): Promise<void> => {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      await change;
      await woken;
    };
    const status = async (version: string): Promise<string | undefined> =>
      (await at.registry.snapshot()).models
        .find(({ name }) => name === 'price')
        ?.versions.find((v) => v.version === version)?.status;
    const move = { model: 'price', alias: 'production', version: '1.0.0', reason: 'first', ifNoneMatch: '*' };
    await announced(at.registry.aliases.move(ALICE, move, at.record));
    expect(await status('1.0.0')).toBe('active');
    await announced(add('price', '2.0.0'));
    expect(await status('2.0.0')).toBe('validated');
    await announced(at.registry.approve(ALICE, { model: 'price', version: '2.0.0', reason: 'good' }, at.record));
    expect(await status('2.0.0')).toBe('approved');
    await announced(at.registry.archive(ALICE, { model: 'price', version: '2.0.0', reason: 'old' }, at.record));
    expect(await status('2.0.0')).toBe('archived');
    expect(new Set(heard.filter((payload) => payload !== ''))).toEqual(new Set(['price']));
    stop();
  });
});
