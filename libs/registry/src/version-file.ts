import { createHash } from 'node:crypto';
import { DomainError } from '@sibyl/kernel';
import { canonicalFault, canonicalJson, countValues } from './canonical-json';
import { isObject, parseJsonObject, type JsonObject } from './json-document';
import { digestHex, packageDigest, type PackageDigest, type PackageFile } from './package-digest';
import { isPackagePath } from './package-path';
import { MODEL_FILE } from './package-source';

/*
 * A version as one file, docs/formats/sibyl.md: a prelude of fixed length, a header in canonical JSON, the bytes of the files in
 * the order in which the header lists them, and nothing else. Nothing is compressed, and no name is read but those of the header.
 */

/** How such a file is called, and what a request calls its body. */
export const VERSION_FILE_ENDING = '.sibyl';
export const VERSION_FILE_TYPE = 'application/vnd.sibyl.version';

/** Not text and not UTF-8, and broken by whatever converts ends of lines. */
const MAGIC = Buffer.from([0x89, 0x53, 0x49, 0x42, 0x59, 0x4c, 0x0d, 0x0a]);
const FORMAT_VERSION = 1;
const FORMAT = 'sibyl.version/1';
/** Magic, version, length of the header, SHA-256 of the header. */
export const PRELUDE_BYTES = 8 + 4 + 4 + 32;
/** It is held in memory: four manifests of the largest size and no more. */
const HEADER_BYTES = 4 * 1024 * 1024;
/** Its last step, JSON.parse, holds up the event loop for their number: some 20 ms. */
const HEADER_LIMITS = { depth: 64, values: 300_000 };
const MEMBERS = ['digest', 'files', 'format', 'record'];

/** What the file says of the version: as its origin's registry and audit log had it. */
export interface VersionFileHeader {
  readonly digest: PackageDigest;
  /** Sorted by path. */
  readonly files: readonly PackageFile[];
  readonly record: VersionRecord;
}

/** Facts of the installation that wrote the file. Kept as they came; nothing here is believed before it is shown anew. */
export interface VersionRecord extends JsonObject {
  readonly model: string;
  readonly version: string;
}

export interface VersionFileLimits {
  readonly artifactBytes: number;
  readonly files: number;
}

/** A header as it lies in the file, with its name by content. */
export interface EncodedHeader {
  readonly prelude: Buffer;
  readonly text: Buffer;
  readonly sha256: string;
}

export interface Prelude {
  readonly headerBytes: number;
  readonly sha256: string;
}

export function encodeHeader({ digest, files, record }: VersionFileHeader): EncodedHeader {
  const document = { format: FORMAT, digest, files, record };
  const text = Buffer.from(canonicalJson(document));
  if (text.length > HEADER_BYTES) throw tooLong(`at most ${HEADER_BYTES} bytes`, text.length);
  const values = countValues(document);
  if (values > HEADER_LIMITS.values) throw tooLong(`at most ${HEADER_LIMITS.values} values`, values);
  const sha256 = createHash('sha256').update(text).digest();
  const prelude = Buffer.alloc(PRELUDE_BYTES);
  MAGIC.copy(prelude);
  prelude.writeUInt32LE(FORMAT_VERSION, 8);
  prelude.writeUInt32LE(text.length, 12);
  sha256.copy(prelude, 16);
  return { prelude, text, sha256: sha256.toString('hex') };
}

export function readPrelude(bytes: Buffer): Prelude {
  if (bytes.length < PRELUDE_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) throw refused('no file of this format');
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION) throw refused(`version ${version} of the format`, `version ${FORMAT_VERSION}`);
  const headerBytes = bytes.readUInt32LE(12);
  if (headerBytes > HEADER_BYTES) throw refused(`a header of ${headerBytes} bytes`, `at most ${HEADER_BYTES}`);
  return { headerBytes, sha256: bytes.toString('hex', 16, PRELUDE_BYTES) };
}

/** The header, every statement of it checked that can be checked without the files. */
export async function readHeader(
  text: Buffer,
  { sha256 }: Prelude,
  limits: VersionFileLimits,
): Promise<VersionFileHeader> {
  if (createHash('sha256').update(text).digest('hex') !== sha256) throw refused('a header that was changed');
  // What is not UTF-8 is found with the JSON: a replaced character is as canonical as another.
  const fault = await canonicalFault(text.toString('utf8'), HEADER_LIMITS);
  if (fault !== undefined) throw refused(`a header with ${fault}`, 'canonical JSON');
  const document = parseJsonObject(text, 'header', HEADER_LIMITS.depth);
  if (Object.keys(document).join() !== MEMBERS.join()) throw refused('a header with other members', MEMBERS.join(', '));
  const { format, digest, files, record } = document;
  if (format !== FORMAT) throw refused('another format', FORMAT);
  if (!Array.isArray(files) || files.length > limits.files)
    throw refused('no list of files', `at most ${limits.files}`);
  const listed = files.map(fileOf);
  checkNames(listed);
  if (listed.reduce((sum, file) => sum + file.bytes, 0) > limits.artifactBytes)
    throw refused('files past the artifact limit', `at most ${limits.artifactBytes} bytes`);
  if (typeof digest !== 'string' || digestHex(digest) === undefined || packageDigest(listed) !== digest)
    throw refused('a digest that is not that of the files');
  if (!isRecord(record)) throw refused('a record that names no model and version');
  return { digest: digest as PackageDigest, files: listed, record };
}

function isRecord(value: unknown): value is VersionRecord {
  return isObject(value) && typeof value['model'] === 'string' && typeof value['version'] === 'string';
}

function fileOf(value: unknown): PackageFile {
  if (!isObject(value) || Object.keys(value).join() !== 'bytes,path,sha256') throw refused('an entry that is no file');
  const { path, bytes, sha256 } = value;
  if (typeof path !== 'string' || !isPackagePath(path)) throw refused('a file whose name no package may hold');
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0) throw refused('a file without a length');
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) throw refused('a file without a digest');
  return { path, bytes, sha256 };
}

/** Sorted, so that no name comes twice, and none is a folder of another. */
function checkNames(files: readonly PackageFile[]): void {
  const names = files.map((file) => file.path);
  if (names.some((name, at) => at > 0 && name <= (names[at - 1] ?? '')))
    throw refused('files that are not sorted by name');
  const all = new Set(names);
  for (const name of names)
    for (let cut = name.indexOf('/'); cut > 0; cut = name.indexOf('/', cut + 1))
      if (all.has(name.slice(0, cut))) throw refused('a file that is also a folder');
  if (!all.has(MODEL_FILE)) throw refused(`no ${MODEL_FILE}`, MODEL_FILE);
}

function tooLong(expected: string, received: number): DomainError {
  return new DomainError('model_rejected', 'The record of this version is too long for one file.', {
    faults: [{ pointer: '/record', expected, received: `${received}` }],
  });
}

/** The file is not what it must be. */
export function refused(received: string, expected = 'a file that an export has written'): DomainError {
  return new DomainError('model_rejected', 'The .sibyl file cannot be taken.', {
    faults: [{ pointer: '/file', expected, received }],
  });
}
