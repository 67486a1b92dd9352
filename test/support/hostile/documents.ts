import { classifierModel, linearModel } from '@sibyl/onnx/testing';
import { json, modelPackage } from '../model-packages';
import { hostileFiles, type HostileUpload, type Refusal } from './hostile-package';

type Document = Record<string, unknown>;

/** Two columns `features`, answered by `label` and by `probabilities` of two classes. */
const classifier = (): Buffer =>
  classifierModel({
    weights: [
      [1, 2],
      [3, 4],
    ],
    bias: [0, 1],
  });
/** Two columns `features`, answered by `variable`. */
const regression = (): Buffer => linearModel({ weights: [[2, -1]], bias: [0.5] });

function mismatch(pointer: string, says: string): Refusal {
  return { code: 'manifest_mismatch', pointer: `/sibyl.json${pointer}`, says };
}

function faulty(pointer: string, says: string): Refusal {
  return { code: 'model_rejected', pointer: `/sibyl.json${pointer}`, says };
}

const FEATURES = { name: 'features', datatype: 'FP32', shape: [-1, 2] };
const COLUMNS = { ...FEATURES, columns: ['a', 'b'] };
const CLASSES = {
  decision: { probability_output: 'probabilities' },
  outputs: [{ name: 'probabilities', shape: [-1, 2] }],
};

/** Manifests that are good JSON. */
const MANIFESTS: readonly (readonly [name: string, attack: string, members: Document, refused: Refusal])[] = [
  ['other-name', 'a manifest of another model', { name: 'momentum' }, mismatch('/name', 'momentum')],
  [
    'unknown-input',
    'an input that the file does not have',
    { inputs: [{ name: 'elsewhere' }] },
    mismatch('/inputs/0/name', 'elsewhere'),
  ],
  [
    'unknown-output',
    'an output that the file does not have',
    { outputs: [{ name: 'elsewhere' }] },
    mismatch('/outputs/0/name', 'elsewhere'),
  ],
  [
    'other-datatype',
    'texts where the file has numbers',
    { inputs: [{ ...FEATURES, datatype: 'BYTES' }] },
    mismatch('/inputs/0/datatype', 'BYTES'),
  ],
  [
    'other-shape',
    'more columns than the file has',
    { inputs: [{ ...FEATURES, shape: [-1, 3] }] },
    mismatch('/inputs/0/shape', '[-1,3]'),
  ],
  [
    'more-columns',
    'more names than columns',
    { inputs: [{ ...FEATURES, shape: undefined, columns: ['a', 'b', 'c'] }] },
    mismatch('/inputs/0/columns', '2 names'),
  ],
  [
    'more-features',
    'more features than columns',
    { inputs: [COLUMNS], features: ['a', 'b', 'c'].map((name) => ({ name })) },
    mismatch('/features/2/name', 'c'),
  ],
  ['more-classes', 'three classes of two', { ...CLASSES, classes: ['a', 'b', 'c'] }, mismatch('/classes', '2 classes')],
  [
    'other-decision',
    'a decision by an output that is not there',
    { decision: { label_output: 'gone' } },
    mismatch('/decision/label_output', 'gone'),
  ],
  ['same-classes', 'one class twice', { classes: ['a', 'a'] }, faulty('/classes', 'distinct')],
  [
    'same-columns',
    'one column twice',
    { inputs: [{ ...FEATURES, columns: ['a', 'a'] }] },
    faulty('/inputs/0/columns/1', 'not in the list yet'),
  ],
  [
    'proto-column',
    'a column called __proto__',
    { inputs: [{ ...FEATURES, columns: ['a', '__proto__'] }] },
    faulty('/inputs/0/columns/1', '__proto__'),
  ],
  [
    'proto-feature',
    'a feature called __proto__',
    { features: [{ name: '__proto__' }] },
    faulty('/features/0/name', '__proto__'),
  ],
  ['proto-class', 'a class called __proto__', { classes: ['a', '__proto__'] }, faulty('/classes', 'distinct')],
  [
    'escape-column',
    'a column that writes to terminals',
    { inputs: [{ ...FEATURES, columns: ['a', '\u001b[2J'] }] },
    faulty('/inputs/0/columns/1', 'printable'),
  ],
  [
    'upside-down-range',
    'a range without numbers',
    { inputs: [COLUMNS], features: [{ name: 'a', min: 2, max: 1 }] },
    faulty('/features/0/min', 'at most the max'),
  ],
  [
    'climbing-native',
    'files of the manifest outside the package',
    { native: { format: 'x', files: ['../../secret'] } },
    faulty('/native/files', 'relative paths'),
  ],
  ['absent-file', 'files that did not come', { files: ['weights.bin'] }, mismatch('/files', 'weights.bin')],
  [
    'million-features',
    'more features than any model has',
    { features: Array.from({ length: 20_000 }, (_, i) => ({ name: `f${i}` })) },
    faulty('/features', 'at most 16384'),
  ],
  [
    'other-types',
    'members of another type',
    { metrics: [1], inputs: 'x', runtime: 1 },
    faulty('/metrics', 'an object'),
  ],
];

