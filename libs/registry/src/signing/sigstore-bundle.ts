import { isObject, type JsonObject } from '../json-document';
import { badSignature, SIGNATURE_FILE, shownText } from './signature-fault';
import { parseStrictJson } from './strict-json';

export const BUNDLE_MEDIA_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** What a key-based sigstore bundle carries; nothing in it is trusted before its signature was checked. */
export interface SigstoreBundle {
  /** Lower-case hex of the SHA-256 of the signer's public key as PEM. */
  readonly keyHint: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

const HINT = /^[0-9a-f]{64}$/;
const SIGNATURE_TEXT_MAX = 1024;

/**
 * Reads a bundle as the OpenSSF tool writes it for a key: one DSSE envelope with one signature. Anything else, certificates
 * included, is refused by name rather than passed over: what is not checked must not look as if it were.
 */
export function readBundle(bytes: Uint8Array): SigstoreBundle {
  const bundle = parseStrictJson(bytes, SIGNATURE_FILE);
  onlyMembers(bundle, '', ['mediaType', 'verificationMaterial', 'dsseEnvelope']);
  expectText(bundle, '', 'mediaType', BUNDLE_MEDIA_TYPE);
  const envelope = member(bundle, '', 'dsseEnvelope');
  const at = '/dsseEnvelope';
  onlyMembers(envelope, at, ['payload', 'payloadType', 'signatures']);
  expectText(envelope, at, 'payloadType', PAYLOAD_TYPE);
  return {
    keyHint: readHint(member(bundle, '', 'verificationMaterial')),
    payload: base64(envelope, at, 'payload', Infinity),
    signature: readSignature(envelope, at),
  };
}

function readHint(material: JsonObject): string {
  const at = '/verificationMaterial';
  onlyMembers(material, at, ['publicKey', 'tlogEntries']);
  const entries = material['tlogEntries'];
  if (entries !== undefined && !(Array.isArray(entries) && entries.length === 0))
    throw badSignature(`${at}/tlogEntries`, 'no entries: they are not verified here', shownText(entries));
  const key = member(material, at, 'publicKey');
  onlyMembers(key, `${at}/publicKey`, ['hint']);
  const { hint } = key;
  if (typeof hint === 'string' && HINT.test(hint)) return hint;
  throw badSignature(
    `${at}/publicKey/hint`,
    "the SHA-256 of the signer's public key in lower-case hex",
    shownText(hint),
    'sign again with model-signing 1.1 or later',
  );
}

function readSignature(envelope: JsonObject, at: string): Buffer {
  const { signatures } = envelope;
  const list = Array.isArray(signatures) ? (signatures as unknown[]) : [];
  const [only] = list;
  if (list.length !== 1 || !isObject(only))
    throw badSignature(`${at}/signatures`, 'exactly one signature', shownText(signatures));
  const here = `${at}/signatures/0`;
  onlyMembers(only, here, ['sig', 'keyid']);
  // The key is named by the bundle's hint; a second name could only contradict it.
  if (only['keyid'] !== undefined && only['keyid'] !== '')
    throw badSignature(`${here}/keyid`, 'an empty text', shownText(only['keyid']));
  return base64(only, here, 'sig', SIGNATURE_TEXT_MAX);
}

function member(object: JsonObject, at: string, name: string): JsonObject {
  const value = object[name];
  if (isObject(value)) return value;
  throw badSignature(`${at}/${name}`, 'an object', shownText(value));
}

function onlyMembers(object: JsonObject, at: string, names: readonly string[]): void {
  const unknown = Object.keys(object).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const hint = /cert/i.test(unknown)
    ? 'signatures by certificates or identities are not taken: sign with a key'
    : undefined;
  throw badSignature(at, `no members but ${names.join(', ')}`, `'${shownText(unknown)}'`, hint);
}

function expectText(object: JsonObject, at: string, name: string, expected: string): void {
  if (object[name] !== expected) throw badSignature(`${at}/${name}`, expected, shownText(object[name]));
}

/** Standard base64 in the one spelling that its bytes have: no other alphabet, no missing padding, no stray bits. */
function base64(object: JsonObject, at: string, name: string, lengthMax: number): Buffer {
  const text = object[name];
  if (typeof text === 'string' && text.length > 0 && text.length <= lengthMax) {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') === text) return bytes;
  }
  throw badSignature(`${at}/${name}`, 'standard base64 with padding', shownText(text));
}
