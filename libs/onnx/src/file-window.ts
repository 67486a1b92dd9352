import type { FileHandle } from 'node:fs/promises';
import { refusal } from './refusal';
import type { ByteWindow } from './wire/byte-window';

/** Small enough that a slice of the walk takes a few milliseconds, large enough that reading it costs little. */
export const WINDOW_BYTES = 64 * 1_024;

/** Whatever goes through a file: it says how many bytes from `position` on it needs to go on, 0 when it is over. */
interface FileReader {
  readonly position: number;
  advance(): number;
}

/** Moves the window over the file for as long as the reader needs more of it. */
export async function readThrough(handle: FileHandle, window: ByteWindow, reader: FileReader): Promise<void> {
  const buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  for (let missing = reader.advance(); missing > 0; missing = reader.advance()) {
    const target = missing > WINDOW_BYTES ? Buffer.allocUnsafe(missing) : buffer;
    window.move(reader.position, await readAt(handle, reader.position, target));
    if (!window.covers(reader.position, missing)) {
      throw refusal([{ pointer: '', expected: 'an ONNX file', received: 'a file that changed while it was read' }]);
    }
  }
}

/** Fills as much of `target` as the file has from `position` on. */
export async function readAt(handle: FileHandle, position: number, target: Buffer): Promise<Buffer> {
  const { bytesRead } = await handle.read(target, 0, target.length, position);
  return target.subarray(0, bytesRead);
}
