import { pinFeatureSet } from './feature-set-pins';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => {
  at = await registryFixture();
  await at.registry.registerFolder(ALICE, await packageFolder({ manifest: { name: 'early' } }), {}, at.record);
});
afterAll(() => at.end());
beforeEach(() => {
  at.changes.length = 0;
});

const [first, second] = ['inputs@sha256:aa', 'inputs@sha256:bb'];
const early = { model: 'early', version: '1.0.0' };
const pin = (reference: string, record = at.record): Promise<string> =>
  at.database.transaction((tx) => pinFeatureSet(tx, { ...early, reference }, record));
const pinned = async (): Promise<unknown> => (await at.registry.find('early', '1.0.0')).featureSet;

describe('the version of a feature set', () => {
  it('is not kept where that cannot be recorded', async () => {
    const unwritable = (): Promise<void> => Promise.reject(new Error('no trail'));
    await expect(pin(first, unwritable)).rejects.toThrow('no trail');
    expect(await pinned()).toBeUndefined();
  });

  it('is kept once, with one event, whoever comes later with another', async () => {
    expect(await pin(first)).toBe(first);
    expect(await pin(second)).toBe(first);
    expect(await pinned()).toBe(first);
    expect(at.changes).toMatchObject([
      {
        action: 'model.pin',
        resource: { type: 'model_version', id: 'early/1.0.0' },
        model: { name: 'early', version: '1.0.0' },
        changes: { feature_set: { from: null, to: first } },
      },
    ]);
  });
});
