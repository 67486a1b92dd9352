import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { DomainError, digestFile } from '@sibyl/kernel';
import type { PackageFile } from './package-digest';

/** A file of a package is not what a package may hold: a link, a device, too large. */
export function refusedFile(file: string, received: string, expected = 'a regular file'): DomainError {
  return new DomainError('model_rejected', `The file '${file}' of the package cannot be taken.`, {
    faults: [{ pointer: `/${file}`, expected, received }],
  });
}

/**
 * Opens a file below `folder` for reading without following links in any part of `file`; undefined where there is none.
 * O_NONBLOCK keeps a named pipe from blocking the thread pool before it is seen to be no regular file.
 */
export async function openPlain(folder: string, file: string): Promise<FileHandle | undefined> {
  if (!(await plainParents(folder, file))) return undefined;
  let handle: FileHandle;
  try {
    handle = await open(path.join(folder, file), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ELOOP' || code === 'EMLINK') throw refusedFile(file, 'a symbolic link');
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENXIO')
      throw refusedFile(file, 'a file that cannot be read');
    throw error;
  }
  const stats = await handle.stat();
  if (stats.isFile()) return handle;
  await handle.close();
  throw refusedFile(file, stats.isDirectory() ? 'a folder' : 'a device, pipe or socket');
}

async function plainParents(folder: string, file: string): Promise<boolean> {
  const segments = file.split('/').slice(0, -1);
  let at = folder;
  for (const segment of segments) {
    at = path.join(at, segment);
    const stats = await lstat(at).catch((error: unknown) => ignoreMissing(error));
    if (!stats) return false;
    if (stats.isSymbolicLink()) throw refusedFile(file, 'a path through a symbolic link');
    if (!stats.isDirectory()) return false;
  }
  return true;
}

/** Undefined for "no such file"; every other error goes on. */
export function ignoreMissing(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw error;
}

/** Reads a small file whole; throws model_rejected when it has more than `limit` bytes. */
export async function readSmall(folder: string, file: string, limit: number): Promise<Buffer | undefined> {
  const handle = await openPlain(folder, file);
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    if (size > limit) throw refusedFile(file, `${size} bytes`, `at most ${limit} bytes`);
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await handle.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Copies what `source` holds into a new file, hashing while it flows; durable when it returns. Throws past `limit` bytes. */
export async function copyHashed(
  source: FileHandle,
  target: string,
  file: string,
  limit: number,
): Promise<PackageFile> {
  const copy = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o400);
  try {
    const digest = await digestFile(source, { copyTo: copy, limitBytes: limit });
    if (digest.bytes > limit)
      throw refusedFile(file, `more than ${limit} bytes`, 'a package within the artifact limit');
    await copy.sync();
    return { path: file, ...digest };
  } finally {
    await copy.close();
  }
}

/** Hashes a file without copying it. */
export async function hashFile(source: FileHandle, file: string): Promise<PackageFile> {
  return { path: file, ...(await digestFile(source)) };
}
