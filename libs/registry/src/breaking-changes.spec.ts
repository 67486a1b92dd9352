import type { ModelSignature } from '@sibyl/protocol';
import { breakingChanges } from './breaking-changes';
import { callerContract } from './caller-contract';
import { storedManifest } from './manifest-reader';

type Document = Record<string, unknown>;

const SIGNATURE: ModelSignature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [
    { name: 'label', datatype: 'INT64', shape: [-1] },
    { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
  ],
};
const A = { name: 'a', datatype: 'INT32', min: 0, max: 10 };
const B = { name: 'b', datatype: 'FP32', nullable: true, default: 1, allowed: [1, 2, 3] };
const DOCUMENT: Document = {
  task: 'classification',
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] }],
  features: [A, B],
  classes: ['no', 'yes'],
  decision: { field: 'verdict', label_output: 'label', probability_output: 'probabilities', probabilities: true },
};

const contractOf = (document: Document, signature = SIGNATURE): ReturnType<typeof callerContract> =>
  callerContract({ manifest: storedManifest({ ...DOCUMENT, ...document }, { name: 'm', version: '1' }), signature });

/** The pointers of what a changed version breaks. */
const broken = (document: Document, signature = SIGNATURE): string[] =>
  breakingChanges(contractOf({}), contractOf(document, signature)).map(({ pointer }) => pointer);

const features = (...changed: Document[]): Document => ({ features: changed });
const inputs = (...shapes: ModelSignature['inputs']): ModelSignature => ({ ...SIGNATURE, inputs: shapes });
const outputs = (...shapes: ModelSignature['outputs']): ModelSignature => ({ ...SIGNATURE, outputs: shapes });
const [LABEL, PROBABILITIES] = SIGNATURE.outputs as [ModelSignature['outputs'][0], ModelSignature['outputs'][0]];
const X = SIGNATURE.inputs[0] as ModelSignature['inputs'][0];
const columns = (...names: string[]): Document => ({
  inputs: [{ name: 'x', shape: [-1, names.length], columns: names }],
});

