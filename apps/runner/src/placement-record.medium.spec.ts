import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { addModel } from '@sibyl/onnx/testing';
import { binding } from 'onnxruntime-node/dist/binding';
import { startRuntime } from './onnx-session';
import { PlacementRecord, nodesByProvider } from './placement-record';

describe('a record of a run', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-placement-test-'));
  const file = path.join(folder, 'model.onnx');
  let record: PlacementRecord;
  beforeAll(() => writeFileSync(file, addModel()));
  beforeEach(() => (record = new PlacementRecord()));
  afterEach(() => record.discard());
  afterAll(() => rmSync(folder, { recursive: true }));

  const session = (): InstanceType<typeof binding.InferenceSession> => {
    startRuntime();
    const made = new binding.InferenceSession();
    made.loadModel(file, { executionProviders: ['cpu'], ...record.options });
    return made;
  };
  const input = { type: 'float32', location: 'cpu', data: Float32Array.of(1), dims: [1] };

  it('names the provider of each node that the runtime computed', () => {
    const made = session();
    made.run({ a: input, b: input } as never, { sum: null }, {});
    made.endProfiling();
    expect(record.read()).toEqual({ cpu: 1 });
    made.dispose();
  });

  it('says nothing where nothing ran', () => {
    const made = session();
    made.endProfiling();
    expect(record.read()).toBeUndefined();
    made.dispose();
  });

  it('says nothing where there is no file, and leaves nothing behind', () => {
    expect(record.read()).toBeUndefined();
    record.discard();
    expect(existsSync(path.dirname(record.options.profileFilePrefix))).toBe(false);
  });
});

describe('nodesByProvider', () => {
  const event = (name: string, provider: string, node = '0', op = 'Add'): object => {
    return { cat: 'Node', name: `${name}_kernel_time`, args: { op_name: op, provider, node_index: node } };
  };
  const count = (...events: object[]): unknown => nodesByProvider(JSON.stringify(events));

  it('counts a node once however often it ran, and knows the providers by our names', () => {
    const loop = [event('body', 'CPUExecutionProvider'), event('body', 'CPUExecutionProvider')];
    const gpu = [event('a', 'CUDAExecutionProvider', '1'), event('a', 'CUDAExecutionProvider', '2')];
    expect(count(...loop, ...gpu)).toEqual({ cpu: 1, cuda: 2 });
  });

  it('does not count copies between devices, which a model that runs on the CPU has too', () => {
    const copy = event('Memcpy_token_1', 'CUDAExecutionProvider', '9', 'MemcpyFromHost');
    expect(count(copy, event('trees', 'CPUExecutionProvider'))).toEqual({ cpu: 1 });
    expect(count(copy)).toBeUndefined();
  });

  it('keeps the name of a provider that it does not know', () => {
    expect(count(event('a', 'NewExecutionProvider'))).toEqual({ NewExecutionProvider: 1 });
  });

  it('counts nothing else of a profile', () => {
    expect(
      count({ cat: 'Session', name: 'model_run', args: {} }, { cat: 'Node', name: 'a_fence_before', args: {} }),
    ).toBeUndefined();
  });
});
