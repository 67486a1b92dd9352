import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { PackageFile } from './package-digest';
import { openPlain } from './package-files';
import {
  PRELUDE_BYTES,
  readHeader,
  readPrelude,
  refused,
  type VersionFileHeader,
  type VersionFileLimits,
} from './version-file';

const CHUNK_BYTES = 1024 * 1024;

/** What was read from a version file. */
export interface ReadVersionFile extends VersionFileHeader {
  /** SHA-256 of the header: by it both installations name the record. */
  readonly sha256: string;
}

/** Reads `file` of `folder` and writes the files that its header lists into `target`. Throws model_rejected. */
export async function unpackVersionFile(
  folder: string,
  file: string,
  target: string,
  limits: VersionFileLimits,
): Promise<ReadVersionFile> {
  const source = await openPlain(folder, file);
  if (!source) throw refused('no file');
  try {
    const { header, sha256, begin } = await openVersionFile(source, limits);
    let at = begin;
    for (const listed of header.files) {
      await extract(source, at, listed, target);
      at += listed.bytes;
    }
    return { ...header, sha256 };
  } finally {
    await source.close();
  }
}

async function openVersionFile(
  source: FileHandle,
  limits: VersionFileLimits,
): Promise<{ readonly header: VersionFileHeader; readonly sha256: string; readonly begin: number }> {
  const { size } = await source.stat();
  const prelude = readPrelude(await readExactly(source, 0, PRELUDE_BYTES));
  const begin = PRELUDE_BYTES + prelude.headerBytes;
  if (begin > size) throw refused('a file that ends within its header');
  const header = await readHeader(await readExactly(source, PRELUDE_BYTES, prelude.headerBytes), prelude, limits);
  const end = header.files.reduce((sum, file) => sum + file.bytes, begin);
  if (end !== size) throw refused(`${size} bytes`, `${end} bytes, as the header says`);
  return { header, sha256: prelude.sha256, begin };
}

async function readExactly(source: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  for (let read = 0; read < bytes;) {
    const { bytesRead } = await source.read(buffer, read, bytes - read, at + read);
    if (bytesRead === 0) throw refused('a file that ends too soon');
    read += bytesRead;
  }
  return buffer;
}

async function extract(source: FileHandle, at: number, listed: PackageFile, folder: string): Promise<void> {
  const target = path.join(folder, listed.path);
  await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
  const copy = await open(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  const hash = createHash('sha256');
  try {
    for (let done = 0; done < listed.bytes;) {
      const chunk = await readExactly(source, at + done, Math.min(CHUNK_BYTES, listed.bytes - done));
      hash.update(chunk);
      await copy.writeFile(chunk);
      done += chunk.length;
    }
  } finally {
    await copy.close();
  }
  if (hash.digest('hex') !== listed.sha256) throw refused(`other bytes of '${listed.path}' than its digest names`);
}