describe('what callers notice', () => {
  it.each<[string, Document, ModelSignature | undefined, string[]]>([
    [
      'an input that is gone',
      { inputs: [] },
      inputs({ ...X, name: 'y' }),
      ['/inputs/x', '/inputs/y', '/features/a', '/features/b', '/features/y'],
    ],
    ['an input of another datatype', {}, inputs({ ...X, datatype: 'FP64' }), ['/inputs/x/datatype']],
    [
      'an input that must be sent now',
      {},
      inputs(X, { name: 'y', datatype: 'FP32', shape: [-1, 1] }),
      ['/inputs/y', '/features/y'],
    ],
    [
      'a batch that is fixed now',
      { inputs: [{ name: 'x', shape: [1, 2], columns: ['a', 'b'] }] },
      undefined,
      ['/inputs/x/shape'],
    ],
    ['columns in another order', columns('b', 'a'), undefined, ['/inputs/x/columns']],
    [
      'a column more, though a default stands in for it',
      { ...columns('a', 'b', 'c'), ...features(A, B, { name: 'c', default: 0 }) },
      inputs({ ...X, shape: [-1, 3] }),
      ['/inputs/x/shape'],
    ],
    [
      'a feature renamed',
      { ...columns('a', 'c'), ...features(A, { ...B, name: 'c' }) },
      undefined,
      ['/inputs/x/columns', '/features/b'],
    ],
    [
      'a required feature more',
      { ...columns('a', 'b', 'c') },
      inputs({ ...X, shape: [-1, 3] }),
      ['/inputs/x/shape', '/features/c'],
    ],
    ['a narrower datatype', features({ ...A, datatype: 'INT16' }, B), undefined, ['/features/a/datatype']],
    ['whole numbers only', features(A, { ...B, datatype: 'INT64' }), undefined, ['/features/b/datatype']],
    ['a higher minimum', features({ ...A, min: 1 }, B), undefined, ['/features/a/min']],
    ['a lower maximum', features({ ...A, max: 9 }, B), undefined, ['/features/a/max']],
    ['fewer allowed values', features(A, { ...B, allowed: [1, 2] }), undefined, ['/features/b/allowed']],
    ['allowed values where all were', features({ ...A, allowed: [0, 1] }, B), undefined, ['/features/a/allowed']],
    ['null refused', features(A, { ...B, nullable: false }), undefined, ['/features/b/nullable']],
    [
      'a default taken away',
      features(A, { ...B, nullable: false, default: undefined }),
      undefined,
      ['/features/b/default', '/features/b/nullable'],
    ],
    ['an output that is gone', {}, outputs(LABEL), ['/outputs/probabilities']],
    [
      'an output of another datatype',
      {},
      outputs({ ...LABEL, datatype: 'BYTES' }, PROBABILITIES),
      ['/outputs/label/datatype'],
    ],
    ['an output of another rank', {}, outputs({ ...LABEL, shape: [-1, 1] }, PROBABILITIES), ['/outputs/label/shape']],
    ['classes in another order', { classes: ['yes', 'no'] }, undefined, ['/classes']],
    ['a class more', { classes: ['no', 'yes', 'maybe'] }, undefined, ['/classes']],
    ['no classes', { classes: undefined }, undefined, ['/classes']],
    [
      'another member for the label',
      { decision: { ...(DOCUMENT['decision'] as Document), field: 'answer' } },
      undefined,
      ['/decision/field'],
    ],
    [
      'probabilities left out',
      { decision: { ...(DOCUMENT['decision'] as Document), probabilities: false } },
      undefined,
      ['/decision/probabilities'],
    ],
    ['another task', { task: 'regression' }, undefined, ['/task']],
  ])('%s', (_what, document, signature, expected) => {
    expect(broken(document, signature)).toEqual(expected);
  });

  it('says what they rely on and what the version has', () => {
    expect(breakingChanges(contractOf({}), contractOf({ classes: ['yes', 'no'] }))).toEqual([
      { pointer: '/classes', expected: 'no, yes', received: 'yes, no' },
    ]);
  });

  it('is listed up to a limit', () => {
    const names = Array.from({ length: 300 }, (_, i) => `f${i}`);
    const wide = contractOf({ ...columns(...names), features: undefined });
    expect(breakingChanges(wide, contractOf({}))).toHaveLength(100);
  });
});

describe('what callers do not notice', () => {
  it.each<[string, Document, ModelSignature | undefined]>([
    ['nothing changed', {}, undefined],
    ['other metrics, another description', { metrics: { accuracy: 0.9 }, description: 'new' }, undefined],
    ['a wider datatype', features({ ...A, datatype: 'INT64' }, B), undefined],
    ['numbers where whole numbers were', features({ ...A, datatype: 'FP64' }, B), undefined],
    ['wider ranges', features({ ...A, min: -1, max: 100 }, B), undefined],
    ['more allowed values', features(A, { ...B, allowed: [1, 2, 3, 4] }), undefined],
    ['no allowed values to keep to', features(A, { ...B, allowed: undefined }), undefined],
    ['a default where there was none', features({ ...A, default: 1 }, B), undefined],
    ['null taken', features({ ...A, nullable: true }, B), undefined],
    ['another threshold', { decision: { ...(DOCUMENT['decision'] as Document), threshold: 0.7 } }, undefined],
    ['an output more', {}, outputs(LABEL, PROBABILITIES, { name: 'more', datatype: 'FP32', shape: [-1] })],
    ['an output whose size is dynamic', {}, outputs(LABEL, { ...PROBABILITIES, shape: [-1, -1] })],
  ])('%s', (_what, document, signature) => {
    expect(broken(document, signature)).toEqual([]);
  });

  it('a batch of any size where it was fixed', () => {
    const fixed = contractOf({ inputs: [{ name: 'x', shape: [1, 2], columns: ['a', 'b'] }] });
    expect(breakingChanges(fixed, contractOf({}))).toEqual([]);
  });
});
