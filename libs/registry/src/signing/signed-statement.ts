import { createHash } from 'node:crypto';
import { isObject, type JsonObject } from '../json-document';
import { isPackagePath } from '../package-path';
import { badSignature, SIGNATURE_FILE, shownText } from './signature-fault';
import { parseStrictJson } from './strict-json';

export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PREDICATE_TYPE = 'https://model_signing/signature/v1.0';

/** What the signer says of a model: its files by path with the hex of their SHA-256. */
export interface SignedStatement {
  readonly modelName: string;
  readonly files: ReadonlyMap<string, string>;
  /** Paths that the signer left out on purpose: files below them may lie beside the model, but never belong to it. */
  readonly ignoredPaths: readonly string[];
}

const HEX = /^[0-9a-f]{64}$/;
/** A signer's own list; every file beside a package is compared with it. */
const IGNORED_MAX = 100;

/** Reads the in-toto statement of OpenSSF Model Signing v1.0: a list of files with their SHA-256. */
export function readStatement(payload: Uint8Array, filesMax: number): SignedStatement {
  const statement = parseStrictJson(payload, `${SIGNATURE_FILE} (payload)`);
  same(statement, '', '_type', STATEMENT_TYPE);
  same(statement, '', 'predicateType', PREDICATE_TYPE);
  const { name, digest } = readSubject(statement);
  const predicate = objectIn(statement, '', 'predicate');
  const ignoredPaths = readSerialization(objectIn(predicate, '/predicate', 'serialization'));
  const files = readResources(predicate['resources'], filesMax);
  // The signer's own check of the list; the signature covers both, so a difference means a broken or confused signer.
  const root = rootDigest([...files.values()]);
  if (root !== digest)
    throw badSignature('/payload/subject/0/digest/sha256', `${root}, the digest of the resources`, shownText(digest));
  return { modelName: name, files, ignoredPaths };
}

/** SHA-256 over the digests of all files, in the order in which the statement lists them. */
export function rootDigest(digests: readonly string[]): string {
  const hash = createHash('sha256');
  for (const digest of digests) hash.update(Buffer.from(digest, 'hex'));
  return hash.digest('hex');
}

function readSubject(statement: JsonObject): { readonly name: string; readonly digest: unknown } {
  const subjects = statement['subject'];
  const list = Array.isArray(subjects) ? (subjects as unknown[]) : [];
  const [subject] = list;
  if (list.length !== 1 || !isObject(subject))
    throw badSignature('/payload/subject', 'exactly one subject', shownText(subjects));
  const name = subject['name'];
  return {
    name: typeof name === 'string' ? name : '',
    digest: objectIn(subject, '/subject/0', 'digest')['sha256'],
  };
}

function readSerialization(serialization: JsonObject): readonly string[] {
  const at = '/predicate/serialization';
  same(serialization, at, 'method', 'files');
  same(serialization, at, 'hash_type', 'sha256');
  const ignored = serialization['ignore_paths'] ?? [];
  const texts = Array.isArray(ignored) ? (ignored as unknown[]) : [undefined];
  if (texts.length > IGNORED_MAX || !texts.every((path) => typeof path === 'string'))
    throw badSignature(`/payload${at}/ignore_paths`, `at most ${IGNORED_MAX} paths`, shownText(ignored));
  return texts;
}

function readResources(resources: unknown, filesMax: number): ReadonlyMap<string, string> {
  const list = Array.isArray(resources) ? (resources as unknown[]) : [];
  if (list.length === 0 || list.length > filesMax)
    throw badSignature('/payload/predicate/resources', `1 to ${filesMax} files`, shownText(resources));
  const files = new Map<string, string>();
  list.forEach((resource, i) => {
    const at = `/predicate/resources/${i}`;
    if (!isObject(resource)) throw badSignature(`/payload${at}`, 'an object', shownText(resource));
    const { name, digest } = resource;
    if (typeof name !== 'string' || !isPackagePath(name) || name === SIGNATURE_FILE)
      throw badSignature(`/payload${at}/name`, 'a plain relative path that a package may hold', shownText(name));
    if (files.has(name)) throw badSignature(`/payload${at}/name`, 'each file once', `'${shownText(name)}' twice`);
    same(resource, at, 'algorithm', 'sha256');
    if (typeof digest !== 'string' || !HEX.test(digest))
      throw badSignature(`/payload${at}/digest`, '64 lower-case hex digits', shownText(digest));
    files.set(name, digest);
  });
  return files;
}

function objectIn(object: JsonObject, at: string, name: string): JsonObject {
  const value = object[name];
  if (isObject(value)) return value;
  throw badSignature(`/payload${at}/${name}`, 'an object', shownText(value));
}

function same(object: JsonObject, at: string, name: string, expected: string): void {
  if (object[name] !== expected) throw badSignature(`/payload${at}/${name}`, expected, shownText(object[name]));
}
