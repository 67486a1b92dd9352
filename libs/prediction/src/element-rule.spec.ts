import { allocate, elementWriter, type Datatype } from '@sibyl/protocol';
import { compileElementRule, type ValueRange } from './element-rule';

/** What the rule says of a value once it is an element. */
function verdict(datatype: Datatype, range: ValueRange, value: unknown): string {
  const data = allocate(datatype, 1);
  expect(elementWriter(datatype)(data, 0, value)).toBeUndefined();
  return compileElementRule(datatype, range)?.broken(data, 0)?.code ?? 'kept';
}

describe('the rule of a manifest about elements', () => {
  it.each<[Datatype, ValueRange, unknown, string]>([
    ['FP32', { max: 0.7 }, 0.7, 'kept'],
    ['FP32', { min: 0.1 }, 0.1, 'kept'],
    ['FP32', { max: 0.7 }, 0.70001, 'input_out_of_range'],
    ['FP32', { allowed: [0.1, 0.3] }, 0.3, 'kept'],
    ['FP32', { allowed: [0.1, 0.3] }, 0.2, 'input_not_allowed'],
    ['FP16', { min: -5, max: 5 }, -4.5, 'kept'],
    ['FP16', { min: -5, max: 5 }, 5.5, 'input_out_of_range'],
    ['FP16', { allowed: [0.1] }, 0.1, 'kept'],
    ['INT64', { max: 9e15 }, '9000000000000001', 'input_out_of_range'],
    ['INT64', { max: 9e15 }, '8999999999999999', 'kept'],
    ['INT64', { allowed: [5] }, '5', 'kept'],
    ['INT64', { allowed: [5] }, 6, 'input_not_allowed'],
    ['BOOL', { allowed: [true] }, true, 'kept'],
    ['BOOL', { allowed: [true] }, false, 'input_not_allowed'],
    ['BYTES', { allowed: ['red'] }, 'red', 'kept'],
    ['BYTES', { allowed: ['red'] }, 'blue', 'input_not_allowed'],
  ])('%s %j: %j is %s', (datatype, range, value, expected) => {
    expect(verdict(datatype, range, value)).toBe(expected);
  });

  it.each<[ValueRange, string]>([
    [{ min: 1 }, 'a number from 1'],
    [{ max: 1 }, 'a number up to 1'],
    [{ min: 1, max: 2 }, 'a number from 1 to 2'],
    [{ allowed: [4, 5] }, 'one of 4, 5'],
  ])('%j says what would have been right', (range, expected) => {
    expect(
      compileElementRule('FP64', range)?.broken(Float64Array.of(1e9 * (range.max === undefined ? -1 : 1)), 0)?.expected,
    ).toBe(expected);
  });

  it('asks nothing of missing values, nor where the manifest says nothing', () => {
    expect(compileElementRule('FP32', { min: 1, allowed: [1] })?.broken(Float32Array.of(NaN), 0)).toBeUndefined();
    expect(compileElementRule('FP32', {})).toBeUndefined();
  });
});
