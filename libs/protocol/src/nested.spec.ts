import { DomainError } from '@sibyl/kernel';
import { allocate, DATATYPES, elementBytes, isDatatype } from './datatype';
import { float16ToNumber, numberToFloat16 } from './float16';
import { decodeNested, encodeNested, numberAt } from './nested';
import { elementCount, type TensorSpec } from './tensor';

const spec = (datatype: TensorSpec['datatype'], shape?: number[]): TensorSpec => ({
  name: 'x',
  datatype,
  ...(shape ? { shape } : {}),
});

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return `${error.code} ${error.faults?.[0]?.pointer ?? ''}`;
    throw error;
  }
  return 'no error';
}

describe('decodeNested', () => {
  it('reads arrays of any rank and a scalar for rank 0', () => {
    expect(
      decodeNested(
        [
          [1, 2],
          [3, 4],
        ],
        spec('FP32', [-1, 2]),
        '/x',
      ),
    ).toEqual({
      name: 'x',
      datatype: 'FP32',
      shape: [2, 2],
      data: Float32Array.of(1, 2, 3, 4),
    });
    expect(decodeNested(7, spec('INT32', []), '/x')).toMatchObject({ shape: [], data: Int32Array.of(7) });
    expect(decodeNested([[['a']]], spec('BYTES'), '/x')).toMatchObject({ shape: [1, 1, 1], data: ['a'] });
    expect(decodeNested([], spec('FP32', [-1, 4]), '/x')).toMatchObject({ shape: [0, 4] });
    expect(decodeNested([true, false, 1], spec('BOOL', [3]), '/x').data).toEqual(Uint8Array.of(1, 0, 1));
  });

  it('reads 64-bit integers from numbers and strings with all their digits', () => {
    const tensor = decodeNested(['9223372036854775807', -1, '-9223372036854775808'], spec('INT64', [-1]), '/x');
    expect(tensor.data).toEqual(BigInt64Array.of(9223372036854775807n, -1n, -9223372036854775808n));
    expect(encodeNested(tensor)).toBe('[9223372036854775807,-1,-9223372036854775808]');
  });

  it.each([
    ['a string for a number', ['a'], spec('FP32', [1]), 'input_type_mismatch /x/0'],
    ['a number for a string', [1], spec('BYTES', [1]), 'input_type_mismatch /x/0'],
    ['a string with a zero in it', ['a\0b'], spec('BYTES', [1]), 'input_not_allowed /x/0'],
    ['half a character', ['\ud83d'], spec('BYTES', [1]), 'input_not_allowed /x/0'],
    ['infinity', [Infinity], spec('FP64', [1]), 'non_finite_input /x/0'],
    ['what FP32 cannot hold', [1e39], spec('FP32', [1]), 'input_out_of_range /x/0'],
    ['what FP16 cannot hold', [70000], spec('FP16', [1]), 'input_out_of_range /x/0'],
    ['a fraction for an integer', [1.5], spec('INT32', [1]), 'input_type_mismatch /x/0'],
    ['an integer that does not fit', [256], spec('UINT8', [1]), 'input_out_of_range /x/0'],
    ['an inexact 64-bit number', [2 ** 53], spec('INT64', [1]), 'input_type_mismatch /x/0'],
    ['a 64-bit string that does not fit', ['18446744073709551616'], spec('UINT64', [1]), 'input_out_of_range /x/0'],
    ['infinity for an integer', [Infinity], spec('INT64', [1]), 'non_finite_input /x/0'],
    ['null for an integer', [null], spec('INT32', [1]), 'input_missing /x/0'],
    ['a wrong boolean', ['yes'], spec('BOOL', [1]), 'input_type_mismatch /x/0'],
    ['a missing dimension', [1, 2], spec('FP32', [-1, 2]), 'input_shape_mismatch /x'],
    ['a wrong dimension', [[1, 2, 3]], spec('FP32', [-1, 2]), 'input_shape_mismatch /x'],
    ['ragged rows', [[1, 2], [3]], spec('FP32', [-1, 2]), 'input_shape_mismatch /x/1'],
    ['an object', { a: 1 }, spec('FP32', [-1]), 'input_shape_mismatch /x'],
    ['an array where an element belongs', [[1], [[2]]], spec('FP32', [-1, 1]), 'input_shape_mismatch /x/1/0'],
  ])('refuses %s with a pointer', (_, value, what, expected) => {
    expect(codeOf(() => decodeNested(value, what, '/x'))).toBe(expected);
  });

  it('takes null for NaN only in columns that are nullable', () => {
    const options = { nullable: (column: number) => column === 1 };
    expect(decodeNested([[1, null]], spec('FP32', [-1, 2]), '/x', options).data).toEqual(Float32Array.of(1, NaN));
    expect(codeOf(() => decodeNested([[null, 1]], spec('FP32', [-1, 2]), '/x', options))).toBe('input_missing /x/0/0');
    expect(numberAt(decodeNested([null], spec('FP16', [1]), '/x'), 0)).toBeNaN();
  });

  it('reads infinities only where outputs are read', () => {
    expect(decodeNested(['-Infinity', 'Infinity'], spec('FP32', [2]), '/x', { infinities: true }).data).toEqual(
      Float32Array.of(-Infinity, Infinity),
    );
    expect(codeOf(() => decodeNested(['Infinity'], spec('FP32', [1]), '/x'))).toBe('input_type_mismatch /x/0');
  });

  it('refuses more elements or dimensions than the limits', () => {
    expect(codeOf(() => decodeNested([1, 2, 3], spec('FP32', [-1]), '/x', { maxElements: 2 }))).toBe(
      'batch_too_large /x',
    );
    const deep = Array.from({ length: 40 }).reduce<unknown>((inner) => [inner], 1);
    expect(codeOf(() => decodeNested(deep, spec('FP32'), '/x'))).toBe('input_shape_mismatch /x');
  });
});

