/** Hot path. See docs/paths/predict.md. */
import { readSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { FrameDecoder, type RunnerFrame } from '@sibyl/protocol';

/** As much as a Unix socket usually holds: a small batch comes with one system call. */
const READ_BYTES = 256 * 1024;
/** Frames after which the event loop may turn, for signals and for memory that waits to be finalized. */
const FRAMES_PER_TURN = 256;

export interface FrameAnswerer {
  greeting(): Uint8Array;
  answer(frame: RunnerFrame): Uint8Array | undefined;
}

/**
 * Answers one frame after another until the other side is gone or says stop. Reads and writes block on purpose: a run
 * blocks anyway, and without an event loop in between a frame costs two system calls.
 */
export async function serveFrames(fd: number, service: FrameAnswerer, maxFrameBytes: number): Promise<void> {
  const decoder = new FrameDecoder(maxFrameBytes);
  const buffer = Buffer.alloc(READ_BYTES);
  writeWhole(fd, service.greeting());
  for (let served = 1; ; served++) {
    const frame = receive(fd, decoder, buffer);
    if (frame === undefined) return;
    const answer = service.answer(frame);
    if (answer === undefined) return;
    writeWhole(fd, answer);
    if (served % FRAMES_PER_TURN === 0) await setImmediate();
  }
}

function receive(fd: number, decoder: FrameDecoder, buffer: Buffer): RunnerFrame | undefined {
  for (;;) {
    const frame = decoder.next();
    if (frame) return frame;
    const received = readSync(fd, buffer, 0, buffer.length, null);
    if (received === 0) return undefined;
    decoder.push(buffer.subarray(0, received));
  }
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
}
