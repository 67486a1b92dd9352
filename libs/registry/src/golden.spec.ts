import type { DomainError } from '@sibyl/kernel';
import { numberToFloat16, type Datatype, type ModelSignature, type Tensor, type TensorData } from '@sibyl/protocol';
import type { Golden } from './golden';
import { compareGolden } from './golden-compare';
import { readGolden, readGoldenDocument } from './golden-reader';
import { readManifest } from './manifest-reader';
import { observeOutputs, widenedSignature } from './observed-outputs';
import { PackageLimits } from './registry-options';

const SIGNATURE: ModelSignature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [
    { name: 'y', datatype: 'FP32', shape: [1] },
    { name: 'label', datatype: 'INT64', shape: [-1] },
    { name: 'word', datatype: 'BYTES', shape: [-1] },
  ],
};
const FEATURES = [
  { name: 'a', datatype: 'FP32', nullable: false, min: 0.1, max: 1, allowed: [0.1, 1] },
  { name: 'b', datatype: 'FP32', nullable: true, max: 5 },
];

interface Given {
  readonly manifest?: Record<string, unknown>;
  readonly signature?: ModelSignature;
  readonly raw?: Record<string, Buffer>;
  readonly limits?: Partial<PackageLimits>;
}

function golden(
  document: Record<string, unknown>,
  { manifest = {}, signature = SIGNATURE, raw = {}, limits = {} }: Given = {},
): Golden {
  const all = Object.assign(new PackageLimits(), limits);
  const read = readManifest(Buffer.from(JSON.stringify({ name: 'm', version: '1', ...manifest })), {}, 40);
  const parsed = readGoldenDocument(Buffer.from(JSON.stringify(document)), all);
  return readGolden(parsed, { manifest: read, signature, raw: new Map(Object.entries(raw)), limits: all });
}

function pointers(document: Record<string, unknown>, given?: Given): string[] {
  try {
    golden(document, given);
  } catch (error) {
    expect(error).toMatchObject({ code: 'model_rejected' });
    return ((error as DomainError).faults ?? []).map(({ pointer }) => pointer.replace('/golden.json', ''));
  }
  return [];
}

const sample = (inputs: unknown, outputs: unknown = {}): Record<string, unknown> => ({
  samples: [{ inputs, outputs }],
});
const tensor = (name: string, datatype: Datatype, shape: number[], data: TensorData): Tensor => ({
  name,
  datatype,
  shape,
  data,
});

