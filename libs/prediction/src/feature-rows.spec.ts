import { DomainError } from '@sibyl/kernel';
import { decodeDynamicRow } from './dynamic-row';
import { FeatureRows, type JsonObject } from './feature-rows';
import { compileContract, type FeatureRule, type InputSpec } from './model-contract';
import { decodeTensorInputs, rowsOf } from './tensor-inputs';

const market: InputSpec = {
  name: 'features',
  datatype: 'FP32',
  shape: [-1, 4],
  columns: ['price', 'volume', 'rsi', 'macd'],
};
const rules: FeatureRule[] = [
  { name: 'price', min: 0, max: 1e7 },
  { name: 'volume', min: 0 },
  { name: 'rsi', min: 0, max: 100 },
  { name: 'macd', defaultValue: 0, nullable: true },
];
const contract = compileContract([market], rules);
const nothing = (): JsonObject => ({});

function fault(work: () => unknown): { code: string; pointers: (string | undefined)[]; detail: string } {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError)
      return { code: error.code, pointers: (error.faults ?? []).map((f) => f.pointer), detail: error.detail };
    throw error;
  }
  return { code: 'no error', pointers: [], detail: '' };
}

describe('FeatureRows', () => {
  it('puts features into their columns whatever their order, and says which are missing', () => {
    const rows = new FeatureRows(contract, 2);
    expect(rows.add({ rsi: 3, price: 1, volume: 2, macd: null }, '/f')).toEqual([]);
    const missing = rows.add({ price: 5, volume: 6, rsi: 7 }, '/f');
    expect(missing.map((slot) => slot.name)).toEqual(['macd']);
    rows.supply(missing[0]!, 0.25);
    expect(rows.tensors()).toEqual([
      { name: 'features', datatype: 'FP32', shape: [2, 4], data: Float32Array.of(1, 2, 3, NaN, 5, 6, 7, 0.25) },
    ]);
  });

  it('leaves no trace of a row that is refused', () => {
    const rows = new FeatureRows(contract, 2);
    expect(fault(() => rows.add({ price: 1, volume: 2, rsi: 300 }, '/f')).code).toBe('input_out_of_range');
    rows.add({ price: 1, volume: 2, rsi: 3, macd: 4 }, '/f');
    expect(rows.tensors()[0]).toMatchObject({ shape: [1, 4], data: Float32Array.of(1, 2, 3, 4) });
  });

  it.each([
    ['a wrong type', { price: 'a', volume: 2, rsi: 3 }, 'input_type_mismatch', ['/f/price']],
    ['all values out of range', { price: -1, volume: 2, rsi: 300 }, 'input_out_of_range', ['/f/price', '/f/rsi']],
    ['infinity', { price: 1e999, volume: 2, rsi: 3 }, 'non_finite_input', ['/f/price']],
    ['null where it means nothing', { price: null, volume: 2, rsi: 3 }, 'input_missing', ['/f/price']],
    ['an unknown feature', { price: 1, volume: 2, rsi: 3, rsl: 4 }, 'unknown_field', ['/f/rsl']],
    [
      'a name that objects inherit',
      { price: 1, volume: 2, rsi: 3, constructor: 4 },
      'unknown_field',
      ['/f/constructor'],
    ],
    ['an array for a number', { price: [1], volume: 2, rsi: 3 }, 'input_type_mismatch', ['/f/price']],
  ])('refuses %s', (_, features, code, pointers) => {
    expect(fault(() => new FeatureRows(contract, 1).add(features, '/f'))).toMatchObject({ code, pointers });
  });

  it('names the feature that was probably meant, and escapes pointers', () => {
    expect(
      fault(() => new FeatureRows(contract, 1).add({ price: 1, volume: 2, rsi: 3, mac: 4 }, '/f')).detail,
    ).toContain("'macd'");
    expect(fault(() => new FeatureRows(contract, 1).add({ 'a/b~c': 1 }, '/f')).pointers).toEqual(['/f/a~1b~0c']);
  });

  it('checks allowed values of text columns, one input a column', () => {
    const loan = compileContract(
      [
        { name: 'income', datatype: 'FP32', shape: [-1, 1] },
        { name: 'purpose', datatype: 'BYTES', shape: [-1, 1], columns: ['purpose'] },
      ],
      [{ name: 'purpose', allowed: ['car', 'house'] }],
    );
    const rows = new FeatureRows(loan, 1);
    expect(fault(() => rows.add({ income: 1, purpose: 'boat' }, ''))).toMatchObject({
      code: 'input_not_allowed',
      pointers: ['/purpose'],
    });
    rows.add({ income: 1, purpose: 'car' }, '');
    expect(rows.tensors().map((tensor) => [tensor.name, tensor.shape, [...tensor.data]])).toEqual([
      ['income', [1, 1], [1]],
      ['purpose', [1, 1], ['car']],
    ]);
  });

  it('takes features named like members of every object', () => {
    const odd = compileContract(
      [{ name: 'x', datatype: 'FP32', shape: [-1, 2], columns: ['constructor', 'valueOf'] }],
      [],
    );
    const rows = new FeatureRows(odd, 1);
    expect(rows.add({}, '').map((slot) => slot.name)).toEqual(['constructor', 'valueOf']);
    rows.drop();
    expect(rows.add({ constructor: 1, valueOf: 2 }, '')).toEqual([]);
  });

  it('takes sequences: each feature is a series, and columns are interleaved', () => {
    const lstm = compileContract(
      [{ name: 'sequence', datatype: 'FP32', shape: [-1, 3, 2], columns: ['price', 'rsi'] }],
      [{ name: 'rsi', max: 100 }],
    );
    const rows = new FeatureRows(lstm, 1);
    rows.add({ price: [1, 2, 3], rsi: [10, 20, 30] }, '/f');
    expect(rows.tensors()[0]).toMatchObject({ shape: [1, 3, 2], data: Float32Array.of(1, 10, 2, 20, 3, 30) });
    expect(fault(() => new FeatureRows(lstm, 1).add({ price: [1, 2, 3], rsi: [10, 200, 30] }, '/f'))).toMatchObject({
      code: 'input_out_of_range',
      pointers: ['/f/rsi/1'],
    });
    expect(fault(() => new FeatureRows(lstm, 1).add({ price: [1, 2], rsi: [1, 2, 3] }, '/f'))).toMatchObject({
      code: 'input_shape_mismatch',
    });
  });

  it('takes tensors of fixed size as one feature', () => {
    const image = compileContract([{ name: 'image', datatype: 'FP32', shape: [-1, 2, 2, 1] }], []);
    const rows = new FeatureRows(image, 1);
    rows.add(
      {
        image: [
          [[1], [2]],
          [[3], [4]],
        ],
      },
      '',
    );
    expect(rows.tensors()[0]).toMatchObject({ shape: [1, 2, 2, 1], data: Float32Array.of(1, 2, 3, 4) });
  });

  it('knows which models can stack rows', () => {
    expect(contract.stackable).toBe(true);
    expect(compileContract([{ name: 'x', datatype: 'FP32', shape: [1, 4] }], []).stackable).toBe(false);
    expect(compileContract([{ name: 'x', datatype: 'INT64', shape: [-1, -1] }], []).stackable).toBe(false);
    expect(compileContract([{ name: 'x', datatype: 'FP32' }], []).stackable).toBe(false);
  });
});

