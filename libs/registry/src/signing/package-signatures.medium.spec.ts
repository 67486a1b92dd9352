import { mkdtemp, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { DomainError } from '@sibyl/kernel';
import { ModelPolicy } from '../model-policy';
import { packageFolder, type PackageParts } from '../testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from '../testing/registry-fixture';
import { signFolder } from './sign-folder';
import type { SignaturePolicy } from './signature-policy';
import { testKey, toolVectors } from './testing/hand-signed';

const alice = testKey('alice');
const mallory = testKey('mallory');
let keys: string;
let at: RegistryFixture;
beforeAll(async () => {
  keys = await mkdtemp(path.join(os.tmpdir(), 'sibyl-keys-'));
  at = await registryFixture({ signaturePolicy: 'require', trustedKeys: [keys], registrationsAtOnce: 8 });
});
afterAll(async () => {
  await at.end();
  await rm(keys, { recursive: true, force: true });
});
beforeEach(async () => {
  at.changes.length = 0;
  at.runtime.trials.length = 0;
  await trust();
});

const trust = (): Promise<void> => writeFile(path.join(keys, 'alice.pub'), alice.pem);
const distrust = (): Promise<void> => unlink(path.join(keys, 'alice.pub'));
let models = 0;
const fresh = (): string => `m${++models}`;
const failure = (promise: Promise<unknown>): Promise<DomainError> =>
  promise.then(
    () => Promise.reject(new Error('it was accepted')),
    (error: DomainError) => error,
  );
const under = (policy: SignaturePolicy): RegistryFixture['registry'] => at.another({ signaturePolicy: policy });
const register = (folder: string, registry = at.registry): ReturnType<typeof at.registry.registerFolder> =>
  registry.registerFolder(ALICE, folder, {}, at.record);

/** A package of a model of its own, signed once everything lies in it. */
async function signed(parts: PackageParts = {}, key = alice): Promise<string> {
  const folder = await packageFolder({ manifest: { name: fresh() }, ...parts });
  await writeFile(path.join(folder, 'model.sig'), await signFolder(folder, key.secret));
  return folder;
}

it('what a signature is judged by is another text with each change of keys or policy, and the same without', async () => {
  const { version } = await register(await signed());
  const read = async (): Promise<string> => {
    await at.registry.snapshot();
    return at.registry.signatureTrust(version);
  };
  const before = await read();
  expect(await read()).toBe(before);
  await distrust();
  expect(await read()).not.toBe(before);
  const ended = '2020-01-01T00:00:00Z';
  await writeFile(path.join(keys, 'alice.pub'), `not_after: ${ended}\n${alice.pem}`);
  expect(await read()).not.toBe(before);
  await trust();
  expect(await read()).toBe(before);
  const policy = ModelPolicy.of({ signers: ['alice'] });
  const change = { model: version.model, policy, reason: 'r', ifNoneMatch: '*' };
  await at.registry.setPolicy(ALICE, change, at.record);
  expect(await read()).not.toBe(before);
});

describe('a signed package', () => {
  it('is taken whole: what was signed is stored, also what belongs to no package otherwise', async () => {
    const folder = await signed({ files: { 'train.py': 'print()', 'notes/a.txt': 'a', 'notes.txt': '' } });
    const { version } = await register(folder);
    expect(version.status).toBe('validated');
    expect(version.files.map((file) => file.path).sort()).toEqual(
      ['golden.json', 'model.onnx', 'model.sig', 'notes.txt', 'notes/a.txt', 'sibyl.json', 'train.py'].sort(),
    );
    expect(version.report?.ignoredFiles).toEqual([]);
    const { name, fingerprint, algorithm } = alice.trusted;
    const record = { status: 'verified', policy: 'require', signer: { name, fingerprint, algorithm } };
    expect(version.packageSignature).toMatchObject(record);
    expect((await at.registry.find(version.model, version.version)).packageSignature).toEqual(version.packageSignature);
    expect(at.changes[0]?.changes?.['package_signature']).toMatchObject(record);
  });

  it.each([
    ['has no manifest', {}],
    ['has one without a name', { files: { 'sibyl.json': '{"version":"1.0.0"}' } }],
  ])('that %s is nobody in particular, and refused where signatures are required', async (_, parts) => {
    const folder = await signed({ manifest: undefined, golden: null, ...parts });
    const take = (policy: SignaturePolicy, name: string): Promise<unknown> =>
      under(policy).registerFolder(ALICE, folder, { name, version: '1.0.0' }, at.record);
    const name = fresh();
    const refused = {
      code: 'model_rejected',
      faults: [expect.objectContaining({ pointer: '/sibyl.json/name', expected: name }) as unknown],
    };
    expect(await failure(take('require', name))).toMatchObject(refused);
    await take('verify', name);
    const move = { model: name, alias: 'production', version: '1.0.0', reason: 'r', ifNoneMatch: '*' };
    const unservable = { ...refused, code: 'version_not_servable' };
    expect(await failure(at.registry.aliases.move(ALICE, move, at.record))).toMatchObject(unservable);
    await under('verify').aliases.move(ALICE, move, at.record);
  });

  it('is the same package whatever the policy', async () => {
    const folder = await signed({ files: { 'train.py': 'print()' } });
    const first = await register(folder, under('none'));
    expect(first.version.packageSignature?.status).toBe('unchecked');
    const again = await register(folder);
    expect(again).toMatchObject({ created: false, version: { digest: first.version.digest } });
  });

  it('made by the OpenSSF tool is taken', async () => {
    const { files, signatures } = toolVectors();
    const contents = Object.fromEntries(
      Object.entries(files).map(([file, text]) => [file, Buffer.from(text, 'base64')]),
    );
    for (const { curve, public_key, signature } of signatures) {
      await writeFile(path.join(keys, `${curve}.pub`), public_key);
      const all = { ...contents, 'model.sig': signature };
      const folder = await packageFolder({ manifest: undefined, golden: null, files: all });
      const { version } = await failureOrVersion(folder);
      expect(version.packageSignature).toMatchObject({ status: 'verified', signer: { name: curve } });
    }
  });

  // The three packages differ in their signature only, so each comes to a registry as the first of its version.
  async function failureOrVersion(folder: string): ReturnType<typeof register> {
    const other = await registryFixture({ signaturePolicy: 'require', trustedKeys: [keys] });
    try {
      return await other.registry.registerFolder(ALICE, folder, {}, other.record);
    } finally {
      await other.end();
    }
  }

  it.each([
    [
      'a changed file',
      (folder: string) => writeFile(path.join(folder, 'golden.json'), '{"samples":[]}'),
      '/golden.json',
    ],
    [
      'an unsigned file that a package takes',
      (folder: string) => writeFile(path.join(folder, 'config.json'), '{}'),
      '/config.json',
    ],
    ['an unsigned file that none takes', (folder: string) => writeFile(path.join(folder, 'evil.py'), 'x'), '/evil.py'],
    ['an unsigned link', (folder: string) => symlink('/etc/passwd', path.join(folder, 'passwd')), '/passwd'],
    ['a missing file', (folder: string) => unlink(path.join(folder, 'train.py')), '/train.py'],
  ])('is refused for %s, by its name, before anything of it runs', async (_, spoil, pointer) => {
    const folder = await signed({ files: { 'train.py': 'print()' } });
    await spoil(folder);
    const error = await failure(register(folder, under('verify')));
    expect(error).toMatchObject({ code: 'model_rejected' });
    expect(error.faults?.map((fault) => fault.pointer)).toEqual([pointer]);
    expect(at.runtime.trials).toEqual([]);
  });

  it('is refused for a manifest that was swapped for another good one', async () => {
    const folder = await signed();
    const other = await signed();
    await writeFile(path.join(folder, 'sibyl.json'), await readFile(path.join(other, 'sibyl.json')));
    expect((await failure(register(folder))).faults?.[0]?.pointer).toBe('/sibyl.json');
  });

  it('is refused for a key that is not trusted', async () => {
    const folder = await signed({}, mallory);
    for (const policy of ['verify', 'require'] as const) {
      const error = await failure(register(folder, under(policy)));
      expect(error.faults?.[0]?.received).toBe(`the unknown key ${mallory.trusted.fingerprint}`);
    }
  });

  it('that cannot be read is refused, unless nobody asks', async () => {
    const folder = await packageFolder({ manifest: { name: fresh() }, files: { 'model.sig': 'pickle' } });
    expect(await failure(register(folder, under('verify')))).toMatchObject({ code: 'model_rejected' });
    expect((await register(folder, under('none'))).version.packageSignature?.status).toBe('unchecked');
  });

  it('may be no larger than the limit, whoever asks', async () => {
    const files = { 'model.sig': 'x'.repeat(2000) };
    const folder = await packageFolder({ manifest: { name: fresh() }, files });
    const registry = at.another({ signaturePolicy: 'none', signatureBytes: 1024 });
    expect((await failure(register(folder, registry))).faults?.[0]?.pointer).toBe('/model.sig');
  });
});

describe('a package without a signature', () => {
  it('is refused where one is required, and taken where one is only verified', async () => {
    const folder = await packageFolder({ manifest: { name: fresh() } });
    const error = await failure(register(folder));
    expect(error.faults).toEqual([
      { pointer: '/model.sig', expected: 'a signature by a trusted key', received: 'no such file' },
    ]);
    expect((await register(folder, under('verify'))).version.packageSignature?.status).toBe('unsigned');
  });
});

describe('a key that is trusted no more', () => {
  it('stops the promotion, the next load and the validation of what it signed', async () => {
    const { version } = await register(await signed());
    const { model } = version;
    const move = { model, alias: 'production', version: version.version, reason: 'test' };
    await at.registry.aliases.move(ALICE, { ...move, alias: 'champion', ifNoneMatch: '*' }, at.record);
    expect(at.changes[1]?.changes?.['package_signature']).toMatchObject({
      status: 'verified',
      signer: { name: 'alice' },
    });
    await at.registry.checkSignature(version);
    await distrust();
    const refused = { code: 'version_not_servable', faults: [{ pointer: expect.stringMatching('^/model.sig') }] };
    expect(await failure(at.registry.aliases.move(ALICE, { ...move, ifNoneMatch: '*' }, at.record))).toMatchObject(
      refused,
    );
    expect(await failure(at.registry.checkSignature(version))).toMatchObject(refused);
    const decision = { model, version: version.version, reason: 'test' };
    expect(await failure(at.registry.revalidate(ALICE, decision, at.record))).toMatchObject({ code: 'model_rejected' });
    // What serves goes on: the alias is where it was, and the version is not rejected.
    expect(await at.registry.find(model, version.version)).toMatchObject({ status: 'active', aliases: ['champion'] });
  });

  it('stops what was taken before signatures were asked for', async () => {
    const folder = await packageFolder({ manifest: { name: fresh() } });
    const { version } = await register(folder, under('none'));
    expect(await failure(at.registry.checkSignature(version))).toMatchObject({ code: 'version_not_servable' });
  });
});

describe('the policy of a model', () => {
  const set = (model: string, members: Partial<ModelPolicy>): ReturnType<typeof at.registry.setPolicy> =>
    at.registry.setPolicy(
      ALICE,
      { model, policy: ModelPolicy.of(members), reason: 'test', ifNoneMatch: '*' },
      at.record,
    );

  it('asks for more than the server does, and names who may sign', async () => {
    const lax = under('none');
    const unsigned = await packageFolder({ manifest: { name: fresh() } });
    await set(`m${models}`, { signature: 'require' });
    expect((await failure(register(unsigned, lax))).faults?.[0]?.pointer).toBe('/model.sig');
    const folder = await signed();
    await set(`m${models}`, { signature: 'verify', signers: ['bob'] });
    expect((await failure(register(folder, lax))).faults?.[0]?.received).toBe("the key 'alice'");
    const other = await signed();
    await set(`m${models}`, { signature: 'verify', signers: ['bob', alice.trusted.fingerprint] });
    expect((await register(other, lax)).version.packageSignature).toMatchObject({
      status: 'verified',
      policy: 'verify',
    });
  });

  it('never asks for less', async () => {
    const folder = await packageFolder({ manifest: { name: fresh() } });
    await set(`m${models}`, { signature: 'none' });
    expect(await failure(register(folder))).toMatchObject({ code: 'model_rejected' });
  });

  it('counts for the next load once serving has looked at the registry, and needs no database then', async () => {
    const lax = under('none');
    const { version } = await register(await packageFolder({ manifest: { name: fresh() } }), lax);
    await lax.checkSignature(version);
    await set(version.model, { signature: 'require' });
    await lax.snapshot();
    const query = jest.spyOn(at.database, 'query').mockRejectedValue(new Error('a load asked the database'));
    try {
      expect(await failure(lax.checkSignature(version))).toMatchObject({ code: 'version_not_servable' });
    } finally {
      query.mockRestore();
    }
  });
});
