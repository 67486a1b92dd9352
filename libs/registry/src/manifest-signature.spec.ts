import type { ModelSignature } from '@sibyl/protocol';
import type { DomainError } from '@sibyl/kernel';
import { readManifest } from './manifest-reader';
import { checkManifest, observedFaults, signatureFaults } from './manifest-signature';

const SIGNATURE: ModelSignature = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [
    { name: 'label', datatype: 'INT64', shape: [1] },
    { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
  ],
};
const TEXT: ModelSignature = { inputs: [{ name: 'text', datatype: 'BYTES' }], outputs: SIGNATURE.outputs };

const manifest = (members: Record<string, unknown>): ReturnType<typeof readManifest> =>
  readManifest(Buffer.from(JSON.stringify({ name: 'm', version: '1', ...members })), {}, 40);
const faults = (members: Record<string, unknown>, signature = SIGNATURE): string[] =>
  signatureFaults(manifest(members), signature).map(({ pointer }) => pointer.replace('/sibyl.json', ''));
const features = { name: 'features', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] };

describe('a manifest beside its file', () => {
  it('agrees when names, datatypes and columns do', () => {
    const decision = {
      label_output: 'label',
      probability_output: 'probabilities',
      positive_class: 'no',
      threshold: 0.5,
    };
    const outputs = [{ name: 'label', datatype: 'INT64', shape: [-1] }];
    expect(
      faults({ inputs: [features], features: [{ name: 'a' }], outputs, classes: ['no', 'yes'], decision }),
    ).toEqual([]);
    expect(faults({})).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['an input that is not there', { inputs: [{ name: 'x' }] }, ['/inputs/0/name']],
    ['an output that is not there', { outputs: [{ name: 'x' }] }, ['/outputs/0/name']],
    ['another datatype', { inputs: [{ name: 'features', datatype: 'FP64' }] }, ['/inputs/0/datatype']],
    ['another width', { inputs: [{ name: 'features', shape: [-1, 3] }] }, ['/inputs/0/shape']],
    ['another rank', { inputs: [{ name: 'features', shape: [-1, 2, 1] }] }, ['/inputs/0/shape']],
    ['any width where the file has one', { inputs: [{ name: 'features', shape: [-1, -1] }] }, ['/inputs/0/shape']],
    ['columns of another number', { inputs: [{ name: 'features', columns: ['a'] }] }, ['/inputs/0/columns']],
    ['a feature that is no column', { inputs: [features], features: [{ name: 'c' }] }, ['/features/0/name']],
    [
      'a text feature in a number column',
      { inputs: [features], features: [{ name: 'a', datatype: 'BYTES' }] },
      ['/features/0/datatype'],
    ],
    [
      'defaults that the input cannot hold',
      {
        inputs: [features],
        features: [
          { name: 'a', datatype: 'FP32', default: 1e300 },
          { name: 'b', default: 'none' },
        ],
      },
      ['/features/0/default', '/features/1/default'],
    ],
    [
      'a list of defaults with one that the input cannot hold',
      { inputs: [features], features: [{ name: 'a', datatype: 'FP64', default: [1, [3.5e38]] }] },
      ['/features/0/default'],
    ],
    [
      'a decision by outputs that are not there',
      { decision: { label_output: 'x', score_output: 'y' } },
      ['/decision/label_output', '/decision/score_output'],
    ],
    [
      'a positive class that is no class',
      { classes: ['a', 'b'], decision: { positive_class: 'c' } },
      ['/decision/positive_class'],
    ],
    [
      'classes that are more than the columns',
      {
        classes: ['a', 'b', 'c'],
        outputs: [{ name: 'probabilities', shape: [-1, 2] }],
        decision: { probability_output: 'probabilities' },
      },
      ['/classes'],
    ],
  ])('is refused for %s', (_, members, pointers) => {
    expect(faults(members)).toEqual(pointers);
    expect(() => checkManifest(manifest(members), SIGNATURE)).toThrow(
      expect.objectContaining({ code: 'manifest_mismatch' }) as DomainError,
    );
  });

  it('is refused for one column name in two inputs, which a request could not tell apart', () => {
    const two: ModelSignature = {
      inputs: [...SIGNATURE.inputs, { name: 'more', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [],
    };
    expect(faults({ inputs: [features, { name: 'more', columns: ['a'] }] }, two)).toEqual(['/inputs/1/columns']);
  });

  it('is not held to output shapes that converters declare too narrow', () => {
    expect(faults({ outputs: [{ name: 'label', datatype: 'INT64', shape: [-1] }] })).toEqual([]);
    expect(faults({ outputs: [{ name: 'label', datatype: 'INT64', shape: [-1, 1] }] })).toEqual([]);
  });

  it('may name an input itself as a feature, and a text that becomes tensors elsewhere', () => {
    expect(faults({ features: [{ name: 'text', datatype: 'BYTES' }] }, TEXT)).toEqual([]);
    expect(faults({ task: 'embedding', features: [{ name: 'prompt', datatype: 'BYTES' }] })).toEqual([]);
    expect(faults({ inputs: [{ name: 'text', shape: [-1, 1], columns: ['text'] }] }, TEXT)).toEqual([]);
  });

  it('may have two classes for one column of scores', () => {
    const scores = {
      outputs: [{ name: 'probabilities', shape: [-1, 1] }],
      decision: { logit_output: 'probabilities' },
    };
    expect(faults({ ...scores, classes: ['a', 'b'] })).toEqual([]);
    expect(faults({ ...scores, classes: ['a', 'b', 'c'] })).toEqual(['/classes']);
  });

  it('lists outputs that a run showed to be otherwise', () => {
    const checked = manifest({
      outputs: [
        { name: 'label', shape: [-1] },
        { name: 'probabilities', shape: [-1, 3] },
        { name: 'unseen', shape: [1] },
      ],
      classes: ['a', 'b', 'c'],
      decision: { probability_output: 'probabilities' },
    });
    const observed = [
      { name: 'label', datatype: 'INT64', shape: [5] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
    ] as const;
    expect(observedFaults(checked, observed).map(({ pointer }) => pointer)).toEqual([
      '/sibyl.json/outputs/1/shape',
      '/sibyl.json/classes',
    ]);
  });
});
