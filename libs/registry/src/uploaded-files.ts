import { createHash } from 'node:crypto';
import { mkdir, open, rm, stat, truncate, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import {
  DomainError,
  digestFile,
  invariant,
  isStorageFull,
  orStorageFull,
  syncFolder,
  type Clock,
  type IdSource,
} from '@sibyl/kernel';
import { openPlain, ignoreMissing } from './package-files';
import type { RegistryOptions } from './registry-options';
import { UploadParts } from './upload-parts';
import { UploadRoom, type RoomLimits } from './upload-room';

const HEX = /^[0-9a-f]{64}$/;

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

export type UploadLimits = RoomLimits & Pick<RegistryOptions, 'artifactFolder' | 'artifactBytes' | 'uploadsAtOnce'>;

/**
 * Files that are sent one by one, each under its SHA-256, and go on where they broke off. They belong to the model for which they
 * were sent: a digest opens nothing that was sent for another. Several processes share the folder.
 */
export class UploadedFiles {
  private readonly root: string;
  private readonly parts: UploadParts;
  private readonly room: UploadRoom;
  private readonly writing = new Set<string>();

  constructor(
    private readonly limits: UploadLimits,
    clock: Clock,
    ids: IdSource,
  ) {
    this.root = path.join(path.resolve(limits.artifactFolder), 'files');
    this.parts = new UploadParts(clock, ids);
    this.room = new UploadRoom(this.root, this.parts, limits, clock);
  }

  async state(model: string, sha256: string): Promise<UploadState> {
    const file = this.fileOf(model, sha256);
    const whole = await sizeOf(file);
    if (whole !== undefined) return { offset: whole, complete: true };
    return { offset: (await this.parts.of(file))?.bytes ?? 0, complete: false };
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
      return await orStorageFull(() => this.write(file, sha256, range, chunks));
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

  /** Gives back what was sent of a file, whole or not, unless somebody is sending it. */
  async giveBack(model: string, sha256: string): Promise<UploadState> {
    const file = this.fileOf(model, sha256);
    if ((await this.parts.of(file))?.claimed === true)
      throw new DomainError('in_use', 'This file is being sent just now.', {
        faults: [{ pointer: '/sha256', expected: 'a file that nobody is sending', received: `sha256:${sha256}` }],
      });
    await this.discard(model, [sha256]);
    await this.parts.remove(file);
    return this.state(model, sha256);
  }

  /** Removes what nobody has added to for its time. */
  sweep(): Promise<void> {
    return this.room.sweep();
  }

  private async write(
    file: string,
    sha256: string,
    range: UploadRange,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<UploadState> {
    const total = range.total ?? this.limits.artifactBytes;
    if (total > this.limits.artifactBytes) throw tooMany(this.limits.artifactBytes);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    // Another process is at it. Where two see this too late, each has a part of its own, and one is more than was needed.
    if ((await this.parts.of(file))?.claimed === true) throw busy();
    const { part, handle } = await this.claim(file, range.offset, total);
    try {
      await this.room.require(path.dirname(file));
      const size = await append(handle, { offset: range.offset, total }, chunks);
      const complete = range.total === undefined || size >= range.total;
      if (complete) await this.conclude(file, part, sha256);
      else await this.parts.leave(file, part);
      return { offset: size, complete };
    } catch (error) {
      // What came stays, but on a full disk, where nobody could go on with it.
      if (isStorageFull(error)) await truncate(part, range.offset).catch(ignoreMissing);
      await this.putBack(file, part);
      throw error;
    } finally {
      await handle.close();
    }
  }

  /** A part that nobody else writes to; from the beginning, what is there is left alone until the file is whole. */
  private async claim(file: string, offset: number, total: number): Promise<{ part: string; handle: FileHandle }> {
    if (offset === 0) {
      const part = this.parts.begin(file, total);
      return { part, handle: await this.opened(file, part, 'wx') };
    }
    const resumed = await this.parts.resume(file, total);
    if (resumed === undefined) throw busy();
    if (resumed.bytes === offset) return { part: resumed.path, handle: await this.opened(file, resumed.path, 'a') };
    await this.parts.leave(file, resumed.path);
    throw wrongOffset(offset, resumed.bytes);
  }

  private async opened(file: string, part: string, flags: string): Promise<FileHandle> {
    try {
      return await open(part, flags, 0o600);
    } catch (error) {
      await this.putBack(file, part);
      throw error;
    }
  }

  private async putBack(file: string, part: string): Promise<void> {
    if ((await stat(part).catch(ignoreMissing))?.size) await this.parts.leave(file, part);
    else await this.parts.drop(part);
  }

  private async conclude(file: string, part: string, sha256: string): Promise<void> {
    const found = await hashOf(part);
    if (found !== sha256) {
      await this.parts.drop(part);
      throw new DomainError('invalid_parameter', 'The bytes that came have another SHA-256; they were dropped.', {
        faults: [{ pointer: '/sha256', expected: sha256, received: found }],
      });
    }
    await this.parts.complete(file, part);
    syncFolder(path.dirname(file));
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

async function append(
  handle: FileHandle,
  { offset, total }: Required<UploadRange>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  let size = offset;
  try {
    for await (const chunk of chunks) {
      if (size + chunk.length > total) throw tooMany(total);
      await handle.writeFile(chunk);
      size += chunk.length;
    }
    return size;
  } finally {
    await handle.sync();
  }
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
