import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { checkExternalFiles } from './external-files';
import { WINDOW_BYTES, readAt, readThrough } from './file-window';
import type { OnnxModel } from './onnx-model';
import { OnnxLimits } from './onnx-limits';
import { openPlain } from './open-plain';
import { OnnxScan } from './onnx-scan';
import { refusal } from './refusal';
import { ByteWindow } from './wire/byte-window';

/**
 * Reads a model from disk through a small window, so that it may be far larger than memory, and checks the files of
 * external data beside it. Throws `model_rejected` with every reason found.
 */
export async function inspectOnnxFile(file: string, limits: OnnxLimits = new OnnxLimits()): Promise<OnnxModel> {
  const scan = await scanOf(file, limits);
  await checkExternalFiles(dirname(file), scan.externalFiles, scan.faults);
  return scan.finish();
}

/** Names of the files of external data that a model needs beside it, before they are there. Refuses as `inspectOnnxFile` does. */
export async function externalFilesOf(file: string, limits: OnnxLimits = new OnnxLimits()): Promise<readonly string[]> {
  return (await scanOf(file, limits)).finish().externalFiles;
}

async function scanOf(file: string, limits: OnnxLimits): Promise<OnnxScan> {
  const opened = await openPlain(file);
  if ('failure' in opened) throw unreadable(opened.failure, opened.cause);
  const { handle } = opened;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw unreadable('something that is not a regular file');
    return await walk(handle, stat.size, limits);
  } finally {
    await handle.close();
  }
}

async function walk(handle: FileHandle, size: number, limits: OnnxLimits): Promise<OnnxScan> {
  const window = new ByteWindow(size);
  const scan = new OnnxScan(window, limits);
  window.move(0, await readAt(handle, 0, Buffer.allocUnsafe(WINDOW_BYTES)));
  scan.start(window.bytes);
  await readThrough(handle, window, scan);
  return scan;
}

function unreadable(received: string, cause?: unknown): DomainError {
  return refusal([{ pointer: '', expected: 'an ONNX file', received }], cause);
}
