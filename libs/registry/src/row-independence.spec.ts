import type { Datatype, ModelSignature, Tensor } from '@sibyl/protocol';
import { emptyProbe, madeUpProbe, rowProbes, rowsAreIndependent, type RowProbes } from './row-independence';

const signature = (...shapes: (readonly number[])[]): ModelSignature => ({
  inputs: shapes.map((shape, i) => ({ name: `x${i}`, datatype: 'FP32', shape })),
  outputs: [],
});
const row = (...values: number[]): Tensor => ({
  name: 'x0',
  datatype: 'FP32',
  shape: [1, values.length],
  data: Float32Array.from(values),
});
const rows = (values: number[][]): Tensor => ({
  name: 'y',
  datatype: 'FP32',
  shape: [values.length, values[0]?.length ?? 0],
  data: Float32Array.from(values.flat()),
});

/** What a model of the given function answers to the probes. */
function answers(probes: RowProbes, model: (x: number[][]) => number[][]): (readonly Tensor[])[] {
  return [...probes.alone, probes.together].map(([x]) => {
    const [count = 0, width = 0] = x?.shape ?? [];
    const values = [...((x?.data ?? []) as Float32Array)];
    return [rows(model(Array.from({ length: count }, (_, i) => values.slice(i * width, (i + 1) * width))))];
  });
}

const probes = rowProbes(signature([-1, 2]), [[row(1, 2)], [row(3, -4)]])!;

describe('the probes of rows', () => {
  it('are rows by themselves, strangers on another scale too, and all of them in one run', () => {
    const [first, second] = [Math.sin(1), Math.sin(2)];
    const strangers = [row(7 + first, 14 + second), row(21 + first, -28 + second)];
    expect(probes.alone).toEqual([[row(1, 2)], [row(3, -4)], ...strangers.map((stranger) => [stranger])]);
    expect(probes.together).toEqual([
      {
        ...row(),
        shape: [4, 2],
        data: Float32Array.from(probes.alone.flatMap(([x]) => [...(x!.data as Float32Array)])),
      },
    ]);
  });

  it.each<[Datatype, unknown[]]>([
    ['FP32', [Math.fround(Math.sin(1)), Math.fround(7 * Math.fround(Math.sin(1)) + Math.sin(1))]],
    ['FP16', [0x3c00, 0x3400]],
    ['INT64', [1n, 0n]],
    ['UINT8', [1, 0]],
    ['BOOL', [1, 0]],
    ['BYTES', ['x', 'xx']],
  ])('are made up of %s where there is no sample, and differ', (datatype, values) => {
    const made = rowProbes({ inputs: [{ name: 'x0', datatype, shape: [-1, -1] }], outputs: [] }, []);
    expect(made?.together.map(({ shape, data }) => [shape, Array.from(data as never)])).toEqual([[[2, 1], values]]);
  });

  it('take the first row of a sample with many, and no more than four samples', () => {
    const many = {
      ...rows([
        [1, 2],
        [3, 4],
      ]),
      name: 'x0',
    };
    const made = rowProbes(
      signature([-1, 2]),
      Array.from({ length: 9 }, () => [many]),
    );
    expect(made?.alone).toHaveLength(8);
    expect(made?.alone[0]).toEqual([row(1, 2)]);
  });

  it.each<[string, ModelSignature, Tensor[][]]>([
    ['a row is too large to be tried', signature([-1, 2_000_000]), []],
    ['the number of rows is fixed', signature([1, 2]), [[row(1, 2)]]],
    ['an input has no rows', signature([-1, 2], [3]), [[row(1, 2)]]],
    ['the model takes nothing', signature(), [[]]],
  ])('are none where %s', (_name, of, samples) => expect(rowProbes(of, samples)).toBeUndefined());
});

describe('the probe that is made up', () => {
  it('fits any shape, with one element where a dimension has any size', () => {
    const inputs = [
      { name: 'scalar', datatype: 'INT64' as const, shape: [] },
      { name: 'matrix', datatype: 'FP32' as const, shape: [2, -1] },
    ];
    const probe = madeUpProbe({ inputs, outputs: [] });
    expect(probe?.map(({ shape, data }) => [shape, data.length])).toEqual([
      [[], 1],
      [[2, 1], 2],
    ]);
    expect(madeUpProbe({ inputs: [], outputs: [] })).toEqual([]);
  });

  it('is not made where it would be large', () => {
    const inputs = [{ name: 'x', datatype: 'FP32' as const, shape: [2 ** 30, 2 ** 30] }];
    expect(madeUpProbe({ inputs, outputs: [] })).toBeUndefined();
  });
});

