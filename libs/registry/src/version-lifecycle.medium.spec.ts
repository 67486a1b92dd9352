import { appendFile, chmod } from 'node:fs/promises';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { CountingIds } from '@sibyl/kernel/testing';
import { ModelRegistry } from './model-registry';
import { packageFolder } from './testing';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';

let at: RegistryFixture;
beforeAll(async () => (at = await registryFixture()));
afterAll(() => at.end());
beforeEach(() => {
  at.changes.length = 0;
  at.runtime.before = undefined;
});

let models = 0;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );
const broken = (): void => {
  throw new DomainError('model_rejected', 'It crashes now.', { faults: [] });
};

async function version(golden?: Record<string, unknown>): Promise<{ model: string; version: string; reason: string }> {
  const name = `l${++models}`;
  const folder = await packageFolder({ manifest: { name }, ...(golden ? { golden } : {}) });
  await at.registry.registerFolder(ALICE, folder, {}, at.record).catch(() => undefined);
  at.changes.length = 0;
  return { model: name, version: '1.0.0', reason: 'reviewed' };
}
const promote = ({ model }: { model: string }): Promise<unknown> =>
  at.registry.aliases.move(
    ALICE,
    { model, alias: 'champion', version: '1.0.0', reason: 'go', ifNoneMatch: '*' },
    at.record,
  );
const WRONG = { samples: [{ inputs: { features: [[0, 0]] }, outputs: { variable: [[9]] } }] };

describe('approving and archiving', () => {
  it('approves with a reason and an event that says what changed and who did it', async () => {
    const decision = await version();
    expect(await at.registry.approve(ALICE, decision, at.record)).toMatchObject({
      status: 'approved',
      changedBy: ALICE,
    });
    expect(at.changes).toEqual([
      expect.objectContaining({
        action: 'model.approve',
        reason: 'reviewed',
        changes: { status: { from: 'validated', to: 'approved' } },
      }),
    ]);
    expect((await failure(at.registry.approve(ALICE, { ...decision, reason: '' }, at.record))).code).toBe(
      'invalid_parameter',
    );
  });

  it('tells what serves here before it answers, when the change is committed already', async () => {
    const decision = await version();
    const seen: unknown[] = [];
    const { database, runtime, clock, options } = at;
    const onChange = async (): Promise<void> => {
      seen.push((await at.registry.find(decision.model, '1.0.0')).status);
    };
    const registry = new ModelRegistry({ database, runtime, clock, ids: new CountingIds(), options, onChange });
    await registry.approve(ALICE, decision, at.record);
    expect(seen).toEqual(['approved']);
  });

  it('never approves what did not pass, and says what is unknown', async () => {
    const decision = await version(WRONG);
    expect((await failure(at.registry.approve(ALICE, decision, at.record))).code).toBe('version_not_servable');
    expect((await failure(at.registry.approve(ALICE, { ...decision, version: '9' }, at.record))).code).toBe(
      'version_not_found',
    );
    expect((await failure(at.registry.approve(ALICE, { ...decision, model: 'l' }, at.record))).code).toBe(
      'model_not_found',
    );
  });

  it('archives what no alias needs, and approval brings it back', async () => {
    const decision = await version();
    await promote(decision);
    expect(await failure(at.registry.archive(ALICE, decision, at.record))).toMatchObject({
      code: 'in_use',
      detail: expect.stringContaining('champion'),
    });
    const free = await version();
    expect((await at.registry.archive(ALICE, free, at.record)).status).toBe('archived');
    expect((await failure(at.registry.revalidate(ALICE, free, at.record))).code).toBe('version_not_servable');
    expect((await at.registry.approve(ALICE, free, at.record)).status).toBe('approved');
  });

  it.each(['archive', 'delete'] as const)('takes no version away from under its validation: %s', async (how) => {
    const model = `l${++models}`;
    const decision = { model, version: '1.0.0', reason: 'not wanted' };
    const refused: string[] = [];
    at.runtime.before = async () =>
      void refused.push((await failure(at.registry[how](ALICE, decision, at.record))).code);
    const folder = await packageFolder({ manifest: { name: model } });
    const registered = await at.registry.registerFolder(ALICE, folder, {}, at.record);
    expect([refused, registered.version.status]).toEqual([['in_use'], 'validated']);
    expect(at.changes.map(({ action }) => action)).toEqual(['model.register']);
    expect((await at.registry[how](ALICE, decision, at.record)).status).toBe('archived');
  });

  it('takes away what a crash left without a verdict, and says so to whoever was at it after all', async () => {
    const model = `l${++models}`;
    const decision = { model, version: '1.0.0', reason: 'left by a crash' };
    at.runtime.before = async () => {
      at.clock.advance(at.options.abandonedAfterMs + 1);
      expect((await at.registry.archive(ALICE, decision, at.record)).status).toBe('archived');
    };
    const folder = await packageFolder({ manifest: { name: model } });
    const ended = await failure(at.registry.registerFolder(ALICE, folder, {}, at.record));
    expect(ended.code).toBe('version_conflict');
    at.runtime.before = undefined;
    expect((await failure(at.registry.approve(ALICE, decision, at.record))).code).toBe('version_not_servable');
    expect((await at.registry.registerFolder(ALICE, folder, {}, at.record)).version.status).toBe('validated');
  });

  it('is refused as a whole when the event cannot be written', async () => {
    const decision = await version();
    const unwritable = (): Promise<void> => Promise.reject(new DomainError('audit_unavailable', 'Full.'));
    await failure(at.registry.approve(ALICE, decision, unwritable));
    expect((await at.registry.find(decision.model, '1.0.0')).status).toBe('validated');
  });
});