describe('golden samples', () => {
  it('are decoded against the signature: null is NaN, infinities and big integers are strings', () => {
    const document = {
      source: 's',
      tolerance: { rtol: 0.1, atol: 0.2 },
      ...sample({ x: [[1, null]] }, { y: [['Infinity']], label: ['9007199254740993'], word: ['é'] }),
    };
    const { samples, tolerance, source, skipped } = golden(document);
    expect({ tolerance, source, skipped }).toEqual({ tolerance: { rtol: 0.1, atol: 0.2 }, source: 's', skipped: 0 });
    expect(samples[0]?.inputs[0]).toMatchObject({ shape: [1, 2], data: Float32Array.of(1, Number.NaN) });
    expect(samples[0]?.outputs.map(({ data, shape }) => [[...data], shape])).toEqual([
      [[Infinity], [1, 1]],
      [[9007199254740993n], [1]],
      [['é'], [1]],
    ]);
  });

  it('may lie in raw little-endian files', () => {
    const x = { file: 'in.bin', datatype: 'FP32', shape: [2, 2] };
    const bytes = Buffer.concat([Buffer.of(0), Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)]).subarray(1);
    expect(golden(sample({ x }), { raw: { 'in.bin': bytes } }).samples[0]?.inputs[0]?.data).toEqual(
      Float32Array.of(1, 2, 3, 4),
    );
    const at = (value: Record<string, unknown>, raw: Record<string, Buffer> = { 'in.bin': bytes }): string[] =>
      pointers(sample({ x: value }), { raw });
    expect(at({ ...x, datatype: 'FP64' })).toEqual(['/samples/0/inputs/x/datatype']);
    expect(at({ ...x, shape: [4] })).toEqual(['/samples/0/inputs/x/shape']);
    expect(at({ ...x, shape: [-1, 2] })).toEqual(['/samples/0/inputs/x/shape']);
    expect(at({ ...x, shape: [1, 2] })).toEqual(['/samples/0/inputs/x/file']);
    expect(at({ ...x, shape: [2 ** 40, 2] })).toEqual(['/samples/0/inputs/x/file']);
    expect(at(x, {})).toEqual(['/samples/0/inputs/x/file']);
    expect(at({ ...x, file: '../in.bin' })).toEqual(['/samples/0/inputs/x/file']);
    const words = { inputs: [{ name: 'x', datatype: 'BYTES' as const }], outputs: [] };
    expect(
      pointers(sample({ x: { ...x, datatype: 'BYTES' } }), { signature: words, raw: { 'in.bin': bytes } }),
    ).toEqual(['/samples/0/inputs/x/datatype']);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['a sample that is no object', { samples: [1] }, ['/samples/0']],
    ['no list of samples', { samples: {} }, ['/samples']],
    ['a sample without tensors', { samples: [{}] }, ['/samples/0/inputs', '/samples/0/outputs']],
    ['an input that is missing', sample({}), ['/samples/0/inputs/x']],
    ['an input that the model does not have', sample({ x: [[1, 2]], z: [1] }), ['/samples/0/inputs/z']],
    ['an output that the model does not have', sample({ x: [[1, 2]] }, { z: [1] }), ['/samples/0/outputs/z']],
    ['another shape', sample({ x: [[1, 2, 3]] }), ['/samples/0/inputs/x']],
    ['ragged arrays', sample({ x: [[1, 2], [3]] }), ['/samples/0/inputs/x/1']],
    ['another type', sample({ x: [[1, 'x']] }), ['/samples/0/inputs/x/0/1']],
    ['integers that are none', sample({ x: [[1, 2]] }, { label: [0.5] }), ['/samples/0/outputs/label/0']],
    ['a tolerance below zero', { tolerance: { rtol: -1 }, ...sample({ x: [[1, 2]] }) }, ['/tolerance/rtol']],
  ])('are refused for %s', (_, document, expected) => {
    expect(pointers(document)).toEqual(expected);
  });

  it('are refused past their limits', () => {
    const many = { samples: Array.from({ length: 3 }, () => ({ inputs: { x: [[1, 2]] }, outputs: {} })) };
    expect(pointers(many, { limits: { goldenSamples: 2 } })).toEqual(['/samples']);
    expect(pointers(sample({ x: [[1, 2]] }), { limits: { goldenRawBytes: 4 } })).toEqual(['/samples/0/inputs/x']);
  });

  it('keep to their manifest, bounds compared as the tensor holds them', () => {
    const manifest = { inputs: [{ name: 'x', columns: ['a', 'b'] }], features: FEATURES };
    const at = (row: unknown[]): string[] => pointers(sample({ x: [[1, 1], row] }), { manifest });
    expect(at([0.1, null])).toEqual([]);
    expect(at([1, 5])).toEqual([]);
    expect(at([0.05, 0])).toEqual(['/samples/0/inputs/x/1/0']);
    expect(at([0.5, 6])).toEqual(['/samples/0/inputs/x/1/0', '/samples/0/inputs/x/1/1']);
    expect(at([null, 0])).toEqual(['/samples/0/inputs/x/1/0']);
    const words = { inputs: [{ name: 'w', datatype: 'BYTES' as const, shape: [-1, 1] }], outputs: [] };
    const halves = { inputs: [{ name: 'h', datatype: 'FP16' as const, shape: [-1] }], outputs: [] };
    const tenth = { features: [{ name: 'h', datatype: 'FP16', min: 0.1, max: 0.3, allowed: [0.1, 0.3] }] };
    expect(pointers(sample({ h: [0.1, 0.3, 0.2] }), { signature: halves, manifest: tenth })).toEqual([
      '/samples/0/inputs/h/2',
    ]);
    const texts = { features: [{ name: 'w', datatype: 'BYTES', allowed: ['car'] }] };
    expect(pointers(sample({ w: [['car'], ['bus']] }), { signature: words, manifest: texts })).toEqual([
      '/samples/0/inputs/w/1/0',
    ]);
  });

  it('of language models may hold texts and outputs of the steps around the model', () => {
    const samples = [{ prompt: 'x' }, { inputs: { x: [[1, 2]] }, outputs: { embedding: [[1]] } }];
    const { samples: decoded, skipped } = golden({ samples }, { manifest: { task: 'embedding' } });
    expect(skipped).toBe(1);
    expect(decoded).toEqual([expect.objectContaining({ index: 1, outputs: [] })]);
  });
});