describe('encodeNested', () => {
  it('writes what JSON has no number for', () => {
    const tensor = {
      name: 'x',
      datatype: 'FP32' as const,
      shape: [2, 2],
      data: Float32Array.of(NaN, Infinity, -Infinity, 0.5),
    };
    expect(encodeNested(tensor)).toBe('[[null,"Infinity"],["-Infinity",0.5]]');
  });

  it('writes strings, booleans, halves and empty shapes', () => {
    expect(encodeNested({ name: 'x', datatype: 'BYTES', shape: [2], data: ['a"b', '\u2028'] })).toBe(
      JSON.stringify(['a"b', '\u2028']),
    );
    expect(encodeNested({ name: 'x', datatype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) })).toBe('[true,false]');
    expect(encodeNested({ name: 'x', datatype: 'FP16', shape: [], data: Uint16Array.of(0x3c00) })).toBe('1');
    expect(encodeNested({ name: 'x', datatype: 'FP32', shape: [0, 3], data: new Float32Array(0) })).toBe('[]');
  });
});

describe('float16', () => {
  it('returns every half from its number', () => {
    for (let half = 0; half <= 0xffff; half++) {
      const value = float16ToNumber(half);
      if (Number.isNaN(value)) continue;
      expect(numberToFloat16(value)).toBe(half);
    }
  });

  it('rounds to the nearest, ties to even, and overflows to infinity', () => {
    expect(numberToFloat16(1 + 2 ** -11)).toBe(0x3c00);
    expect(numberToFloat16(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(numberToFloat16(65520)).toBe(0x7c00);
    expect(numberToFloat16(-1e-30)).toBe(0x8000);
    expect(float16ToNumber(numberToFloat16(NaN))).toBeNaN();
  });
});

describe('datatypes', () => {
  it('have arrays and element sizes', () => {
    expect(DATATYPES.every(isDatatype)).toBe(true);
    expect(isDatatype('FP8')).toBe(false);
    expect(DATATYPES.map((datatype) => allocate(datatype, 2).length)).toEqual(DATATYPES.map(() => 2));
    expect([elementBytes('FP16'), elementBytes('INT64'), elementBytes('BYTES')]).toEqual([2, 8, undefined]);
  });

  it('count elements without overflowing', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([2, 0, 5])).toBe(0);
    expect(elementCount([2 ** 40, 2 ** 40])).toBeNaN();
    expect(elementCount([-1, 3])).toBeNaN();
  });
});
