import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { DomainError, digestFile, invariant, syncFolder, type Clock } from '@sibyl/kernel';
import { openPlain, ignoreMissing } from './package-files';
import type { RegistryOptions } from './registry-options';

const HEX = /^[0-9a-f]{64}$/;
const PART = '.part';

/** What is there of a file that is being sent. */
export interface UploadState {
  /** Bytes that need not be sent again. */
  readonly offset: number;
  readonly complete: boolean;
}

/** Which bytes of a file come now: from `offset` on, and how many it will have, if its sender knows. */
export interface UploadRange {
  readonly offset: number;
  readonly total?: number;
}

export type UploadLimits = Pick<
  RegistryOptions,
  'artifactFolder' | 'artifactBytes' | 'uploadsKept' | 'uploadBytes' | 'uploadsAtOnce' | 'uploadKeepMs'
>;

/**
 * Files that are sent one by one, each under its SHA-256, and go on where they broke off. They belong to the model for which they
 * were sent: a digest opens nothing that was sent for another.
 */
export class UploadedFiles {
  private readonly root: string;
  private readonly writing = new Set<string>();

  constructor(
    private readonly limits: UploadLimits,
    private readonly clock: Clock,
  ) {
    this.root = path.join(path.resolve(limits.artifactFolder), 'files');
  }

  async state(model: string, sha256: string): Promise<UploadState> {
    const whole = await sizeOf(this.fileOf(model, sha256));
    if (whole !== undefined) return { offset: whole, complete: true };
    return { offset: (await sizeOf(this.fileOf(model, sha256) + PART)) ?? 0, complete: false };
  }

  /** Adds what comes to what is there. Where it breaks off, what came stays; a whole file whose bytes are others is dropped. */
  async receive(
    model: string,
    sha256: string,
    range: UploadRange,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<UploadState> {
    const file = this.fileOf(model, sha256);
    const present = await this.state(model, sha256);
    if (present.complete) return present;
    if (range.offset !== 0 && range.offset !== present.offset) throw wrongOffset(range.offset, present.offset);
    if (this.writing.has(file) || this.writing.size >= this.limits.uploadsAtOnce) throw busy();
    this.writing.add(file);
    try {
      await this.makeRoom(range.total ?? this.limits.artifactBytes, present.offset);
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      const size = await this.append(file + PART, range, chunks);
      if (range.total !== undefined && size < range.total) return { offset: size, complete: false };
      await this.conclude(file, sha256);
      return { offset: size, complete: true };
    } finally {
      this.writing.delete(file);
    }
  }

  /** Folder and name of a file that is there whole. */
  async find(model: string, sha256: string): Promise<{ readonly folder: string; readonly file: string } | undefined> {
    const file = this.fileOf(model, sha256);
    return (await sizeOf(file)) === undefined ? undefined : { folder: path.dirname(file), file: path.basename(file) };
  }

  async discard(model: string, digests: Iterable<string>): Promise<void> {
    for (const sha256 of digests) await rm(this.fileOf(model, sha256), { force: true });
  }

  /** Removes what nobody has added to for its time; answers what is left. */
  async sweep(): Promise<{ readonly files: number; readonly bytes: number }> {
    const before = this.clock.now() - this.limits.uploadKeepMs;
    const left = { files: 0, bytes: 0 };
    const entries = await readdir(this.root, { recursive: true, withFileTypes: true }).catch(ignoreMissing);
    for (const entry of entries ?? []) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      const stats = await stat(file).catch(ignoreMissing);
      if (stats === undefined) continue;
      if (stats.mtimeMs < before && !this.writing.has(file.replace(/\.part$/, ''))) {
        await rm(file, { force: true });
        continue;
      }
      left.files++;
      left.bytes += stats.size;
    }
    return left;
  }

  private async append(
    part: string,
    { offset, total }: UploadRange,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    // From the beginning: what is there is sent anew.
    const handle = await open(part, offset === 0 ? 'w' : 'a', 0o600);
    let size = offset;
    const most = total ?? this.limits.artifactBytes;
    try {
      for await (const chunk of chunks) {
        if (size + chunk.length > most) throw tooMany(most);
        await handle.writeFile(chunk);
        size += chunk.length;
      }
      return size;
    } finally {
      await handle.sync().catch(() => undefined);
      await handle.close();
    }
  }

  private async conclude(file: string, sha256: string): Promise<void> {
    const found = await hashOf(file + PART);
    if (found !== sha256) {
      await rm(file + PART, { force: true });
      throw new DomainError('invalid_parameter', 'The bytes that came have another SHA-256; they were dropped.', {
        faults: [{ pointer: '/sha256', expected: sha256, received: found }],
      });
    }
    await rename(file + PART, file);
    syncFolder(path.dirname(file));
  }

  private async makeRoom(total: number, present: number): Promise<void> {
    if (total > this.limits.artifactBytes) throw tooMany(this.limits.artifactBytes);
    const { files, bytes } = await this.sweep();
    if (files < this.limits.uploadsKept && bytes - present + total <= this.limits.uploadBytes) return;
    throw new DomainError('queue_full', 'Too many files were sent and not registered yet.', { retryAfterSeconds: 60 });
  }

  private fileOf(model: string, sha256: string): string {
    invariant(HEX.test(sha256), 'a SHA-256 in hex');
    // By its hash: names that differ in case only must not meet in one folder.
    return path.join(this.root, createHash('sha256').update(model).digest('hex').slice(0, 32), sha256);
  }
}

/** The hex digits of a SHA-256 as a request gives it, with `sha256:` before them or without. */
export function sha256Of(text: string, pointer: string): string {
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (HEX.test(hex)) return hex;
  throw new DomainError('invalid_parameter', 'This is no SHA-256.', {
    faults: [{ pointer, expected: '64 hex digits in lower case', received: text.slice(0, 80) }],
  });
}

async function hashOf(file: string): Promise<string> {
  const handle = await open(file);
  try {
    return (await digestFile(handle)).sha256;
  } finally {
    await handle.close();
  }
}

async function sizeOf(file: string): Promise<number | undefined> {
  const handle = await openPlain(path.dirname(file), path.basename(file));
  if (handle === undefined) return undefined;
  const { size } = await handle.stat();
  await handle.close();
  return size;
}

function wrongOffset(received: number, expected: number): DomainError {
  return new DomainError('invalid_parameter', `The next byte of this file is ${expected}.`, {
    faults: [{ pointer: '/content-range', expected: `bytes ${expected}-…`, received: `bytes ${received}-…` }],
  });
}

function busy(): DomainError {
  const detail = 'This file is being sent already, or too many others are.';
  return new DomainError('queue_full', detail, { retryAfterSeconds: 1 });
}

function tooMany(bytes: number): DomainError {
  return new DomainError('body_too_large', `The file may have ${bytes} bytes.`);
}
