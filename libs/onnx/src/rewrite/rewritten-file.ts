import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { readAt } from '../file-window';
import type { OnnxRewrite } from './onnx-rewrite';

const CHUNK_BYTES = 1_024 * 1_024;
/** Goes to the disk in small parts: the fsyncs of others, those of the audit log for one, would wait for all of it. */
const SYNC_BYTES = 8 * CHUNK_BYTES;

/** What a rewrite makes of a file. */
export interface RewrittenFile {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Goes through the new file in chunks, whatever its size, and writes it to `target` if there is one. */
export async function rewriteFile(
  source: FileHandle,
  rewrite: OnnxRewrite,
  target?: FileHandle,
): Promise<RewrittenFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  let unsynced = 0;
  for await (const chunk of chunksOf(source, rewrite)) {
    hash.update(chunk);
    bytes += chunk.length;
    await target?.writeFile(chunk);
    if (target && (unsynced += chunk.length) >= SYNC_BYTES) {
      await target.datasync();
      unsynced = 0;
    }
  }
  return { sha256: hash.digest('hex'), bytes };
}

async function* chunksOf(source: FileHandle, { parts }: OnnxRewrite): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (const part of parts) {
    if (Buffer.isBuffer(part)) {
      yield part;
      continue;
    }
    for (let at = part.from; at < part.end;) {
      const chunk = await readAt(source, at, buffer.subarray(0, Math.min(CHUNK_BYTES, part.end - at)));
      if (chunk.length === 0) throw new Error('the model file became shorter while it was rewritten');
      at += chunk.length;
      yield chunk;
    }
  }
}
