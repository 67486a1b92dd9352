import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { PAYLOAD_TYPE } from './sigstore-bundle';

/** What a key signs with; each curve has its own hash, as sigstore prescribes. */
export type SigningAlgorithm = 'ecdsa-p256' | 'ecdsa-p384' | 'ecdsa-p521' | 'ed25519';

const CURVES: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: 'ecdsa-p256',
  secp384r1: 'ecdsa-p384',
  secp521r1: 'ecdsa-p521',
};
const HASHES: Readonly<Record<SigningAlgorithm, string | null>> = {
  'ecdsa-p256': 'sha256',
  'ecdsa-p384': 'sha384',
  'ecdsa-p521': 'sha512',
  ed25519: null,
};

/** How signatures of a key are made; undefined for a kind of key that is not taken, such as RSA or another curve. */
export function algorithmOf(key: KeyObject): SigningAlgorithm | undefined {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  if (key.asymmetricKeyType !== 'ec') return undefined;
  return CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
}

/** Names a public key as a bundle's hint does: the hex of the SHA-256 of its PEM, which is what `sha256sum key.pub` prints. */
export function keyHint(key: KeyObject): string {
  const publicKey = key.type === 'public' ? key : createPublicKey(key);
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'pem' }))
    .digest('hex');
}

/** The bytes that a DSSE envelope signs: the type of its payload is covered too. */
function preAuthenticationEncoding(payload: Uint8Array): Buffer {
  const type = Buffer.from(PAYLOAD_TYPE);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

/** Whether `signature` is the key's over an in-toto payload. */
export function verifyPayload(
  key: KeyObject,
  algorithm: SigningAlgorithm,
  payload: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(HASHES[algorithm], preAuthenticationEncoding(payload), key, signature);
}

/** Signs an in-toto payload. */
export function signPayload(key: KeyObject, algorithm: SigningAlgorithm, payload: Uint8Array): Buffer {
  return sign(HASHES[algorithm], preAuthenticationEncoding(payload), key);
}