describe('decodeDynamicRow', () => {
  it('reads rows of any size', () => {
    const text = compileContract([{ name: 'ids', datatype: 'INT64', shape: [-1, -1] }], []);
    expect(decodeDynamicRow(text, { ids: [1, 2, 3] }, nothing, '')[0]).toMatchObject({
      shape: [1, 3],
      data: BigInt64Array.of(1n, 2n, 3n),
    });
    const series = compileContract([{ name: 's', datatype: 'FP32', shape: [-1, -1, 2], columns: ['a', 'b'] }], []);
    expect(decodeDynamicRow(series, { a: [1, 2] }, () => ({ b: [3, 4] }), '')[0]).toMatchObject({
      shape: [1, 2, 2],
      data: Float32Array.of(1, 3, 2, 4),
    });
    expect(fault(() => decodeDynamicRow(series, { a: [1, 2], b: [3] }, nothing, '/f'))).toMatchObject({
      code: 'input_shape_mismatch',
      pointers: ['/f/b'],
    });
    expect(fault(() => decodeDynamicRow(series, { a: [1], c: [2] }, nothing, '/f'))).toMatchObject({
      code: 'unknown_field',
    });
  });
});

it('an unknown name is compared with those that somebody else knows too', () => {
  const extra = new Set(['req_country']);
  const near = { detail: "Unknown field 'req_contry'. Did you mean 'req_country'?" };
  const features = { price: 1, volume: 2, rsi: 3, req_contry: 'NL' };
  expect(fault(() => new FeatureRows(contract, 1).add(features, '/f', extra))).toMatchObject(near);
  const series = compileContract([{ name: 's', datatype: 'FP32', shape: [-1, 1], columns: ['a'] }], []);
  expect(fault(() => decodeDynamicRow(series, { a: [1], req_contry: 2 }, nothing, '/f', extra))).toMatchObject(near);
});

