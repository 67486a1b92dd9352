import { createHash, type Hash } from 'node:crypto';
import { chmod, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
  type CompletedPart,
  type S3Client,
} from '@aws-sdk/client-s3';
import { DomainError, invariant } from '@sibyl/kernel';
import type { StoredPackage } from './artifact-store';
import { digestHex, packageDigest, type PackageFile } from './package-digest';
import { openPlain } from './package-files';
import { isPackagePath } from './package-path';
import { downloadFile } from './sources/file-download';
import { s3Package } from './sources/s3-source';
import type { SourceOptions } from './sources/source-options';
import type { StagedPackage } from './staged-package';

/** What is sent at once, from memory, so that a part can be sent again; ten thousand of them are 156 GiB. */
const PART_BYTES = 16 * 1024 * 1024;
/** Files that go out or come in at once; as many as there are connections. */
const AT_ONCE = 4;
/** One request with its answer: a part at 280 kB/s. */
const REQUEST_MS = 60_000;
/** All of a removal: it runs in a transaction, which may be idle for ten seconds. */
const REMOVAL_MS = 8_000;
/** A list of 4,096 files with the longest paths has half of it. */
const LIST_BYTES = 4 * 1024 * 1024;
const KEYS_AT_ONCE = 1000;

export interface BucketPlace {
  readonly bucket: string;
  /** Before every key; with its slash. */
  readonly prefix: string;
}

interface Put {
  readonly anew?: boolean;
  readonly signal?: AbortSignal | undefined;
}

type Send = <T>(call: (options: { readonly abortSignal: AbortSignal }) => Promise<T>) => Promise<T>;

/**
 * Packages in an S3 bucket: files as `packages/<hex of the digest>/<path>`, and the list of them as `packages/<hex>.json`. The list
 * is written last and removed first: without it there is no package, whatever else of it is there.
 */
export class ArtifactBucket {
  constructor(
    private readonly client: S3Client,
    private readonly place: BucketPlace,
    private readonly options: SourceOptions,
  ) {}

  /** Sends what is not there yet of a package that lies in `folder`; with `anew` all of it. */
  async put(
    folder: string,
    { digest, files }: StoredPackage,
    { anew = false, signal: given }: Put = {},
  ): Promise<void> {
    const late = AbortSignal.timeout(this.options.importMs);
    const signal = given ? AbortSignal.any([given, late]) : late;
    const key = this.keyOf(digest);
    const there = anew ? new Map<string, number>() : await this.sizes(key, signal);
    const missing = files.filter((file) => there.get(`${key}/${file.path}`) !== file.bytes);
    if (missing.length === 0 && there.has(`${key}.json`)) return;
    await inParallel(missing, signal, (file, stop) => this.send(folder, `${key}/${file.path}`, file, stop));
    await this.putObject(`${key}.json`, Buffer.from(JSON.stringify({ digest, files })), signal);
  }

  /** Brings a package into a staged folder, hashing while it flows; false where there is none. */
  async get(digest: string, staged: StagedPackage): Promise<boolean> {
    const signal = AbortSignal.timeout(this.options.importMs);
    const key = this.keyOf(digest);
    const list = await this.readObject(`${key}.json`, LIST_BYTES, signal);
    if (list === undefined) return false;
    const remote = s3Package(this.client, `s3://${this.place.bucket}/${key}/`, '/digest');
    await inParallel(filesIn(list, digest), signal, (file, stop) =>
      staged.receive(file.path, async (target, left) => {
        const bytesMax = Math.min(file.bytes, left);
        const plan = { file: file.path, target, bytesMax, signal: stop, pace: this.options };
        const got = await downloadFile((resume) => remote.open(file.path, resume, within(stop)), plan);
        if (got?.sha256 !== file.sha256) throw damaged(`${key}/${file.path}`);
        await chmod(target, 0o400);
        return { path: file.path, sha256: got.sha256, bytes: got.bytes };
      }),
    );
    return true;
  }

