import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { builtRunner } from '@sibyl/inference/testing';
import { endlessModel, identityModel } from '@sibyl/onnx/testing';
import { FRAME_TYPES, FrameDecoder, FrameEncoder, frameTensors, type RunnerFrame } from '@sibyl/protocol';

const LIMIT = 64 * 1024 * 1024;
const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-runner-process-'));
const runner = builtRunner();
const encoder = new FrameEncoder(LIMIT);
const running: ChildProcess[] = [];
afterEach(() => running.splice(0).forEach((child) => child.kill('SIGKILL')));
afterAll(() => rmSync(folder, { recursive: true }));

function start(): { child: ChildProcess; socket: Duplex; next: () => Promise<RunnerFrame>; ended: Promise<unknown[]> } {
  const child = spawn(process.execPath, [runner, String(LIMIT)], {
    cwd: folder,
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
  });
  running.push(child);
  const socket = child.stdio[3] as Duplex;
  const decoder = new FrameDecoder(LIMIT);
  socket.on('data', (chunk: Buffer) => decoder.push(chunk)).on('error', () => undefined);
  const next = async (): Promise<RunnerFrame> => {
    for (;;) {
      const frame = decoder.next();
      if (frame !== undefined) return frame;
      await new Promise((resolve) => socket.once('data', resolve));
    }
  };
  const ended = new Promise<unknown[]>((resolve) => child.on('exit', (...how) => resolve(how)));
  return { child, socket, next, ended };
}

function modelFile(name: string, bytes: Buffer): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

function floats(session: number, values: Float32Array): Uint8Array {
  encoder.begin(FRAME_TYPES.run, session, 2);
  encoder.openTensor(0, 'FP32', [values.length]);
  encoder.append(values);
  encoder.closeTensor();
  return encoder.end();
}

describe('a runner', () => {
  it('answers frames of any size until its socket closes, and then ends in order', async () => {
    const { socket, next, ended } = start();
    expect((await next()).type).toBe(FRAME_TYPES.ready);
    const file = modelFile('identity.onnx', identityModel('FP32', [-1]));
    socket.write(encoder.message(FRAME_TYPES.load, 1, 1, { path: file, providers: ['cpu'] }));
    expect((await next()).type).toBe(FRAME_TYPES.loaded);
    for (const count of [1, 100, 100_000, 3_000_000]) {
      const values = new Float32Array(count).fill(count);
      socket.write(floats(1, values));
      const [y] = frameTensors(await next());
      expect(Buffer.compare(Buffer.from((y!.data as Float32Array).slice().buffer), Buffer.from(values.buffer))).toBe(0);
    }
    for (let i = 0; i < 600; i++) {
      socket.write(floats(1, Float32Array.of(i)));
      expect(frameTensors(await next())[0]?.data).toEqual(Float32Array.of(i));
    }
    socket.end();
    expect(await ended).toEqual([0, null]);
  });

  it('ends when it is told to', async () => {
    const { socket, next, ended } = start();
    await next();
    socket.write(encoder.message(FRAME_TYPES.stop, 0, 1));
    expect(await ended).toEqual([0, null]);
  });

  it('ends with an error on bytes that are no frame', async () => {
    const { socket, next, ended } = start();
    await next();
    socket.write(Buffer.alloc(64, 0xff));
    expect(await ended).toEqual([1, null]);
  });

  it('lives through Ctrl-C and SIGTERM, which its server answers for it', async () => {
    const { child, socket, next } = start();
    await next();
    child.kill('SIGINT');
    child.kill('SIGTERM');
    socket.write(encoder.message(FRAME_TYPES.unload, 1, 1));
    expect((await next()).type).toBe(FRAME_TYPES.unloaded);
  });

  it('refuses to be started by hand', async () => {
    const child = spawn(process.execPath, [runner], { stdio: 'ignore' });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    expect(code).toBe(64);
  });

  it.each([
    ['idle', false],
    ['in a run that never ends', true],
  ])('does not outlive a server that is killed while it is %s', async (_, busy) => {
    const file = modelFile('endless.onnx', endlessModel());
    const server = spawn(process.execPath, ['-e', serverThatNeverStops(file, busy)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.push(server);
    const pid = Number(await new Promise<Buffer>((resolve) => server.stdout.once('data', resolve)));
    expect(alive(pid)).toBe(true);
    server.kill('SIGKILL');
    while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});

/** A program that starts a runner as the server does, gives it work and says its pid once the work has begun. */
function serverThatNeverStops(file: string, busy: boolean): string {
  const protocol = path.resolve(runner, '../../../libs/protocol/src/index.js');
  return `
    const { FrameEncoder, FRAME_TYPES: T } = require(${JSON.stringify(protocol)});
    const stdio = ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'];
    const child = require('child_process').spawn(process.execPath, [${JSON.stringify(runner)}, '${LIMIT}'], { env: {}, stdio });
    const encoder = new FrameEncoder(${LIMIT});
    const socket = child.stdio[3];
    const load = encoder.message(T.load, 1, 1, { path: ${JSON.stringify(file)}, providers: ['cpu'] });
    socket.once('data', () => {
      socket.write(Buffer.from(load));
      socket.once('data', () => {
        if (!${busy}) return console.log(child.pid);
        encoder.begin(T.run, 1, 2);
        encoder.openTensor(0, 'INT64', []);
        encoder.append(BigInt64Array.of(0n));
        encoder.closeTensor();
        socket.write(encoder.end(), () => setTimeout(() => console.log(child.pid), 300));
      });
    });`;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
