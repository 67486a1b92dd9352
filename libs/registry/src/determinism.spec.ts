import type { Tensor } from '@sibyl/protocol';
import { repeatProbes, unlikeOutputs } from './determinism';

const floats = (...data: number[]): Tensor => {
  return { name: 'y', datatype: 'FP32', shape: [data.length], data: Float32Array.from(data) };
};
const texts = (...data: string[]): Tensor => ({ name: 'y', datatype: 'BYTES', shape: [data.length], data });

describe('two answers to one input', () => {
  it.each([
    ['the same', floats(1, NaN), floats(1, NaN), []],
    ['zeros of two signs', floats(0), floats(-0), ['y']],
    ['the last bit', floats(1), floats(Math.fround(1 + 2 ** -23)), ['y']],
    ['another shape', floats(1, 1), { ...floats(1, 1), shape: [2, 1] }, ['y']],
    ['another datatype', floats(1), { ...floats(1), datatype: 'FP64', data: Float64Array.from([1]) } as Tensor, ['y']],
    ['another name', floats(1), { ...floats(1), name: 'z' }, ['y']],
    ['the same texts', texts('a'), texts('a'), []],
    ['other texts', texts('a'), texts('b'), ['y']],
  ])('of %s', (_, first, second, unlike) => {
    expect(unlikeOutputs([[first]], [[second]])).toEqual(unlike);
  });

  it('are not compared where a run failed', () => {
    expect(unlikeOutputs([[floats(1)]], [undefined])).toBeUndefined();
    expect(unlikeOutputs([undefined, [floats(1)]], [[floats(2)], [floats(1)]])).toEqual([]);
    expect(unlikeOutputs([], [])).toBeUndefined();
  });
});

describe('what is run again', () => {
  const answers = { outputs: [[floats(1)], [floats(2)], [floats(3)]], probes: [[floats(9)]] };

  it('are the first samples', () => {
    const samples = [[floats(10)], [floats(20)], [floats(30)]];
    const { inputs, first } = repeatProbes(samples, [[floats(90)]]);
    expect([inputs, first(answers)]).toEqual([samples.slice(0, 2), answers.outputs.slice(0, 2)]);
  });

  it('is the first probe where there are no samples', () => {
    const { inputs, first } = repeatProbes([], [[floats(90)], [floats(91)]]);
    expect([inputs, first(answers)]).toEqual([[[floats(90)]], answers.probes]);
  });
});