/** Manifests byte by byte, with `name` in them. */
const TEXTS: readonly (readonly [
  name: string,
  attack: string,
  text: (name: string) => string | Buffer,
  refused: Refusal,
])[] = [
  [
    'infinite-number',
    'a number past what JSON can be written back from',
    (name) => `{"name":"${name}","version":"1","metrics":{"accuracy":1e400}}`,
    faulty('', 'finite'),
  ],
  [
    'infinite-bound',
    'the same as a bound',
    (name) => `{"name":"${name}","version":"1","features":[{"name":"a","max":1e400}]}`,
    faulty('', 'finite'),
  ],
  [
    'nan-number',
    'a number that JSON does not have',
    (name) => `{"name":"${name}","version":"1","metrics":{"accuracy":NaN}}`,
    faulty('', 'not valid JSON'),
  ],
  [
    'duplicate-name',
    'a second name behind the first',
    (name) => `{"name":"${name}","version":"1","name":"momentum"}`,
    mismatch('/name', 'momentum'),
  ],
  [
    'deep-manifest',
    'a hundred thousand brackets',
    (name) => `{"name":"${name}","version":"1","x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    faulty('', 'nested deeper'),
  ],
  ['list-manifest', 'a list', () => '[]', faulty('', 'not a JSON object')],
  [
    'latin-manifest',
    'bytes that are no text',
    (name) => Buffer.from(`{"name":"${name}","version":"1","description":"\xff"}`, 'latin1'),
    faulty('', 'UTF-8'),
  ],
  [
    'huge-manifest',
    'two megabytes',
    (name) => `{"name":"${name}","version":"1","x":"${'x'.repeat(2 ** 21)}"}`,
    faulty('', 'artifact limit'),
  ],
  [
    'proto-manifest',
    'a prototype with a name in it',
    () =>
      '{"version":"1","__proto__":{"version":"2"},"constructor":{"name":"x"},"inputs":[{"__proto__":{"name":"features"}}]}',
    faulty('/inputs/0/name', 'printable characters'),
  ],
];

const SAMPLE = { inputs: { features: [[1, 2]] }, outputs: { variable: [[0.5]] } };
const raw = (file: string): Document => ({
  inputs: { features: { file, datatype: 'FP32', shape: [1, 2] } },
  outputs: {},
});
const inSample = (pointer: string, says: string, code: Refusal['code'] = 'model_rejected'): Refusal => ({
  code,
  pointer: `/golden.json/samples/0${pointer}`,
  says,
});

const SAMPLES: readonly (readonly [name: string, attack: string, sample: Document, refused: Refusal])[] = [
  [
    'golden-climbing',
    'samples from outside the package',
    raw('../../secret.bin'),
    inSample('/inputs/features/file', 'relative path'),
  ],
  ['golden-absolute', 'samples from the root', raw('/etc/passwd'), inSample('/inputs/features/file', 'relative path')],
  ['golden-absent', 'samples that did not come', raw('raw.bin'), inSample('/inputs/features/file', 'no such file')],
  [
    'golden-input',
    'samples of another model',
    { ...SAMPLE, inputs: { other: [[1, 2]] } },
    inSample('/inputs/other', 'the name of an input'),
  ],
  [
    'golden-output',
    'answers of another model',
    { ...SAMPLE, outputs: { other: [[1]] } },
    inSample('/outputs/other', 'the name of an output'),
  ],
  [
    'golden-shape',
    'rows of another width',
    { ...SAMPLE, inputs: { features: [[1, 2, 3]] } },
    inSample('/inputs/features', 'shape [-1,2]'),
  ],
  [
    'golden-ragged',
    'rows of two widths',
    { ...SAMPLE, inputs: { features: [[1, 2], [3]] } },
    inSample('/inputs/features/1', 'where 2 are expected'),
  ],
  [
    'golden-type',
    'texts for numbers',
    { ...SAMPLE, inputs: { features: [['a', 'b']] } },
    inSample('/inputs/features/0/0', 'a number'),
  ],
  [
    'golden-range',
    'values that the manifest forbids',
    { ...SAMPLE, inputs: { features: [[1e6, 2]] } },
    inSample('/inputs/features/0/0', '100'),
  ],
  [
    'golden-raw-shape',
    'a raw file of exabytes',
    { inputs: { features: { file: 'raw.bin', datatype: 'FP32', shape: [2 ** 40, 2] } }, outputs: {} },
    inSample('/inputs/features/file', 'bytes for this shape'),
  ],
];

function withManifest(sibyl: Buffer): ReadonlyMap<string, Buffer> {
  return new Map([
    ['model.onnx', classifier()],
    ['sibyl.json', sibyl],
  ]);
}

function withSample(name: string, sample: Document): ReadonlyMap<string, Buffer> {
  const manifest = {
    name,
    version: '1',
    inputs: [COLUMNS],
    features: [{ name: 'a', min: -100, max: 100 }, { name: 'b' }],
  };
  return modelPackage(regression(), manifest, { 'golden.json': json({ samples: [sample] }) });
}

export const HOSTILE_DOCUMENTS: readonly HostileUpload[] = [
  ...MANIFESTS.map(([name, attack, members, refused]) =>
    hostileFiles({ name, attack, refused }, () => withManifest(json({ name, version: '1', ...members }))),
  ),
  ...TEXTS.map(([name, attack, text, refused]) =>
    hostileFiles({ name, attack, refused }, () => withManifest(Buffer.from(text(name)))),
  ),
  ...SAMPLES.map(([name, attack, sample, refused]) =>
    hostileFiles({ name, attack, refused }, () => withSample(name, sample)),
  ),
];

/** Samples that a good model does not answer as they say: refused only once it has run. */
export const CONTRADICTED: readonly HostileUpload[] = [
  {
    ...hostileFiles(
      {
        name: 'golden-answer',
        attack: 'answers that the model does not give',
        refused: inSample('/outputs/variable/0', '-12'),
      },
      () => withSample('golden-answer', { ...SAMPLE, outputs: { variable: [[-12]] } }),
    ),
    onlyByTrial: true,
  },
];
