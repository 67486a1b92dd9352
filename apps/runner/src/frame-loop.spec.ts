import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FRAME_TYPES, FrameDecoder, FrameEncoder, type RunnerFrame } from '@sibyl/protocol';
import { serveFrames } from './frame-loop';

const LIMIT = 4096;
const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-loop-'));
afterAll(() => rmSync(folder, { recursive: true }));
const encoder = new FrameEncoder(LIMIT);

function framesOf(bytes: Uint8Array): RunnerFrame[] {
  const decoder = new FrameDecoder(LIMIT);
  decoder.push(bytes);
  const frames: RunnerFrame[] = [];
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
  return frames;
}

/** Serves a pipe that holds frames already; what the loop says comes behind them, and ends it when it comes back. */
async function serve(sent: readonly Uint8Array[]): Promise<{ received: number[]; said: RunnerFrame[] }> {
  const pipe = path.join(folder, 'pipe');
  rmSync(pipe, { force: true });
  execFileSync('mkfifo', [pipe]);
  const fd = openSync(pipe, 'r+');
  writeSync(fd, Buffer.concat(sent));
  const received: number[] = [];
  const answerer = {
    greeting: () => encoder.message(FRAME_TYPES.ready, 0, 0),
    answer: (frame: RunnerFrame) => {
      if (frame.type === FRAME_TYPES.ready) return undefined;
      received.push(frame.request);
      return encoder.message(FRAME_TYPES.outputs, frame.session, frame.request);
    },
  };
  await serveFrames(fd, answerer, LIMIT);
  const said = Buffer.alloc(64 * 1024);
  const length = readSync(fd, said);
  closeSync(fd);
  return { received, said: framesOf(said.subarray(0, length)) };
}

const run = (request: number): Uint8Array => Uint8Array.from(encoder.message(FRAME_TYPES.run, 1, request));

describe('serveFrames', () => {
  it('greets, answers in order and ends when there is no answer', async () => {
    const { received, said } = await serve([run(1), run(2), run(3)]);
    expect(received).toEqual([1, 2, 3]);
    expect(said.map((frame) => [frame.type, frame.request])).toEqual([
      [FRAME_TYPES.outputs, 1],
      [FRAME_TYPES.outputs, 2],
      [FRAME_TYPES.outputs, 3],
    ]);
  });

  it('goes on past the frames after which the event loop turns', async () => {
    const count = 600;
    const { received } = await serve(Array.from({ length: count }, (_, i) => run(i + 1)));
    expect(received).toHaveLength(count);
  });

  it('ends when the other side is gone', async () => {
    const file = path.join(folder, 'gone');
    writeFileSync(file, '');
    const fd = openSync(file, 'r+');
    const silent = { greeting: () => new Uint8Array(0), answer: () => new Uint8Array(0) };
    await expect(serveFrames(fd, silent, LIMIT)).resolves.toBeUndefined();
    closeSync(fd);
  });
});
