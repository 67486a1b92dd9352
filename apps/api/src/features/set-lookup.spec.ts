import { DomainError, SystemClock } from '@sibyl/kernel';
import type { ServedVersion } from '@sibyl/prediction';
import type { FoundFeatureSet } from '@sibyl/registry';
import { SetLookup } from './set-lookup';

const facts = { manifest: { featureSet: 'inputs' } };
const served = { model: 'm', version: '1.0.0', facts } as unknown as ServedVersion;

/** A lookup whose clock stands still, and what it hears of the set. */
function lookupOf(of: () => Promise<FoundFeatureSet>) {
  const clock = new SystemClock();
  let now = 0;
  jest.spyOn(clock, 'monotonic').mockImplementation(() => now);
  const asked = jest.fn(of);
  return { lookup: new SetLookup({ of: asked }, clock, served), asked, later: () => (now += 1000) };
}

it('a set that is not there is named, with why', async () => {
  const faults = [{ pointer: '/feature_set', expected: 'a published feature set', received: 'inputs' }];
  const { lookup } = lookupOf(() => Promise.resolve({ faults }));
  expect(await lookup.look()).toMatchObject({
    code: 'incomplete_features',
    detail: "The feature set 'inputs' of version 1.0.0 of model 'm' is not published, or does not fit it.",
    faults,
  });
  expect(lookup.reference).toBeUndefined();
});

it('a database that cannot say is no fault of the request', async () => {
  const error = new DomainError('database_unavailable', 'The database cannot be reached at the moment.');
  const { lookup } = lookupOf(() => Promise.reject(error));
  expect(await lookup.look()).toBe(error);
  expect(await lookupOf(() => Promise.reject(new Error('x'))).lookup.look()).toMatchObject({ code: 'internal_error' });
});

it('one that does not answer is not waited for', async () => {
  const { lookup } = lookupOf(() => new Promise(() => undefined));
  expect(await lookup.look()).toMatchObject({ code: 'database_unavailable', retryAfterSeconds: 1 });
});

it('is asked once a second, by however many requests, and keeps what it hears', async () => {
  const found: FoundFeatureSet[] = [{ faults: [] }, { reference: 'inputs@sha256:1', faults: [] }];
  const { lookup, asked, later } = lookupOf(() => Promise.resolve(found.shift() ?? { faults: [] }));
  await Promise.all([lookup.look(), lookup.look(), lookup.look()]);
  await lookup.look();
  expect(asked).toHaveBeenCalledTimes(1);
  later();
  await lookup.look();
  expect(asked).toHaveBeenCalledTimes(2);
  expect(lookup.reference).toBe('inputs@sha256:1');
});
