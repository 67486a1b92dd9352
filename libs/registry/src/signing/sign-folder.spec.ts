import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { verifyPackage } from './package-signature';
import { signFolder } from './sign-folder';
import { packageFiles, testKey, toolVectors } from './testing/hand-signed';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-sign-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fill(contents: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [file, content] of Object.entries(contents)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), content);
  }
}

const statementIn = (signature: string): { subject: unknown[]; predicate: { resources: unknown[] } } => {
  const { dsseEnvelope } = JSON.parse(signature) as { dsseEnvelope: { payload: string } };
  return JSON.parse(Buffer.from(dsseEnvelope.payload, 'base64').toString()) as ReturnType<typeof statementIn>;
};

it('says of a folder what the OpenSSF tool says of it: the same files in the same order, with the same digest', async () => {
  const { files, signatures } = toolVectors();
  await fill(Object.fromEntries(Object.entries(files).map(([file, text]) => [file, Buffer.from(text, 'base64')])));
  await fill({ 'model.sig': 'from before', '.gitignore': 'x', '.git/config': 'x' });
  const ours = statementIn(await signFolder(folder, testKey().secret));
  const theirs = statementIn(signatures[0]?.signature ?? '');
  expect(ours.predicate.resources).toEqual(theirs.predicate.resources);
  expect(ours.subject).toMatchObject([{ digest: (theirs.subject[0] as { digest: object }).digest }]);
});

it('makes what verifies', async () => {
  const contents = { 'model.onnx': 'm', 'sibyl.json': '{}' };
  await fill(contents);
  const { secret, trusted } = testKey();
  const signature = Buffer.from(await signFolder(folder, secret));
  const trust = { keys: [trusted], nowMs: 0, filesMax: 10 };
  expect(verifyPackage({ signature, files: packageFiles(contents), unsignedFiles: [] }, trust)).toBe(trusted);
});

it('refuses links, names that no package may hold, and keys that nobody verifies', async () => {
  await fill({ 'model.onnx': 'm' });
  await symlink('/etc/passwd', path.join(folder, 'passwd'));
  await expect(signFolder(folder, testKey().secret)).rejects.toMatchObject({ code: 'model_rejected' });
  await rm(path.join(folder, 'passwd'));
  await fill({ 'é.txt': 'x' });
  await expect(signFolder(folder, testKey().secret)).rejects.toMatchObject({ code: 'invalid_parameter' });
  await rm(path.join(folder, 'é.txt'));
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  for (const key of [rsa, testKey().trusted.key])
    await expect(signFolder(folder, key)).rejects.toMatchObject({ code: 'invalid_parameter' });
});
