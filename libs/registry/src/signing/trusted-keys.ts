import { createPublicKey, type KeyObject } from 'node:crypto';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { readSmall } from '../package-files';
import { algorithmOf, keyHint, type SigningAlgorithm } from './signing-key';

/** A public key whose signatures are believed, while it is valid. */
export interface TrustedKey {
  /** The name of its file without the ending. */
  readonly name: string;
  /** `sha256:` and what `sha256sum` prints of its PEM. */
  readonly fingerprint: string;
  readonly algorithm: SigningAlgorithm;
  readonly key: KeyObject;
  /** Milliseconds since 1970. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

/** What lies at the places of the trusted keys, and what there could not be taken for one. */
export interface TrustedKeys {
  readonly keys: readonly TrustedKey[];
  readonly problems: readonly string[];
}

/** Bytes of one key file: ten times the largest key with its dates. */
const KEY_BYTES_MAX = 8192;
/** Key files that are read; a folder with more is not one of signers. */
const KEYS_MAX = 1000;
const ENDING = /\.(?:pem|pub)$/;
const BLOCK = /^([\s\S]*?)(-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----)\s*$/;
/** Characters of a time up to its seconds. */
const SECONDS = 'yyyy-mm-ddThh:mm:ss'.length;
const DATED = /^(not_before|not_after): *(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)$/;

/**
 * Reads the trusted keys: files, and folders of `.pem` and `.pub` files. A file holds one public key, and above it, where the
 * key is not trusted for ever, lines `not_before: <time>` and `not_after: <time>`. What cannot be read is not trusted.
 */
export async function readTrustedKeys(places: readonly string[]): Promise<TrustedKeys> {
  const keys: TrustedKey[] = [];
  const problems: string[] = [];
  for (const place of places) {
    const files = await keyFiles(place).catch((error: unknown) => {
      problems.push(`${place}: ${reasonOf(error)}`);
      return [];
    });
    for (const file of files) {
      if (keys.length >= KEYS_MAX) return { keys, problems: [...problems, `more than ${KEYS_MAX} keys`] };
      try {
        keys.push(await readKey(file));
      } catch (error) {
        problems.push(`${file}: ${reasonOf(error)}`);
      }
    }
  }
  return { keys, problems };
}

export function isValidAt({ notBefore = -Infinity, notAfter = Infinity }: TrustedKey, ms: number): boolean {
  return ms >= notBefore && ms < notAfter;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'there is no such file or folder' : message;
}

async function keyFiles(place: string): Promise<string[]> {
  if (!(await stat(place)).isDirectory()) return [place];
  const names = await readdir(place);
  return names
    .filter((name) => ENDING.test(name))
    .sort()
    .map((name) => path.join(place, name));
}

async function readKey(file: string): Promise<TrustedKey> {
  // A key that is mounted as a secret is often a link.
  const real = await realpath(file);
  const bytes = await readSmall(path.dirname(real), path.basename(real), KEY_BYTES_MAX);
  return parseTrustedKey(bytes?.toString('utf8') ?? '', path.basename(file).replace(ENDING, ''));
}

/** One trusted key out of the text of its file. Throws an Error that says what is wrong with it. */
export function parseTrustedKey(text: string, name: string): TrustedKey {
  const [, head, pem] = BLOCK.exec(text) ?? [];
  if (head === undefined || pem === undefined) throw new Error('not one public key in PEM');
  const dates = datesOf(head);
  const key = createPublicKey(pem);
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) throw new Error('not a key for ECDSA on P-256, P-384 or P-521, nor Ed25519');
  return { name, fingerprint: `sha256:${keyHint(key)}`, algorithm, key, ...dates };
}

// A misspelt date would be a key that never expires.
function datesOf(head: string): Pick<TrustedKey, 'notBefore' | 'notAfter'> {
  const dates = new Map<string, number>();
  for (const line of head.split(/\r?\n/)) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, member, time] = DATED.exec(line.trimEnd()) ?? [];
    const at = Date.parse(time ?? '');
    // JavaScript reads 30 February as 2 March.
    const exists = !Number.isNaN(at) && new Date(at).toISOString().slice(0, SECONDS) === time?.slice(0, SECONDS);
    if (member === undefined || !exists || dates.has(member))
      throw new Error(
        'above the key only not_before and not_after with a time like 2026-01-31T00:00:00Z, and # comments',
      );
    dates.set(member, at);
  }
  const notBefore = dates.get('not_before');
  const notAfter = dates.get('not_after');
  return { ...(notBefore === undefined ? {} : { notBefore }), ...(notAfter === undefined ? {} : { notAfter }) };
}
