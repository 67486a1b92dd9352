import type { KeyObject } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { hashFile, openPlain, refusedFile } from '../package-files';
import { packagePath } from '../package-path';
import { SIGNATURE_FILE } from './signature-fault';
import { PREDICATE_TYPE, rootDigest, STATEMENT_TYPE } from './signed-statement';
import { algorithmOf, keyHint, signPayload } from './signing-key';
import { BUNDLE_MEDIA_TYPE, PAYLOAD_TYPE } from './sigstore-bundle';

/** What the OpenSSF tool leaves out too: not part of the model, and differing from clone to clone. */
const IGNORED = ['.git', '.gitattributes', '.github', '.gitignore', SIGNATURE_FILE];

interface Resource {
  readonly name: string;
  readonly algorithm: 'sha256';
  readonly digest: string;
}

/**
 * Signs every file of a folder and returns the text of its `model.sig`, which the OpenSSF tool verifies as well as Sibyl.
 * Links, devices and names that no package may hold are refused: they could not be verified where the package arrives.
 */
export async function signFolder(folder: string, privateKey: KeyObject): Promise<string> {
  const algorithm = algorithmOf(privateKey);
  if (privateKey.type !== 'private' || algorithm === undefined)
    throw new DomainError(
      'invalid_parameter',
      'The key is no private key for ECDSA on P-256, P-384 or P-521, nor Ed25519.',
    );
  const resources = await resourcesIn(folder);
  const digest = rootDigest(resources.map((resource) => resource.digest));
  const statement = {
    _type: STATEMENT_TYPE,
    subject: [{ name: path.basename(path.resolve(folder)), digest: { sha256: digest } }],
    predicateType: PREDICATE_TYPE,
    predicate: {
      serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false, ignore_paths: IGNORED },
      resources,
    },
  };
  const payload = Buffer.from(JSON.stringify(statement));
  return JSON.stringify({
    mediaType: BUNDLE_MEDIA_TYPE,
    verificationMaterial: { publicKey: { hint: keyHint(privateKey) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: PAYLOAD_TYPE,
      signatures: [{ sig: signPayload(privateKey, algorithm, payload).toString('base64'), keyid: '' }],
    },
  });
}

async function resourcesIn(folder: string): Promise<Resource[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep));
  const signed = files.filter((segments) => !IGNORED.includes(segments[0] ?? '')).sort(bySegments);
  const resources: Resource[] = [];
  for (const segments of signed) {
    const name = packagePath(segments.join('/'));
    const handle = await openPlain(folder, name);
    if (!handle) throw refusedFile(name, 'no such file');
    try {
      resources.push({ name, algorithm: 'sha256', digest: (await hashFile(handle, name)).sha256 });
    } finally {
      await handle.close();
    }
  }
  return resources;
}

/** Folder by folder, as the OpenSSF tool orders paths: `a/b` before `a.txt`. */
function bySegments(a: readonly string[], b: readonly string[]): number {
  const i = a.findIndex((segment, at) => segment !== b[at]);
  if (i < 0) return a.length - b.length;
  return b[i] === undefined || (a[i] ?? '') > b[i] ? 1 : -1;
}