describe('validating again', () => {
  it('keeps a good version and its status, and stores the new report', async () => {
    const decision = await version();
    await at.registry.approve(ALICE, decision, at.record);
    at.clock.advance(60_000);
    const before = await at.registry.find(decision.model, '1.0.0');
    const after = await at.registry.revalidate(ALICE, decision, at.record);
    expect(after).toMatchObject({
      status: 'approved',
      digest: before.digest,
      arrival: before.arrival,
      validatedAt: before.validatedAt,
    });
    expect(after.report?.checkedAt).not.toBe(before.report?.checkedAt);
    expect(at.changes.at(-1)).toMatchObject({ action: 'model.validate', reason: 'reviewed' });
  });

  it('rejects a version that fails now; its bytes stay what they were, and it can recover', async () => {
    const decision = await version();
    at.runtime.before = broken;
    expect((await failure(at.registry.revalidate(ALICE, decision, at.record))).code).toBe('model_rejected');
    expect((await at.registry.find(decision.model, '1.0.0')).status).toBe('rejected');
    expect(at.changes).toEqual([expect.objectContaining({ action: 'model.validate', status: 422 })]);
    at.runtime.before = undefined;
    const other = await packageFolder({ manifest: { name: decision.model, description: 'other' } });
    expect((await failure(at.registry.registerFolder(ALICE, other, {}, at.record))).code).toBe('version_conflict');
    expect((await at.registry.revalidate(ALICE, decision, at.record)).status).toBe('validated');
  });

  it('brings a rejected version back when its own bytes come again and pass', async () => {
    const name = `l${++models}`;
    const folder = await packageFolder({ manifest: { name } });
    const decision = { model: name, version: '1.0.0', reason: 'again' };
    await at.registry.registerFolder(ALICE, folder, {}, at.record);
    at.runtime.before = broken;
    await failure(at.registry.revalidate(ALICE, decision, at.record));
    at.runtime.before = undefined;
    expect((await at.registry.registerFolder(ALICE, folder, {}, at.record)).version.status).toBe('validated');
  });

  it('does not take away a version that an alias serves, but says that it failed', async () => {
    const decision = await version();
    await promote(decision);
    at.runtime.before = broken;
    expect((await failure(at.registry.revalidate(ALICE, decision, at.record))).code).toBe('model_rejected');
    expect(await at.registry.find(decision.model, '1.0.0')).toMatchObject({
      status: 'active',
      report: { passed: false },
    });
  });

  it('rejects what a stricter scan refuses, and leaves alone what somebody else changed meanwhile', async () => {
    const decision = await version();
    const strict = at.another({ goldenSamples: 1 });
    expect(await failure(strict.revalidate(ALICE, decision, at.record))).toMatchObject({
      code: 'model_rejected',
      faults: [{ pointer: '/golden.json/samples' }],
    });
    const other = await version();
    at.runtime.before = async () => void (await at.registry.approve(ALICE, other, at.record));
    expect((await failure(at.registry.revalidate(ALICE, other, at.record))).code).toBe('version_conflict');
    expect((await at.registry.find(other.model, '1.0.0')).status).toBe('approved');
    expect((await failure(at.registry.revalidate(ALICE, { ...decision, version: '9' }, at.record))).code).toBe(
      'version_not_found',
    );
  });

  it('tries nothing whose stored bytes are damaged', async () => {
    const decision = await version();
    const { digest } = await at.registry.find(decision.model, '1.0.0');
    const file = path.join(await at.registry.artifactFolder(digest), 'model.onnx');
    await chmod(file, 0o600);
    await appendFile(file, 'x');
    const trials = at.runtime.trials.length;
    expect(await failure(at.registry.revalidate(ALICE, decision, at.record))).toMatchObject({
      code: 'model_not_ready',
    });
    expect(at.runtime.trials).toHaveLength(trials);
    // The same bytes, registered again, mend the store.
    const folder = await packageFolder({ manifest: { name: decision.model } });
    expect((await at.registry.registerFolder(ALICE, folder, {}, at.record)).created).toBe(false);
    expect((await at.registry.revalidate(ALICE, decision, at.record)).status).toBe('validated');
  });
});
