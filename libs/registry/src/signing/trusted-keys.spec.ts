import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { algorithmOf, signPayload, verifyPayload } from './signing-key';
import { sha256, testKey } from './testing/hand-signed';
import { parseTrustedKey, readTrustedKeys } from './trusted-keys';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-trusted-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it('reads files and folders, follows links, and says what it could not read', async () => {
  const alice = testKey();
  const bob = testKey();
  await mkdir(path.join(folder, 'keys'));
  await writeFile(path.join(folder, 'keys', 'alice.pub'), alice.pem);
  await writeFile(path.join(folder, 'bob.data'), bob.pem);
  await symlink(path.join(folder, 'bob.data'), path.join(folder, 'keys', 'bob.pem'));
  await writeFile(path.join(folder, 'keys', 'README'), 'no key');
  await writeFile(path.join(folder, 'keys', 'broken.pem'), 'no key');
  const gone = path.join(folder, 'gone');
  const { keys, problems } = await readTrustedKeys([path.join(folder, 'keys'), path.join(folder, 'bob.data'), gone]);
  expect(keys.map((key) => [key.name, key.fingerprint])).toEqual([
    ['alice', `sha256:${sha256(alice.pem)}`],
    ['bob', `sha256:${sha256(bob.pem)}`],
    ['bob.data', `sha256:${sha256(bob.pem)}`],
  ]);
  expect(problems).toEqual([
    `${path.join(folder, 'keys', 'broken.pem')}: not one public key in PEM`,
    `${gone}: there is no such file or folder`,
  ]);
});

it('takes the dates above a key and refuses a text there that is none', () => {
  const { pem } = testKey();
  const dated = parseTrustedKey(
    `# team A\nnot_before: 2026-01-01T00:00:00Z\nnot_after: 2027-01-01T00:00:00Z\n${pem}`,
    'a',
  );
  expect(dated).toMatchObject({ notBefore: Date.UTC(2026, 0), notAfter: Date.UTC(2027, 0) });
  const none = ['not_after 2027-01-01T00:00:00Z', 'not-after: 2027-01-01T00:00:00Z', 'not_after: 2027', 'hello'];
  for (const head of [...none, 'not_after: 2027-02-29T00:00:00Z', 'not_after: 2027-01-01T24:00:00Z'])
    expect(() => parseTrustedKey(`${head}\n${pem}`, 'a')).toThrow('above the key only');
  expect(() =>
    parseTrustedKey(`not_after: 2027-01-01T00:00:00Z\nnot_after: 2028-01-01T00:00:00Z\n${pem}`, 'a'),
  ).toThrow();
});

it('takes public keys of the four kinds only', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' });
  const koblitz = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
    type: 'spki',
    format: 'pem',
  });
  for (const pem of [rsa, koblitz]) expect(() => parseTrustedKey(pem.toString(), 'x')).toThrow('not a key for ECDSA');
  const secret = testKey().secret.export({ type: 'pkcs8', format: 'pem' }).toString();
  expect(() => parseTrustedKey(secret, 'x')).toThrow('not one public key');
  const { pem } = testKey();
  expect(() => parseTrustedKey(pem + pem, 'x')).toThrow();
});

it.each(['prime256v1', 'secp384r1', 'secp521r1', 'ed25519'])('signs and verifies by %s', (kind) => {
  const { privateKey, publicKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: kind });
  const algorithm = algorithmOf(privateKey) ?? 'ecdsa-p256';
  expect(algorithmOf(publicKey)).toBe(algorithm);
  const payload = Buffer.from('{}');
  const signature = signPayload(privateKey, algorithm, payload);
  expect(verifyPayload(publicKey, algorithm, payload, signature)).toBe(true);
  expect(verifyPayload(publicKey, algorithm, Buffer.from('{ }'), signature)).toBe(false);
  // The envelope is what is signed, never the bare payload.
  const hash = kind === 'ed25519' ? null : 'sha256';
  expect(verify(hash, payload, publicKey, signature)).toBe(false);
  expect(verifyPayload(publicKey, algorithm, payload, sign(hash, payload, privateKey))).toBe(false);
});
