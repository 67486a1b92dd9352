import { createHash, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { PackageFile } from '../../package-digest';
import { parseTrustedKey, type TrustedKey } from '../trusted-keys';

/** A package that the OpenSSF tool signed with a key of each curve. */
export interface ToolVectors {
  readonly made_by: string;
  /** Base64 by path. */
  readonly files: Readonly<Record<string, string>>;
  readonly signatures: readonly { readonly curve: string; readonly public_key: string; readonly signature: string }[];
}

const VECTORS = path.resolve(__dirname, '../../../../../test/conformance/model-signing/vectors.json');

export function toolVectors(): ToolVectors {
  return JSON.parse(readFileSync(VECTORS, 'utf8')) as ToolVectors;
}

export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

export function packageFiles(contents: Readonly<Record<string, string | Buffer>>): PackageFile[] {
  return Object.entries(contents).map(([file, content]) => ({
    path: file,
    sha256: sha256(content),
    bytes: Buffer.byteLength(content),
  }));
}

/** A key of the tests, private and as it is trusted. */
export function testKey(
  name = 'alice',
  head = '',
): { readonly secret: KeyObject; readonly pem: string; readonly trusted: TrustedKey } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = `${head}${publicKey.export({ type: 'spki', format: 'pem' }).toString()}`;
  return { secret: privateKey, pem, trusted: parseTrustedKey(pem, name) };
}

export interface Resource {
  name: unknown;
  algorithm?: unknown;
  digest?: unknown;
}

/** A statement over files, to be changed before it is signed. */
export function statementOf(
  files: readonly PackageFile[],
): Record<string, unknown> & { predicate: Record<string, unknown> & { resources: Resource[] } } {
  const resources = files.map((file) => ({ name: file.path, algorithm: 'sha256', digest: file.sha256 }));
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'test', digest: { sha256: rootOf(resources) } }],
    predicateType: 'https://model_signing/signature/v1.0',
    predicate: { serialization: { method: 'files', hash_type: 'sha256', allow_symlinks: false }, resources },
  };
}

/** The subject's digest, so that a changed list is consistent again. */
export function rootOf(resources: readonly Resource[]): string {
  return sha256(Buffer.concat(resources.map(({ digest }) => Buffer.from(String(digest), 'hex'))));
}

/** Signs any text as the payload of a bundle, whatever it says. */
export function bundleOf(
  payload: string,
  key: KeyObject,
): Record<string, unknown> & { dsseEnvelope: Record<string, unknown> } {
  const type = 'application/vnd.in-toto+json';
  const bytes = Buffer.from(payload);
  const encoded = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${bytes.length} `), bytes]);
  const pem = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: sha256(pem) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: bytes.toString('base64'),
      payloadType: type,
      signatures: [{ sig: sign('sha256', encoded, key).toString('base64'), keyid: '' }],
    },
  };
}