describe('the probe without rows', () => {
  it('is a run of nothing, in the shape of each input', () => {
    expect(emptyProbe(signature([-1, 2, 3], [-1]))).toEqual([
      { name: 'x0', datatype: 'FP32', shape: [0, 2, 3], data: new Float32Array(0) },
      { name: 'x1', datatype: 'FP32', shape: [0], data: new Float32Array(0) },
    ]);
  });

  it.each([
    ['there is no input', signature()],
    ['the first dimension is fixed', signature([2, 2])],
    ['another dimension is of any size', signature([-1, -1])],
    ['there is no dimension', signature([])],
  ])('is none where %s', (_name, of) => expect(emptyProbe(of)).toBeUndefined());
});

describe('rows are independent', () => {
  it('where each is answered alike alone and among strangers, but for the last bits', () => {
    const model = (x: number[][]): number[][] => x.map(([a = 0, b = 0]) => [(a + b) * (1 + x.length * 1e-7)]);
    expect(rowsAreIndependent(probes, answers(probes, model))).toBe(true);
  });

  it('not where an answer takes something of all rows', () => {
    const centred = (x: number[][]): number[][] => x.map(([a = 0]) => [a - x.reduce((sum, [b = 0]) => sum + b, 0)]);
    const ranged = (x: number[][]): number[][] => {
      const step = Math.max(...x.flat()) / 255;
      return x.map(([a = 0]) => [Math.round(a / step) * step]);
    };
    const summed = (x: number[][]): number[][] => [[x.length]];
    const highest = (x: number[][]): number[][] => x.map(([a = 0]) => [a - Math.max(...x.map(([b = 0]) => b))]);
    const zero = rowProbes(signature([-1, 2]), [[row(0, 0)]])!;
    const madeUp = rowProbes(signature([-1, 2]), [])!;
    for (const model of [centred, ranged, summed, highest]) {
      for (const each of [probes, zero, madeUp]) expect(rowsAreIndependent(each, answers(each, model))).toBe(false);
    }
  });

  it('not where the model refuses to run them together', () => {
    const given = answers(probes, (x) => x);
    expect(rowsAreIndependent(probes, [...given.slice(0, -1), undefined])).toBe(false);
    expect(rowsAreIndependent(probes, [undefined, ...given.slice(1)])).toBeUndefined();
  });

  it('also where an answer is NaN alike', () => {
    expect(
      rowsAreIndependent(
        probes,
        answers(probes, (x) => x.map(() => [NaN])),
      ),
    ).toBe(true);
  });
});

describe('a file that fixes its batch', () => {
  const fixed = rowProbes(signature([3, 2]), [])!;

  it('is asked for one row several times, and for several rows at once, as many as it takes', () => {
    expect(fixed.alone).toHaveLength(2);
    for (const [x] of fixed.alone) expect(x?.shape).toEqual([3, 2]);
    expect(fixed.together[0]?.shape).toEqual([3, 2]);
  });

  it('has rows that do not depend on each other, or has not', () => {
    expect(
      rowsAreIndependent(
        fixed,
        answers(fixed, (x) => x.map(([a = 0]) => [a, 1])),
      ),
    ).toBe(true);
    const summed = answers(fixed, (x) => x.map(() => [x.reduce((sum, [a = 0]) => sum + a, 0)]));
    expect(rowsAreIndependent(fixed, summed)).toBe(false);
    // A matrix, not rows.
    const transposed = answers(fixed, (x) => [x.map(([a = 0]) => a), x.map(([, b = 0]) => b)]);
    expect(rowsAreIndependent(fixed, transposed)).toBe(false);
  });

  it('of one row, or of none, has nothing to be shown', () => {
    expect(rowProbes(signature([1, 2]), [])).toBeUndefined();
    expect(rowProbes(signature([0, 2]), [])).toBeUndefined();
    expect(rowProbes(signature([3, 2], [2, 2]), [])).toBeUndefined();
  });
});
