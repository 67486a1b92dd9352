import type { FieldFault } from '@sibyl/kernel';
import type { PackageFile } from '../package-digest';
import { badSignature, SIGNATURE_FILE, signatureRefused } from './signature-fault';
import { readStatement, type SignedStatement } from './signed-statement';
import { verifyPayload } from './signing-key';
import { readBundle } from './sigstore-bundle';
import { isValidAt, type TrustedKey } from './trusted-keys';

/** A signature file and what it should hold for. */
export interface SignedPackage {
  readonly signature: Uint8Array;
  /** Every file of the package as it is stored. */
  readonly files: readonly PackageFile[];
  /** Files that lie beside them, belong to no package and are not signed either. */
  readonly unsignedFiles: readonly string[];
}

/** Who may sign, and when it is. */
export interface Trust {
  readonly keys: readonly TrustedKey[];
  /** Names or fingerprints of keys; absent: all of them. */
  readonly signers?: readonly string[] | undefined;
  readonly nowMs: number;
  readonly filesMax: number;
}

const FAULTS_MAX = 100;

/**
 * Checks a signature from the outside in: its form, the key that it names, its bytes, what it says, and then that the package
 * holds what was signed and nothing else. Returns the key. Throws model_rejected with the names of the files that differ.
 */
export function verifyPackage({ signature, files, unsignedFiles }: SignedPackage, trust: Trust): TrustedKey {
  const bundle = readBundle(signature);
  const key = trustedSigner(`sha256:${bundle.keyHint}`, trust);
  if (!verifyPayload(key.key, key.algorithm, bundle.payload, bundle.signature))
    throw badSignature('/dsseEnvelope/signatures/0/sig', `a signature by the key '${key.name}'`, 'another signature');
  const faults = differences(readStatement(bundle.payload, trust.filesMax), files, unsignedFiles);
  if (faults.length === 0) return key;
  throw signatureRefused(
    `The package is not what '${key.name}' signed: see the files that differ.`,
    faults.slice(0, FAULTS_MAX),
  );
}

/** The trusted key of this fingerprint, if its signatures count now. */
function trustedSigner(fingerprint: string, { keys, signers, nowMs }: Omit<Trust, 'filesMax'>): TrustedKey {
  const same = keys.filter((key) => key.fingerprint === fingerprint);
  const [first] = same;
  if (!first) throw untrusted('a signature by a trusted key', `the unknown key ${fingerprint}`);
  const allowed = same.filter((key) => !signers || signers.includes(key.name) || signers.includes(fingerprint));
  if (allowed.length === 0)
    throw untrusted('a signature by a signer that the policy of the model names', `the key '${first.name}'`);
  const valid = allowed.find((key) => isValidAt(key, nowMs));
  if (valid) return valid;
  const time = nowMs < (first.notBefore ?? -Infinity) ? 'is not valid yet' : 'has expired';
  throw untrusted('a signature by a key that is valid now', `the key '${first.name}' (${fingerprint}), which ${time}`);
}

function untrusted(expected: string, received: string): Error {
  return badSignature('/verificationMaterial/publicKey/hint', expected, received);
}

/** What the signature says of files, as far as it can be read at all; nothing of it is verified. */
export function claimedStatement(signature: Uint8Array, filesMax: number): SignedStatement | undefined {
  try {
    return readStatement(readBundle(signature).payload, filesMax);
  } catch {
    return undefined;
  }
}

function differences(
  { files: signed }: SignedStatement,
  files: readonly PackageFile[],
  unsignedFiles: readonly string[],
): FieldFault[] {
  const present = new Map(files.map((file) => [file.path, file.sha256]));
  present.delete(SIGNATURE_FILE);
  const faults: FieldFault[] = [];
  for (const [file, sha256] of signed) {
    const received = present.get(file);
    if (received === sha256) continue;
    faults.push({
      pointer: `/${file}`,
      expected: `the signed file, SHA-256 ${sha256}`,
      received: received === undefined ? 'no such file' : `SHA-256 ${received}`,
    });
  }
  const unsigned = [...[...present.keys()].filter((file) => !signed.has(file)), ...unsignedFiles];
  for (const file of unsigned)
    faults.push({ pointer: `/${file}`, expected: 'a file that was signed', received: 'a file that was not signed' });
  return faults;
}