describe('a replay', () => {
  const replay = (
    expected: Tensor,
    got: Tensor | undefined,
    tolerance = { rtol: 0.01, atol: 0.001 },
  ): ReturnType<typeof compareGolden> =>
    compareGolden(
      { tolerance, samples: [{ index: 4, inputs: [], outputs: [expected] }], skipped: 0 },
      [got ? [got] : []],
      2,
    );
  const floats = (...values: number[]): Tensor => tensor('y', 'FP32', [values.length], Float32Array.from(values));

  it('lets numbers differ by atol + rtol * |expected| and no more', () => {
    expect(replay(floats(100), floats(101))).toMatchObject({ missCount: 0, largestDifference: 1 });
    expect(replay(floats(-100), floats(-101.25)).misses).toEqual([
      { sample: 4, tensor: 'y', index: 0, expected: '-100', got: '-101.25', difference: 1.25 },
    ]);
    expect(replay(floats(0), floats(0.0005)).missCount).toBe(0);
    expect(replay(floats(0), floats(-0)).missCount).toBe(0);
  });

  it('takes NaN for NaN and infinity for infinity only', () => {
    expect(replay(floats(NaN, Infinity), floats(NaN, Infinity)).missCount).toBe(0);
    expect(replay(floats(NaN, 1), floats(1, NaN)).missCount).toBe(2);
    expect(replay(floats(Infinity, -Infinity), floats(5, Infinity)).missCount).toBe(2);
    expect(replay(floats(5), floats(Infinity)).misses[0]).toEqual({
      sample: 4,
      tensor: 'y',
      index: 0,
      expected: '5',
      got: 'Infinity',
    });
  });

  it('compares half floats as numbers, integers and strings exactly', () => {
    const half = (value: number): Tensor => tensor('y', 'FP16', [1], Uint16Array.of(numberToFloat16(value)));
    expect(replay(half(1), half(1.005)).missCount).toBe(0);
    expect(replay(half(1), half(2)).missCount).toBe(1);
    const whole = (value: bigint): Tensor => tensor('y', 'INT64', [1], BigInt64Array.of(value));
    expect(replay(whole(100n), whole(101n), { rtol: 1, atol: 100 }).misses).toEqual([
      { sample: 4, tensor: 'y', index: 0, expected: '100', got: '101' },
    ]);
    expect(replay(tensor('y', 'BYTES', [1], ['a']), tensor('y', 'BYTES', [1], ['b'])).missCount).toBe(1);
  });

  it('takes no other shape or datatype, nor a missing tensor', () => {
    expect(replay(floats(1), tensor('y', 'FP32', [1, 1], Float32Array.of(1))).misses).toEqual([
      { sample: 4, tensor: 'y', expected: 'FP32 [1]', got: 'FP32 [1,1]' },
    ]);
    expect(replay(floats(1), tensor('y', 'FP64', [1], Float64Array.of(1))).missCount).toBe(1);
    expect(replay(floats(1), undefined).misses[0]?.got).toBe('nothing');
  });

  it('counts all misses and lists the first', () => {
    expect(replay(floats(1, 2, 3, 4), floats(9, 9, 9, 9))).toMatchObject({
      missCount: 4,
      misses: [{ index: 0 }, { index: 1 }],
    });
  });
});

describe('what a run shows of outputs', () => {
  it('is wider than what the file declares, where samples of several rows say so', () => {
    const run = (rows: number): Tensor[] => [
      tensor('y', 'FP32', [rows, 1], new Float32Array(rows)),
      tensor('label', 'INT64', [rows], new BigInt64Array(rows)),
    ];
    const observed = observeOutputs([run(1), run(3)]);
    expect(observed).toEqual([
      { name: 'y', datatype: 'FP32', shape: [-1, 1] },
      { name: 'label', datatype: 'INT64', shape: [-1] },
    ]);
    expect(widenedSignature(SIGNATURE, observed).outputs).toEqual([
      { name: 'y', datatype: 'FP32', shape: [-1, 1] },
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'word', datatype: 'BYTES', shape: [-1] },
    ]);
  });

  it('leaves the rank open where samples differ in it, and a declared 1 row is any number where inputs take any', () => {
    const observed = observeOutputs([
      [tensor('y', 'FP32', [1], new Float32Array(1))],
      [tensor('y', 'FP32', [1, 1], new Float32Array(1))],
    ]);
    expect(observed).toEqual([{ name: 'y', datatype: 'FP32' }]);
    expect(widenedSignature(SIGNATURE, []).outputs[0]?.shape).toEqual([-1]);
    const fixed = { inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [1, 2] }], outputs: SIGNATURE.outputs };
    expect(widenedSignature(fixed, []).outputs[0]?.shape).toEqual([1]);
  });
});
