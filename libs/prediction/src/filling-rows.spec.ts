import { DomainError } from '@sibyl/kernel';
import { FeatureRows } from './feature-rows';
import type { VersionFeatures } from './feature-reader';
import { addRow, dynamicRow, type FillingRow } from './filling-rows';
import { compileContract } from './model-contract';

const refusal = new DomainError('incomplete_features', 'The source has nothing.');
const sourceOf = (extra: ReadonlySet<string> | undefined): VersionFeatures => ({ extra, read: () => [] });
const fixed = compileContract([{ name: 'x', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] }], []);
const dynamic = compileContract([{ name: 's', datatype: 'FP32', shape: [-1, -1, 2], columns: ['a', 'b'] }], []);

/** The same request for both kinds of models. */
const READERS: readonly [string, unknown, (row: FillingRow) => unknown][] = [
  ['rows of one size', 1, (row) => addRow(new FeatureRows(fixed, 1), row)],
  ['rows of any size', [1, 2], (row) => dynamicRow(dynamic, row)],
];

describe.each(READERS)('where a source of features refuses, of %s', (_what, good, read) => {
  const codeOf = (features: FillingRow['features'], source: VersionFeatures): string => {
    try {
      read({ features, query: {}, pointer: '/features', source, filled: refusal });
    } catch (error) {
      return error instanceof DomainError ? error.code : 'another error';
    }
    return 'no error';
  };

  it("tells the caller's own mistakes first", () => {
    const source = sourceOf(new Set(['c']));
    expect(codeOf({ a: good, d: 1 }, source)).toBe('unknown_field');
    expect(codeOf({ a: 'x' }, source)).toMatch(/^input_/);
    expect(codeOf({ a: good, c: 1 }, source)).toBe('incomplete_features');
  });

  it('tells the refusal where nobody knows what the source would take', () => {
    expect(codeOf({ a: good, d: 1 }, sourceOf(undefined))).toBe('incomplete_features');
  });
});

it('what the source makes of a value that is given comes before it, of rows of any size too', () => {
  const [a, b] = dynamic.slots;
  if (!a || !b) throw new RangeError('no slots');
  const nothing = { defaulted: [], stale: [], basis: undefined };
  const filled = { ...nothing, values: new Map([['b', [3, 4]]]), amended: [{ slot: a, value: [5, 6] }] };
  const row = { features: { a: [1, 2] }, query: {}, pointer: '/features', source: sourceOf(new Set()), filled };
  expect(dynamicRow(dynamic, row).tensors[0]).toMatchObject({ shape: [1, 2, 2], data: Float32Array.of(5, 3, 6, 4) });
});