  /** Whether there is a package of this digest; says nothing of its bytes. */
  async has(digest: string): Promise<boolean> {
    const target = this.at(`${this.keyOf(digest)}.json`);
    const found = await this.sender()((options) => orMissing(this.client.send(new HeadObjectCommand(target), options)));
    return found !== undefined;
  }

  /** A small file of a package as it lies there. */
  readFile(digest: string, file: string, bytesMax: number): Promise<Buffer | undefined> {
    invariant(isPackagePath(file), `'${file}' is no path of a package`);
    return this.readObject(`${this.keyOf(digest)}/${file}`, bytesMax, AbortSignal.timeout(REMOVAL_MS));
  }

  async remove(digest: string): Promise<void> {
    const key = this.keyOf(digest);
    const signal = AbortSignal.timeout(REMOVAL_MS);
    const send = this.sender(signal);
    await send((options) => this.client.send(new DeleteObjectCommand(this.at(`${key}.json`)), options));
    const keys = [...(await this.sizes(key, signal)).keys()];
    for (let i = 0; i < keys.length; i += KEYS_AT_ONCE) {
      const Objects = keys.slice(i, i + KEYS_AT_ONCE).map((Key) => ({ Key }));
      const command = new DeleteObjectsCommand({ Bucket: this.place.bucket, Delete: { Objects, Quiet: true } });
      const { Errors: [first] = [] } = await send((options) => this.client.send(command, options));
      if (first) throw unavailable(new Error(`${first.Key}: ${first.Code}`));
    }
  }

  /** Bytes of every object of a package, by key. */
  private async sizes(key: string, signal: AbortSignal): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({ Bucket: this.place.bucket, Prefix: key, ContinuationToken: token });
      const page = await this.sender(signal)((options) => this.client.send(command, options));
      for (const { Key, Size = 0 } of page.Contents ?? []) if (Key?.startsWith(key) === true) sizes.set(Key, Size);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return sizes;
  }

  private async send(folder: string, key: string, file: PackageFile, signal: AbortSignal): Promise<void> {
    const source = await openPlain(folder, file.path);
    if (!source) throw changed(file);
    try {
      if (file.bytes > PART_BYTES) await this.sendParts(source, key, file, signal);
      else {
        const bytes = await readPart(source, 0, file);
        requireHash(createHash('sha256').update(bytes), file);
        await this.putObject(key, bytes, signal);
      }
    } finally {
      await source.close();
    }
  }

  private async putObject(key: string, bytes: Buffer, signal: AbortSignal): Promise<void> {
    const command = new PutObjectCommand({ ...this.at(key), Body: bytes, ...checksum(bytes) });
    await this.sender(signal)((options) => this.client.send(command, options));
  }

  private async sendParts(source: FileHandle, key: string, file: PackageFile, signal: AbortSignal): Promise<void> {
    const send = this.sender(signal);
    const target = this.at(key);
    const create = new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'SHA256' });
    const { UploadId } = await send((options) => this.client.send(create, options));
    try {
      const hash = createHash('sha256');
      const parts: CompletedPart[] = [];
      for (let at = 0; at < file.bytes; at += PART_BYTES) {
        const bytes = await readPart(source, at, file);
        hash.update(bytes);
        const part = { PartNumber: parts.length + 1, ...checksum(bytes) };
        const command = new UploadPartCommand({ ...target, UploadId, ...part, Body: bytes });
        const { ETag } = await send((options) => this.client.send(command, options));
        parts.push({ ...part, ETag });
      }
      requireHash(hash, file);
      const complete = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts: parts } });
      await send((options) => this.client.send(complete, options));
    } catch (error) {
      const abort = new AbortMultipartUploadCommand({ ...target, UploadId });
      await this.sender()((options) => this.client.send(abort, options)).catch(() => undefined);
      throw error;
    }
  }

  private readObject(key: string, bytesMax: number, signal: AbortSignal): Promise<Buffer | undefined> {
    return this.sender(signal)(async (options) => {
      const answer = await orMissing(this.client.send(new GetObjectCommand(this.at(key)), options));
      return answer && readAtMost(answer.Body as Readable, bytesMax, key);
    });
  }

  /** Sends one request at a time, each in its time; whatever goes wrong with it is that the bucket does not answer. */
  private sender(signal?: AbortSignal): Send {
    return async (call) => {
      try {
        return await call({ abortSignal: within(signal) });
      } catch (error) {
        throw unavailable(error);
      }
    };
  }

  private at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.place.bucket, Key: key };
  }

  private keyOf(digest: string): string {
    const hex = digestHex(digest);
    invariant(hex, 'a package digest');
    return `${this.place.prefix}packages/${hex}`;
  }
}

