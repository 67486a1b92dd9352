import type { DomainError } from '@sibyl/kernel';
import { verifyPackage, type Trust } from './package-signature';
import { bundleOf, packageFiles, statementOf, testKey, toolVectors } from './testing/hand-signed';
import { parseTrustedKey, type TrustedKey } from './trusted-keys';

const NOW = Date.parse('2026-01-15T00:00:00Z');
const trust = (keys: readonly TrustedKey[], more: Partial<Trust> = {}): Trust => ({
  keys,
  nowMs: NOW,
  filesMax: 100,
  ...more,
});
function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    return error as DomainError;
  }
  throw new Error('it was accepted');
}

const VECTORS = toolVectors();
const CONTENTS = Object.fromEntries(
  Object.entries(VECTORS.files).map(([file, text]) => [file, Buffer.from(text, 'base64')]),
);
const FILES = [...packageFiles(CONTENTS), { path: 'model.sig', sha256: '0'.repeat(64), bytes: 1 }];

describe.each(VECTORS.signatures)('a package that the OpenSSF tool signed on $curve', ({ public_key, signature }) => {
  const key = parseTrustedKey(public_key, 'trainer');
  const bytes = Buffer.from(signature);

  it('is verified, and its signer named', () => {
    expect(verifyPackage({ signature: bytes, files: FILES, unsignedFiles: [] }, trust([key]))).toBe(key);
  });

  it.each(['model.onnx', 'sibyl.json', 'notes/empty'])('is refused when %s was changed, by its name', (file) => {
    const files = FILES.map((each) => (each.path === file ? { ...each, sha256: 'f'.repeat(64) } : each));
    const error = refusal(() => verifyPackage({ signature: bytes, files, unsignedFiles: [] }, trust([key])));
    expect(error.code).toBe('model_rejected');
    expect(error.faults).toEqual([
      {
        pointer: `/${file}`,
        expected: expect.stringContaining('the signed file, SHA-256') as string,
        received: `SHA-256 ${'f'.repeat(64)}`,
      },
    ]);
  });

  it('is refused when a file is missing or there is one too many, stored or beside it', () => {
    const extra = { path: 'config.json', sha256: '1'.repeat(64), bytes: 2 };
    const files = [...FILES.filter((file) => file.path !== 'notes.txt'), extra];
    const error = refusal(() => verifyPackage({ signature: bytes, files, unsignedFiles: ['evil.py'] }, trust([key])));
    expect(error.faults?.map(({ pointer, received }) => [pointer, received])).toEqual([
      ['/notes.txt', 'no such file'],
      ['/config.json', 'a file that was not signed'],
      ['/evil.py', 'a file that was not signed'],
    ]);
  });

  it('is refused when one bit of what was signed differs', () => {
    const bundle = JSON.parse(signature) as { dsseEnvelope: { payload: string } };
    const payload = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString();
    bundle.dsseEnvelope.payload = Buffer.from(payload.replace('"name": "linear"', '"name": "lineaR"')).toString(
      'base64',
    );
    const tampered = Buffer.from(JSON.stringify(bundle));
    const error = refusal(() => verifyPackage({ signature: tampered, files: FILES, unsignedFiles: [] }, trust([key])));
    expect(error.faults?.[0]?.pointer).toBe('/model.sig/dsseEnvelope/signatures/0/sig');
  });
});

describe('who may sign', () => {
  const files = packageFiles({ 'model.onnx': 'm' });
  const alice = testKey('alice');
  const bob = testKey('bob');
  const signature = Buffer.from(JSON.stringify(bundleOf(JSON.stringify(statementOf(files)), alice.secret)));
  const verify = (given: Trust): TrustedKey => verifyPackage({ signature, files, unsignedFiles: [] }, given);

  it('is whoever has a trusted key, and of them those that the policy names, by name or fingerprint', () => {
    const keys = [bob.trusted, alice.trusted];
    expect(verify(trust(keys))).toBe(alice.trusted);
    expect(verify(trust(keys, { signers: ['alice'] }))).toBe(alice.trusted);
    expect(verify(trust(keys, { signers: [alice.trusted.fingerprint] }))).toBe(alice.trusted);
    const other = refusal(() => verify(trust(keys, { signers: ['bob'] })));
    expect(other.faults?.[0]).toMatchObject({ received: "the key 'alice'" });
    const unknown = refusal(() => verify(trust([bob.trusted])));
    expect(unknown.faults?.[0]?.received).toBe(`the unknown key ${alice.trusted.fingerprint}`);
  });

  it('is nobody whose key has expired or is not valid yet', () => {
    const dated = (head: string): TrustedKey => parseTrustedKey(`${head}\n${alice.pem}`, 'alice');
    expect(verify(trust([dated('not_after: 2026-01-15T00:00:01Z')])).name).toBe('alice');
    const expired = refusal(() => verify(trust([dated('not_after: 2026-01-15T00:00:00Z')])));
    expect(expired.faults?.[0]?.received).toContain('has expired');
    const early = refusal(() => verify(trust([dated('not_before: 2026-01-15T00:00:01Z')])));
    expect(early.faults?.[0]?.received).toContain('is not valid yet');
  });

  it('cannot be impersonated by naming the hint of a trusted key', () => {
    const bundle = bundleOf(JSON.stringify(statementOf(files)), bob.secret);
    bundle['verificationMaterial'] = {
      publicKey: { hint: alice.trusted.fingerprint.replace('sha256:', '') },
      tlogEntries: [],
    };
    const forged = Buffer.from(JSON.stringify(bundle));
    const error = refusal(() => verifyPackage({ signature: forged, files, unsignedFiles: [] }, trust([alice.trusted])));
    expect(error.faults?.[0]?.pointer).toBe('/model.sig/dsseEnvelope/signatures/0/sig');
  });
});
