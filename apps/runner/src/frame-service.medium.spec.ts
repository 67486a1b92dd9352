import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gatherModel, hugeOutputModel, identityModel, unaryModel, zipMapModel } from '@sibyl/onnx/testing';
import {
  FRAME_TYPES,
  FrameDecoder,
  FrameEncoder,
  frameMessage,
  frameTensors,
  type LoadedMessage,
  type RunnerFrame,
  type Tensor,
} from '@sibyl/protocol';
import { FrameService } from './frame-service';

const LIMIT = 1024 * 1024;
const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-runner-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

let service: FrameService;
const encoder = new FrameEncoder(LIMIT);
beforeEach(() => (service = new FrameService(LIMIT)));

function read(bytes: Uint8Array | undefined): RunnerFrame {
  const decoder = new FrameDecoder(LIMIT);
  decoder.push(bytes!);
  return decoder.next()!;
}

/** What the service answers to a message. */
const tell = (type: Parameters<FrameEncoder['message']>[0], session: number, message: object = {}): RunnerFrame =>
  read(service.answer(read(encoder.message(type, session, 7, message))));

function load(session: number, bytes: Buffer, providers: readonly string[] = ['cpu']): RunnerFrame {
  const file = path.join(folder, `${session}.onnx`);
  writeFileSync(file, bytes);
  return tell(FRAME_TYPES.load, session, { path: file, providers });
}

function run(session: number, ...tensors: Pick<Tensor, 'datatype' | 'shape' | 'data'>[]): RunnerFrame {
  encoder.begin(FRAME_TYPES.run, session, 8);
  tensors.forEach((tensor, index) => {
    encoder.openTensor(index, tensor.datatype, tensor.shape);
    encoder.append(tensor.data);
    encoder.closeTensor();
  });
  return read(service.answer(read(encoder.end())));
}

const row = { datatype: 'FP32', shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) } as const;

describe('FrameService', () => {
  it('says its version and what it can run on', () => {
    const ready = read(service.greeting());
    expect(ready.type).toBe(FRAME_TYPES.ready);
    expect(frameMessage(ready)).toMatchObject({
      runtime: '1.30.0',
      providers: expect.arrayContaining(['cpu']) as string[],
    });
    expect(frameMessage(ready)).toHaveProperty('gpus', expect.any(Number));
  });

  it('loads a model by its path and reports what it found', () => {
    const frame = load(1, identityModel('FP32', ['N', 4]));
    expect(frame).toMatchObject({ type: FRAME_TYPES.loaded, session: 1, request: 7 });
    const loaded = frameMessage(frame) as LoadedMessage;
    expect(loaded).toMatchObject({
      provider: 'cpu',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 4] }],
    });
    expect(loaded.loadMs).toBeGreaterThan(0);
    expect(loaded.memoryBytes).toBeGreaterThanOrEqual(0);
  });

  it('leaves the shape out where the runtime gives none, and outputs that are no tensors', () => {
    const scalar = frameMessage(load(1, identityModel('INT64', []))) as LoadedMessage;
    expect(scalar.inputs).toEqual([{ name: 'x', datatype: 'INT64' }]);
    const zipMap = frameMessage(load(2, zipMapModel())) as LoadedMessage;
    expect(zipMap.outputs.map((output) => output.name)).toEqual(['output_label']);
  });

  it('runs and answers under the number of the request', () => {
    load(1, unaryModel('Neg'));
    const frame = run(1, { ...row, shape: [4] });
    expect(frame).toMatchObject({ type: FRAME_TYPES.outputs, session: 1, request: 8, count: 1 });
    expect(frameTensors(frame)).toEqual([
      { index: 0, datatype: 'FP32', shape: [4], data: Float32Array.of(-1, -2, -3, -4) },
    ]);
  });

  it('runs sessions side by side, and none that is unloaded or unknown', () => {
    load(1, unaryModel('Neg'));
    load(2, unaryModel('Abs'));
    const unloaded = tell(FRAME_TYPES.unload, 1);
    expect(unloaded.type).toBe(FRAME_TYPES.unloaded);
    expect(frameMessage(unloaded)).toEqual({ rssBytes: expect.any(Number) as number });
    for (const session of [1, 3]) {
      const frame = run(session, { ...row, shape: [4] });
      expect(frame.type).toBe(FRAME_TYPES.runFailed);
      expect(frameMessage(frame)).toMatchObject({ reason: 'unknown_session' });
    }
    expect(run(2, { ...row, shape: [4] }).type).toBe(FRAME_TYPES.outputs);
  });

  it('replaces a session that is loaded again', () => {
    load(1, unaryModel('Neg'));
    load(1, unaryModel('Abs'));
    expect(frameTensors(run(1, { ...row, shape: [4] }))[0]?.data).toEqual(row.data);
  });

  it.each([
    ['garbage', Buffer.alloc(100, 'x')],
    ['an empty file', Buffer.alloc(0)],
  ])('reports that it cannot load %s', (_, bytes) => {
    const frame = load(1, bytes);
    expect(frame.type).toBe(FRAME_TYPES.loadFailed);
    expect(frameMessage(frame)).toMatchObject({ reason: 'model' });
  });

  it('never falls back to a provider that was not asked for', () => {
    const frame = load(1, identityModel(), ['cuda']);
    expect(frame.type).toBe(FRAME_TYPES.loadFailed);
    expect(frameMessage(frame)).toMatchObject({ reason: 'provider' });
  });

  it('reports the provider that it really used', () => {
    expect(frameMessage(load(1, identityModel(), ['cuda', 'cpu']))).toMatchObject({ provider: 'cpu' });
  });

  it('reports what it could not run, and goes on', () => {
    load(1, gatherModel());
    const failed = run(
      1,
      { datatype: 'FP32', shape: [1], data: Float32Array.of(5) },
      { datatype: 'INT64', shape: [1], data: BigInt64Array.of(9n) },
    );
    expect(failed.type).toBe(FRAME_TYPES.runFailed);
    expect(frameMessage(failed)).toMatchObject({ reason: 'model' });
    load(2, unaryModel('Neg'));
    expect(frameMessage(run(2, row, row))).toMatchObject({ reason: 'model', message: 'the model has no input 1' });
    expect(run(2, { ...row, shape: [4] }).type).toBe(FRAME_TYPES.outputs);
  });

  it('reports an answer that is larger than a frame may be', () => {
    load(1, hugeOutputModel(1_000_000n));
    const frame = run(1, { datatype: 'FP32', shape: [1], data: Float32Array.of(0) });
    expect(frameMessage(frame)).toMatchObject({ reason: 'too_large' });
  });

  it('ends on stop, and takes nothing that only a runner says', () => {
    expect(service.answer(read(encoder.message(FRAME_TYPES.stop, 0, 1)))).toBeUndefined();
    expect(() => tell(FRAME_TYPES.outputs, 1)).toThrow('does not take frames of type 6');
  });
});
