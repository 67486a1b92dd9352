import type { Tensor } from '@sibyl/protocol';
import { callerContract, type CallerContract } from './caller-contract';
import { adaptInputs, compareAnswers } from './golden-difference';
import { aModelVersion } from './testing/a-model-version';

const contract = (columns: readonly string[], features: readonly object[] = []): CallerContract =>
  callerContract(
    aModelVersion({
      document: { inputs: [{ name: 'features', shape: [-1, columns.length], columns }], features },
      signature: {
        inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, columns.length] }],
        outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }],
      },
    }),
  );
const rows = (...values: number[][]): Tensor[] => [
  {
    name: 'features',
    datatype: 'FP32',
    shape: [values.length, values[0]?.length ?? 0],
    data: Float32Array.from(values.flat()),
  },
];
const AB = contract(['a', 'b']);

describe('a golden sample of one version for another', () => {
  it('is taken as it is where both have the same columns', () => {
    const sample = rows([1, 2]);
    expect(adaptInputs(sample, AB, contract(['a', 'b']))?.[0]).toBe(sample[0]);
  });

  it('is laid out anew by the names of the columns, with what stands in for those that it lacks', () => {
    const other = contract(
      ['c', 'b', 'a', 'd'],
      [
        { name: 'c', default: 7 },
        { name: 'd', nullable: true },
      ],
    );
    const adapted = adaptInputs(rows([1, 2], [3, 4]), AB, other);
    expect(adapted).toEqual(rows([7, 2, 1, NaN], [7, 4, 3, NaN]));
  });

  it('is left out where a column has nothing to stand in for it, or the shape does not fit', () => {
    expect(adaptInputs(rows([1, 2]), AB, contract(['a', 'b', 'c']))).toBeUndefined();
    const fixed = { ...AB, inputs: AB.inputs.map((input) => ({ ...input, shape: [1, 2] })) };
    expect(adaptInputs(rows([1, 2], [3, 4]), AB, fixed)).toBeUndefined();
    const renamed = { ...AB, inputs: AB.inputs.map(({ columns: _, ...input }) => ({ ...input, name: 'x' })) };
    expect(adaptInputs(rows([1, 2]), AB, renamed)).toBeUndefined();
  });
});

describe('the answers of two versions', () => {
  const sample = { source: 'from' as const, from: [], to: [] };
  const answer = (name: string, ...values: number[]): Tensor[] => [
    { name, datatype: 'FP32', shape: [values.length], data: Float32Array.from(values) },
  ];

  it('are compared value by value, NaN being equal to itself', () => {
    const samples = [0, 1, 2].map((index) => ({ ...sample, index }));
    const before = [answer('y', 1, 2), answer('y', 3, NaN), answer('y', 1)];
    const after = [answer('y', 1, 2.5), answer('y', 3, NaN), undefined];
    expect(compareAnswers(samples, before, after)).toEqual({
      compared: 2,
      skipped: 1,
      differing: 1,
      outputs: [{ name: 'y', values: 4, differing: 1, largestDifference: 0.5 }],
      examples: [{ source: 'from', sample: 0, output: 'y', index: 1, from: '2', to: '2.5' }],
    });
  });

  it('have texts and 64-bit integers compared as they are, and outputs of one of them, or of other shapes, left out', () => {
    const texts = (...data: string[]): Tensor => ({ name: 't', datatype: 'BYTES', shape: [data.length], data });
    const ids = (id: bigint): Tensor => ({ name: 'id', datatype: 'INT64', shape: [1], data: BigInt64Array.from([id]) });
    const before = [[texts('no', 'no'), ids(2n ** 60n), ...answer('old', 1)]];
    const after = [[texts('no', 'yes'), ids(2n ** 60n + 1n), ...answer('new', 1)]];
    expect(compareAnswers([{ ...sample, index: 4 }], before, after)).toMatchObject({
      differing: 1,
      outputs: [
        { name: 't', differing: 1 },
        { name: 'id', differing: 1 },
      ],
    });
    expect(compareAnswers([{ ...sample, index: 0 }], [answer('y', 1)], [answer('y', 1, 2)]).outputs).toEqual([]);
  });
});
