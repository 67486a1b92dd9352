import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { Response } from 'express';

/** A caller that takes nothing of a file for so long has gone. */
const STALLED_MS = 60_000;

export interface StreamedFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly headers: Readonly<Record<string, string>>;
  chunks(): AsyncGenerator<Buffer>;
}

/** Sends a file as its caller takes it. What ends it too soon cuts the answer off, so that nobody takes a part for the whole. */
export async function streamFile(file: StreamedFile, response: Response): Promise<void> {
  response.set({
    ...file.headers,
    'Content-Type': file.type,
    'Content-Length': String(file.bytes),
    'Content-Disposition': `attachment; filename="${file.name}"`,
    'Cache-Control': 'no-store',
  });
  response.setTimeout(STALLED_MS, () => response.destroy());
  await pipeline(Readable.from(file.chunks(), { highWaterMark: 2, objectMode: true }), response);
}
