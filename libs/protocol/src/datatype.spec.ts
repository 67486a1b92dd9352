import { allocate, DATATYPES, TYPED_ARRAYS, type NumericTensorData } from './datatype';

describe('allocate', () => {
  it('gives each array elements of its own, zero, whatever was written into those before', () => {
    for (const datatype of DATATYPES) {
      if (datatype === 'BYTES') continue;
      for (const count of [0, 1, 3, 30, 255, 4096]) {
        const data = allocate(datatype, count) as NumericTensorData;
        const after = allocate(datatype, count) as NumericTensorData;
        expect(data).toBeInstanceOf(TYPED_ARRAYS[datatype]);
        expect(data).toHaveLength(count);
        expect(data.every((value) => Number(value) === 0)).toBe(true);
        data.fill((datatype.endsWith('INT64') ? 7n : 7) as never);
        expect(after.every((value) => Number(value) === 0)).toBe(true);
      }
    }
  });

  it('stays correct over more small arrays than share one piece of memory', () => {
    const rows = Array.from({ length: 2000 }, (_, row) => (allocate('FP32', 30) as Float32Array).fill(row));
    expect(rows.every((data, row) => data.every((value) => value === row))).toBe(true);
  });

  it('gives empty strings for BYTES', () => {
    expect(allocate('BYTES', 2)).toEqual(['', '']);
  });
});
