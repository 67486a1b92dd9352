import { DomainError } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import { compileDecision, UNKNOWN_TASK, type DecisionSource } from './decision';

const labels = (...values: number[]): Tensor => ({
  name: 'label',
  datatype: 'INT64',
  shape: [values.length],
  data: BigInt64Array.from(values.map(BigInt)),
});
const floats = (name: string, columns: number, ...values: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [values.length / columns, columns],
  data: Float32Array.from(values),
});
const outputs: DecisionSource['outputs'] = [
  { name: 'label', datatype: 'INT64', shape: [-1] },
  { name: 'probabilities', datatype: 'FP32', shape: [-1, 3] },
];
const signal: DecisionSource = {
  task: 'classification',
  outputs,
  classes: ['SELL', 'HOLD', 'BUY'],
  decision: { field: 'signal', labelOutput: 'label', probabilityOutput: 'probabilities' },
};

const read = (source: DecisionSource, tensors: Tensor[], row = 0, rows = 1) =>
  JSON.parse(compileDecision(source).read(tensors, row, rows).json) as object;

describe('compileDecision', () => {
  it('names the class of each row of a batch, with its own probability', () => {
    const tensors = [labels(1, 2), floats('probabilities', 3, 0.25, 0.5, 0.25, 0.125, 0.125, 0.75)];
    expect(read(signal, tensors, 0, 2)).toEqual({ signal: 'HOLD', confidence: 0.5, probability: 0.5 });
    expect(read(signal, tensors, 1, 2)).toEqual({ signal: 'BUY', confidence: 0.75, probability: 0.75 });
    expect(compileDecision(signal).read(tensors, 1, 2).label).toBe('BUY');
  });

  it('lets the threshold decide in binary models, also when the positive class comes first', () => {
    const binary: DecisionSource = {
      task: 'classification',
      outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 2] }],
      classes: ['malignant', 'benign'],
      decision: { probabilityOutput: 'probabilities', positiveClass: 'malignant', threshold: 0.3 },
    };
    expect(read(binary, [floats('probabilities', 2, 0.375, 0.625)])).toEqual({
      label: 'malignant',
      confidence: 0.375,
      probability: 0.375,
    });
    expect(read(binary, [floats('probabilities', 2, 0.25, 0.75)])).toMatchObject({
      label: 'benign',
      probability: 0.75,
    });
  });

  it('takes one column for the probability of the positive class, and logits through softmax or the logistic function', () => {
    const one = {
      task: 'classification',
      outputs: [{ name: 'p', datatype: 'FP32' as const, shape: [-1, 1] }],
      classes: ['no', 'yes'],
    };
    expect(read({ ...one, decision: { probabilityOutput: 'p' } }, [floats('p', 1, 0.75)])).toMatchObject({
      label: 'yes',
      probability: 0.75,
    });
    expect(read({ ...one, decision: { logitOutput: 'p' } }, [floats('p', 1, 0)])).toMatchObject({ probability: 0.5 });
    const logits = {
      task: 'classification',
      outputs: [{ name: 'l', datatype: 'FP32' as const, shape: [-1, 2] }],
      decision: { logitOutput: 'l' },
    };
    expect(read(logits, [floats('l', 2, 1000, 1000)])).toEqual({ label: 0, confidence: 0.5, probability: 0.5 });
  });

  it('keeps labels of the model: words, and numbers that name or count a class', () => {
    const words: Tensor = { name: 'label', datatype: 'BYTES', shape: [1], data: ['BUY'] };
    expect(read(signal, [words, floats('probabilities', 3, 0.25, 0.25, 0.5)])).toMatchObject({
      signal: 'BUY',
      probability: 0.5,
    });
    expect(read({ ...signal, classes: [3, 5, 7] }, [labels(5), floats('probabilities', 3, 0, 1, 0)])).toMatchObject({
      signal: 5,
      probability: 1,
    });
    const unlisted: DecisionSource = { task: 'classification', outputs };
    expect(read(unlisted, [labels(42), floats('probabilities', 3, 0.25, 0.5, 0.25)])).toEqual({
      label: 42,
      confidence: 0.5,
      probability: 0.5,
    });
  });

  it('keeps the digits of a label that no double holds', () => {
    const ids: Tensor = { name: 'label', datatype: 'INT64', shape: [1], data: BigInt64Array.of(2n ** 62n + 1n) };
    const named = { ...signal, classes: [1, '4611686018427387905', 3] };
    expect(read(named, [ids, floats('probabilities', 3, 0.1, 0.2, 0.7)])).toMatchObject({
      signal: '4611686018427387905',
      probability: expect.closeTo(0.2, 5),
    });
  });

  it('answers probabilities under the names of classes that are numbers', () => {
    const all = { ...signal, classes: [3, 5, 7], decision: { ...signal.decision, probabilities: true } };
    expect(read(all, [labels(5), floats('probabilities', 3, 0.25, 0.5, 0.25)])).toMatchObject({
      signal: 5,
      probabilities: { 3: 0.25, 5: 0.5, 7: 0.25 },
    });
  });

  it('answers all probabilities when the manifest asks', () => {
    const all = { ...signal, decision: { ...signal.decision, probabilities: true } };
    expect(read(all, [labels(1), floats('probabilities', 3, 0.25, 0.5, 0.25)])).toMatchObject({
      probabilities: { SELL: 0.25, HOLD: 0.5, BUY: 0.25 },
    });
  });

  it('answers the value of a regression, also of a bare file with a single output', () => {
    const single = [{ name: 'variable', datatype: 'FP32' as const, shape: [-1, 1] }];
    const tensors = [floats('variable', 1, 1.5, 2.5)];
    expect(read({ task: 'regression', outputs: single }, tensors, 1, 2)).toEqual({ value: 2.5 });
    expect(read({ task: UNKNOWN_TASK, outputs: single }, tensors, 0, 2)).toEqual({ value: 1.5 });
    expect(read({ task: 'generic', outputs: single, decision: { scoreOutput: 'variable' } }, tensors, 0, 2)).toEqual({
      score: 1.5,
    });
    expect(compileDecision({ task: 'regression', outputs: single }).read(tensors, 0, 2).value).toBe(1.5);
  });

  it('answers all outputs of a row for everything else', () => {
    const source: DecisionSource = { task: 'generic', outputs };
    expect(read(source, [labels(1, 2), floats('probabilities', 3, 1, 2, 3, 4, 5, NaN)], 1, 2)).toEqual({
      outputs: { label: 2, probabilities: [4, 5, null] },
    });
    const words: Tensor = { name: 'w', datatype: 'BYTES', shape: [2, 1], data: ['a', 'b'] };
    expect(read(source, [words, floats('whole', 1, 1)], 1, 2)).toEqual({ outputs: { w: ['b'], whole: [[1]] } });
    expect(read(source, [words], 0, 0)).toEqual({ outputs: { w: [['a'], ['b']] } });
  });

  it('refuses predictions that are not finite', () => {
    const invalid = (work: () => unknown) => {
      expect(work).toThrow(DomainError);
      expect(work).toThrow(/not a finite number/);
    };
    invalid(() => read(signal, [labels(1), floats('probabilities', 3, NaN, 0, 0)]));
    invalid(() =>
      read({ task: 'regression', outputs: [{ name: 'v', datatype: 'FP32', shape: [-1] }] }, [floats('v', 1, Infinity)]),
    );
  });

  it('blames us when the model lacks an output that it declares', () => {
    expect(() => read(signal, [labels(1)])).toThrow(expect.objectContaining({ code: 'internal_error' }));
  });
});