describe('decodeTensorInputs', () => {
  it('reads every input of the model, in its order', () => {
    const tensors = decodeTensorInputs(
      contract,
      {
        features: [
          [1, 2, 3, null],
          [4, 5, 6, 7],
        ],
      },
      '/inputs',
    );
    expect(tensors[0]).toMatchObject({ shape: [2, 4], data: Float32Array.of(1, 2, 3, NaN, 4, 5, 6, 7) });
    expect(rowsOf({ contract, answersNoRows: false, fixedBatch: undefined }, tensors, 2)).toBe(2);
  });

  it.each([
    ['an unknown tensor', { feature: [[1, 2, 3, 4]] }, 'unknown_field'],
    ['an absent tensor', {}, 'input_missing'],
    ['a null tensor', { features: null }, 'input_missing'],
    ['a wrong shape', { features: [[1, 2, 3]] }, 'input_shape_mismatch'],
    ['null in a column that is not nullable', { features: [[null, 2, 3, 4]] }, 'input_missing'],
    ['a column out of range', { features: [[1, 2, 300, 4]] }, 'input_out_of_range'],
  ])('refuses %s', (_, inputs, code) => {
    expect(fault(() => decodeTensorInputs(contract, inputs, '/inputs')).code).toBe(code);
  });

  it('refuses too many rows, and a call without any where that is no call', () => {
    const contractOfOne = compileContract([{ name: 'x', datatype: 'FP32', shape: [-1] }], []);
    const wide = { contract: contractOfOne, answersNoRows: true, fixedBatch: undefined };
    const tensors = decodeTensorInputs(wide.contract, { x: [1, 2, 3] }, '/inputs');
    expect(rowsOf(wide, tensors, 3)).toBe(3);
    expect(fault(() => rowsOf(wide, tensors, 2))).toMatchObject({ code: 'batch_too_large', pointers: ['/inputs/x'] });
    const none = decodeTensorInputs(contract, { features: [] }, '/inputs');
    expect(rowsOf(wide, decodeTensorInputs(wide.contract, { x: [] }, '/inputs'), 3)).toBe(0);
    expect(fault(() => rowsOf({ contract, answersNoRows: false, fixedBatch: undefined }, none, 3))).toMatchObject({
      code: 'input_shape_mismatch',
      pointers: ['/inputs/features'],
    });
  });
});
