import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage, writePackage, type PackageFiles } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { REPOSITORY, startServer, type TestServer } from '../support/server.mjs';

const LINEAR = linearModel({ weights: [[2, 3]], bias: [1] });
const VERIFIED = { status: 'verified', policy: 'verify', signer: { name: 'trainer', algorithm: 'ecdsa-p256' } };

describe('signed packages', () => {
  let work: string;
  let trusted: string;
  let publicKey: string;
  let server: TestServer;
  let client: RecordedClient;

  beforeAll(async () => {
    work = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-signed-'));
    trusted = path.join(work, 'trusted');
    fs.mkdirSync(trusted);
    const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const sealed = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open sesame' } as const;
    fs.writeFileSync(path.join(work, 'trainer.pem'), pair.privateKey.export(sealed));
    publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    trust();
    server = await startServer({
      env: { SIBYL_MODELS: '', SIBYL_SIGNATURE_POLICY: 'verify', SIBYL_TRUSTED_KEYS: trusted },
    });
    client = new RecordedClient(server, 'signed');
  }, 90_000);
  afterAll(async () => {
    await server.stop();
    fs.rmSync(work, { recursive: true, force: true });
  }, 30_000);

  const trust = (head = ''): void => fs.writeFileSync(path.join(trusted, 'trainer.pub'), head + publicKey);
  const distrust = (): void => fs.rmSync(path.join(trusted, 'trainer.pub'));

  /** A package as its trainer signs it, by the command of this repository. */
  function signed(name: string, version = '1.0.0'): Map<string, Buffer> {
    const files = modelPackage(LINEAR, { name, version, task: 'regression' }, { 'train.py': Buffer.from('print()') });
    const folder = fs.mkdtempSync(path.join(work, 'package-'));
    writePackage(folder, files);
    const key = path.join(work, 'trainer.pem');
    execFileSync(process.execPath, [path.join(REPOSITORY, 'scripts/sign-model.mjs'), folder, '--key', key], {
      env: { ...process.env, SIGNING_KEY_PASSWORD: 'open sesame' },
    });
    return new Map(files).set('model.sig', fs.readFileSync(path.join(folder, 'model.sig')));
  }

  const upload = (name: string, files: PackageFiles): Promise<Reply> => client.upload(name, files);
  const predict = (name: string, more: object = {}): Promise<Reply> =>
    client.post(`/models/${name}/predict`, { inputs: { features: [[10, 100]] }, ...more });
  const pointers = ({ body }: Reply): string[] => body.errors.map(({ pointer }: { pointer: string }) => pointer);

  it('are verified when they come, and the version and its event say by whom', async () => {
    const reply = await upload('good', signed('good'));
    expect(reply).toMatchObject({ status: 201, body: { package_signature: VERIFIED } });
    const event = await client.lastEvent();
    expect(event).toMatchObject({ action: 'model.register', changes: { package_signature: VERIFIED } });
    const { body } = await client.get('/v1/models/good/versions/1.0.0');
    expect(body.package_signature.signer.fingerprint).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(body.files.map((file: { path: string }) => file.path)).toEqual(
      expect.arrayContaining(['model.sig', 'train.py']),
    );
    expect((await client.promote('good', 'production', '1.0.0')).status).toBe(200);
    expect(await client.lastEvent()).toMatchObject({
      action: 'model.promote',
      changes: { package_signature: VERIFIED },
    });
  });

  it.each([
    ['changed', 'train.py', (files: Map<string, Buffer>) => files.set('train.py', Buffer.from('import os'))],
    ['added', 'evil.py', (files: Map<string, Buffer>) => files.set('evil.py', Buffer.from('import os'))],
    ['left out', 'train.py', (files: Map<string, Buffer>) => files.delete('train.py')],
  ])('are refused with the name of a file that was %s, and nothing of them is kept', async (_, file, spoil) => {
    const files = signed('spoiled');
    spoil(files);
    const reply = await upload('spoiled', files);
    expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
    expect(pointers(reply)).toEqual([`/${file}`]);
    expect((await client.get('/v1/models/spoiled/versions/1.0.0')).status).toBe(404);
  });

  it('are asked for by the policy of a model, though the server takes unsigned ones', async () => {
    const unsigned = (name: string): PackageFiles => modelPackage(LINEAR, { name, version: '1.0.0' });
    expect(await upload('lax', unsigned('lax'))).toMatchObject({
      status: 201,
      body: { package_signature: { status: 'unsigned', policy: 'verify' } },
    });
    const policy = { signature: 'require', signers: ['trainer'], reason: 'a test' };
    const set = await client.call('PUT', '/v1/models/strict/policy', {
      body: policy,
      headers: { 'if-none-match': '*' },
    });
    expect(set).toMatchObject({ status: 200, body: { signature: 'require', signers: ['trainer'] } });
    const reply = await upload('strict', unsigned('strict'));
    expect(reply).toMatchObject({ status: 422, body: { code: 'model_rejected' } });
    expect(pointers(reply)).toEqual(['/model.sig']);
    expect((await upload('strict', signed('strict'))).status).toBe(201);
  });

  it('serve on when their key is taken away, but are neither promoted nor loaded again', async () => {
    await upload('kept', signed('kept'));
    expect((await client.promote('kept', 'production', '1.0.0')).status).toBe(200);
    expect((await predict('kept')).status).toBe(200);
    distrust();
    try {
      expect(await client.promote('kept', 'champion', '1.0.0')).toMatchObject({
        status: 409,
        body: { code: 'version_not_servable' },
      });
      expect((await predict('kept')).status).toBe(200);
      await client.call('DELETE', '/v1/models/kept/1.0.0');
      const load = { model_id: 'kept', version: '1.0.0' };
      expect(await client.post('/v1/models/load', load)).toMatchObject({
        status: 409,
        body: { code: 'version_not_servable', errors: [{ pointer: expect.stringMatching('^/model.sig') }] },
      });
      // Nothing is wrong with what the caller sent.
      expect(await predict('kept')).toMatchObject({
        status: 409,
        body: { code: 'version_not_servable', detail: expect.stringContaining('1.0.0') },
      });
      trust('not_after: 2020-01-01T00:00:00Z\n');
      const expired = await client.post('/v1/models/load', load);
      expect(expired.body.errors[0].received).toContain('has expired');
      trust();
      expect((await client.post('/v1/models/load', load)).status).toBe(200);
      expect((await predict('kept')).status).toBe(200);
    } finally {
      trust();
    }
  });

  it('leave one event a request, as everything does', async () => {
    expect(await client.unrecorded()).toEqual([]);
  });
});
