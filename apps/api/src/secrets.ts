import { hkdfSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { atomicWriteFile } from '@sibyl/kernel';

const KEY_BYTES = 32;

/** Keys of one installation; each is for one purpose and says nothing about the others. */
export interface Secrets {
  /** HMAC of API keys. */
  readonly pepper: Uint8Array;
  /** Seals what predictions took and gave. */
  readonly payloadKey: Uint8Array;
  /** HMAC of what predictions took and gave, in their events. */
  readonly digestKey: Uint8Array;
  /** Seals answers that are kept for a repeated Idempotency-Key. */
  readonly answerKey: Uint8Array;
  /** HMAC of what is made of large models and kept on disk. */
  readonly preparedKey: Uint8Array;
}

/**
 * Derives all keys (HKDF-SHA-256, RFC 5869) from the master key in `<data dir>/keys/master.key`, which is made at the first start.
 * Servers that share a database share this file. Without it no key is accepted and no payload can be read.
 */
export function loadSecrets(dataDir: string): Secrets {
  const folder = path.join(dataDir, 'keys');
  const file = path.join(folder, 'master.key');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(file)) atomicWriteFile(file, randomBytes(KEY_BYTES), 0o600);
  const master = readFileSync(file);
  if (master.length !== KEY_BYTES) throw new Error(`${file} must have ${KEY_BYTES} bytes; it has ${master.length}`);
  const derive = (purpose: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', master, '', `sibyl ${purpose}`, KEY_BYTES));
  return {
    pepper: derive('api key pepper'),
    payloadKey: derive('prediction payloads'),
    digestKey: derive('prediction digests'),
    answerKey: derive('stored answers'),
    preparedKey: derive('prepared models'),
  };
}
