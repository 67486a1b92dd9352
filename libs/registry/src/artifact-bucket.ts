import { createHash } from 'node:crypto';
import { chmod, type FileHandle } from 'node:fs/promises';
import { DomainError, invariant } from '@sibyl/kernel';
import type { StoredPackage } from './artifact-store';
import { damaged, inTime, unavailable, type BucketObjects } from './bucket-objects';
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
/** All of a removal: it runs in a transaction, which may be idle for ten seconds. A file that is read alone is small, too. */
const SHORT_MS = 8_000;
/** A list of 4,096 files with the longest paths has half of it. */
const LIST_BYTES = 4 * 1024 * 1024;

interface Put {
  /** Sends all of it, whatever is there. */
  readonly anew?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Packages in an S3 bucket: files as `packages/<hex of the digest>/<path>`, and the list of them as `packages/<hex>.json`. The list
 * is written last and removed first: without it there is no package, whatever else of it is there.
 */
export class ArtifactBucket {
  constructor(
    private readonly objects: BucketObjects,
    /** Before every key; with its slash. */
    private readonly prefix: string,
    private readonly options: SourceOptions,
  ) {}

  /** Sends what is not there yet of a package that lies in `folder`. */
  async put(
    folder: string,
    { digest, files }: StoredPackage,
    { anew = false, signal: given }: Put = {},
  ): Promise<void> {
    const late = AbortSignal.timeout(this.options.importMs);
    const signal = given ? AbortSignal.any([given, late]) : late;
    const key = this.keyOf(digest);
    const there = anew ? new Map<string, number>() : await this.objects.sizes(key, signal);
    const missing = files.filter((file) => there.get(`${key}/${file.path}`) !== file.bytes);
    if (missing.length === 0 && there.has(`${key}.json`)) return;
    await inParallel(missing, signal, (file, stop) => this.putFile(folder, `${key}/${file.path}`, file, stop));
    await this.objects.put(`${key}.json`, Buffer.from(JSON.stringify({ digest, files })), signal);
  }

  /** Brings a package into a staged folder, hashing while it flows; false where there is none. */
  async get(digest: string, staged: StagedPackage): Promise<boolean> {
    const signal = AbortSignal.timeout(this.options.importMs);
    const key = this.keyOf(digest);
    const list = await this.objects.read(`${key}.json`, LIST_BYTES, signal);
    if (list === undefined) return false;
    const remote = s3Package(this.objects.client, `s3://${this.objects.bucket}/${key}/`, '/digest');
    await inParallel(filesIn(list, digest), signal, (file, stop) =>
      staged.receive(file.path, async (target, left) => {
        const bytesMax = Math.min(file.bytes, left);
        const plan = { file: file.path, target, bytesMax, signal: stop, pace: this.options };
        const got = await downloadFile((resume) => remote.open(file.path, resume, inTime(stop)), plan);
        if (got?.sha256 !== file.sha256) throw damaged(`${key}/${file.path}`);
        await chmod(target, 0o400);
        return { path: file.path, sha256: got.sha256, bytes: got.bytes };
      }),
    );
    return true;
  }

  /** Whether there is a package of this digest; says nothing of its bytes. */
  has(digest: string): Promise<boolean> {
    return this.objects.has(`${this.keyOf(digest)}.json`);
  }

  /** A small file of a package as it lies there. */
  readFile(digest: string, file: string, bytesMax: number): Promise<Buffer | undefined> {
    invariant(isPackagePath(file), `'${file}' is no path of a package`);
    return this.objects.read(`${this.keyOf(digest)}/${file}`, bytesMax, AbortSignal.timeout(SHORT_MS));
  }

  async remove(digest: string): Promise<void> {
    const key = this.keyOf(digest);
    const signal = AbortSignal.timeout(SHORT_MS);
    await this.objects.remove([`${key}.json`], signal);
    await this.objects.remove([...(await this.objects.sizes(key, signal)).keys()], signal);
  }

  private async putFile(folder: string, key: string, file: PackageFile, signal: AbortSignal): Promise<void> {
    const source = await openPlain(folder, file.path);
    if (!source) throw changed(file);
    try {
      const parts = partsOf(source, file);
      if (file.bytes > PART_BYTES) await this.objects.putParts(key, parts, signal);
      else await this.objects.put(key, await only(parts), signal);
    } finally {
      await source.close();
    }
  }

  private keyOf(digest: string): string {
    const hex = digestHex(digest);
    invariant(hex, 'a package digest');
    return `${packagesIn(this.prefix)}${hex}`;
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

/** The bytes of a file; throws before the last part where they are not what they were. */
async function* partsOf(source: FileHandle, file: PackageFile): AsyncGenerator<Buffer, void> {
  const hash = createHash('sha256');
  let at = 0;
  do {
    const part = Buffer.alloc(Math.min(PART_BYTES, file.bytes - at));
    for (let have = 0; have < part.length;) {
      const { bytesRead } = await source.read(part, have, part.length - have, at + have);
      if (bytesRead === 0) throw changed(file);
      have += bytesRead;
    }
    at += part.length;
    hash.update(part);
    if (at === file.bytes && hash.digest('hex') !== file.sha256) throw changed(file);
    yield part;
  } while (at < file.bytes);
}

async function only(parts: AsyncGenerator<Buffer, void>): Promise<Buffer> {
  const { value } = await parts.next();
  invariant(value, 'a file has a part, be it empty');
  return value;
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

function changed({ path }: PackageFile): DomainError {
  return new DomainError('model_not_ready', `The file '${path}' was changed while it was sent to the bucket.`, {
    retryAfterSeconds: 10,
  });
}

/** What the names of all objects begin with. */
export function folderOfBucket(prefix: string): string {
  return prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
}

/** What the names of all packages begin with, below a folder. */
export function packagesIn(folder: string): string {
  return `${folder}packages/`;
}