/** Does all of it, a few at once; the first that fails stops the others. */
async function inParallel<T>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  const stop = AbortSignal.any([signal, stopping.signal]);
  const queue = items.values();
  let failed: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    try {
      for (const item of queue) {
        if (stop.aborted) throw unavailable(stop.reason);
        await work(item, stop);
      }
    } catch (error) {
      failed ??= { error };
      stopping.abort();
    }
  };
  // All have ended before this does: nothing is written to a folder that is about to go.
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  if (failed) throw failed.error;
}

function within(signal?: AbortSignal): AbortSignal {
  const late = AbortSignal.timeout(REQUEST_MS);
  return signal ? AbortSignal.any([signal, late]) : late;
}

async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    // A bucket that is not there is another matter than an object.
    const missing = error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404;
    if (missing && error.name !== 'NoSuchBucket') return undefined;
    throw error;
  }
}

async function readAtMost(body: Readable, bytesMax: number, key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw damaged(key);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readPart(source: FileHandle, at: number, file: PackageFile): Promise<Buffer> {
  const part = Buffer.alloc(Math.min(PART_BYTES, file.bytes - at));
  for (let have = 0; have < part.length;) {
    const { bytesRead } = await source.read(part, have, part.length - have, at + have);
    if (bytesRead === 0) throw changed(file);
    have += bytesRead;
  }
  return part;
}

/** The files of a package, if the list is what the digest was computed of. */
function filesIn(list: Buffer, digest: string): readonly PackageFile[] {
  const files: unknown = parsed(list);
  if (Array.isArray(files) && files.every(isFile) && packageDigest(files) === digest) return files;
  throw damaged(`the list of ${digest}`);
}

function parsed(list: Buffer): unknown {
  try {
    return (JSON.parse(list.toString('utf8')) as { files?: unknown } | null)?.files;
  } catch {
    return undefined;
  }
}

function isFile(value: unknown): value is PackageFile {
  const { path, sha256, bytes } = (value ?? {}) as Partial<Record<keyof PackageFile, unknown>>;
  return typeof path === 'string' && isPackagePath(path) && typeof sha256 === 'string' && Number.isSafeInteger(bytes);
}

function checksum(bytes: Buffer): { readonly ChecksumSHA256: string } {
  return { ChecksumSHA256: createHash('sha256').update(bytes).digest('base64') };
}

function requireHash(hash: Hash, file: PackageFile): void {
  if (hash.digest('hex') !== file.sha256) throw changed(file);
}

function changed({ path }: PackageFile): DomainError {
  return new DomainError('model_not_ready', `The file '${path}' was changed while it was sent to the bucket.`, {
    retryAfterSeconds: 10,
  });
}

function damaged(what: string): Error {
  return new Error(`artifact_corrupt: ${what} in the bucket is not what was stored`);
}

function unavailable(cause: unknown): DomainError {
  if (cause instanceof DomainError && cause.code === 'source_unavailable') return cause;
  return new DomainError('source_unavailable', 'The bucket that keeps the packages does not answer, or refuses.', {
    cause,
    retryAfterSeconds: 10,
  });
}
