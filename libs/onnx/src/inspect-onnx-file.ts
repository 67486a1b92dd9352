import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { checkExternalFiles } from './external-files';
import type { OnnxModel } from './onnx-model';
import { OnnxLimits } from './onnx-limits';
import { openPlain } from './open-plain';
import { OnnxScan } from './onnx-scan';
import { refusal } from './refusal';
import { ByteWindow } from './wire/byte-window';

/** Small enough that a slice of the walk takes a few milliseconds, large enough that reading it costs little. */
const WINDOW_BYTES = 64 * 1_024;

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
  const buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  window.move(0, await readAt(handle, 0, buffer));
  scan.start(window.bytes);
  for (let missing = scan.advance(); missing > 0; missing = scan.advance()) {
    const target = missing > WINDOW_BYTES ? Buffer.allocUnsafe(missing) : buffer;
    const bytes = await readAt(handle, scan.position, target);
    window.move(scan.position, bytes);
    if (!window.covers(scan.position, missing)) throw unreadable('a file that changed while it was read');
  }
  return scan;
}

async function readAt(handle: FileHandle, position: number, target: Buffer): Promise<Buffer> {
  const { bytesRead } = await handle.read(target, 0, target.length, position);
  return target.subarray(0, bytesRead);
}

function unreadable(received: string, cause?: unknown): DomainError {
  return refusal([{ pointer: '', expected: 'an ONNX file', received }], cause);
}
