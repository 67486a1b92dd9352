// Model files for npm run bench:scan: large ones as exporters write them, and such as cost a reader the most for each byte.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
require('../support/load-typescript.cjs');
const { attribute, encodeMessage, node, tensor, value } = require('@sibyl/onnx/testing');
const { HOSTILE_UPLOADS } = require('../support/hostile-packages.ts');

const MIB = 2 ** 20;

/** A model around the bytes of its graph. */
function model(...graph) {
  return encodeMessage('ModelProto', {
    ir_version: 8,
    opset_import: [{ domain: '', version: 17 }],
    graph: Buffer.concat(graph),
  });
}

const graph = (fields) => encodeMessage('GraphProto', fields);
const END = graph({ output: [value('y', 'FP32', [-1])] });

/** `piece` again and again, about so many bytes of it. */
function repeated(piece, bytes) {
  return Buffer.alloc(Math.floor(bytes / piece.length) * piece.length, piece);
}

/** Pieces made one by one, so that each has names of its own. */
function many(count, make) {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** One matrix of FP32 as raw bytes. */
export function denseModel(mib) {
  const side = mib * 256;
  return model(graph({ initializer: [tensor('w', 'FP32', [side, 1024], Buffer.alloc(mib * MIB, 0x3e))] }), END);
}

/** The same as a packed list, as the oldest exporters write it. */
function listedModel(mib) {
  const w = {
    name: 'w',
    data_type: 1,
    dims: [mib * 256, 1024],
    float_data: repeated(Buffer.alloc(4, 0x3e), mib * MIB),
  };
  const list = w.float_data;
  // The encoder would write number by number what is a block of bytes.
  const head = encodeMessage('TensorProto', { ...w, float_data: undefined });
  const field = Buffer.concat([Buffer.from([4 * 8 + 2]), lengthOf(list), list]);
  return model(graph({ initializer: [Buffer.concat([head, field])] }), END);
}

function lengthOf({ length }) {
  const bytes = [];
  for (let rest = length; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}

/** So many trees of 255 nodes, each number a field of its own, as skl2onnx and onnxmltools write them. */
function treesModel(trees) {
  const nodes = trees * 255;
  const ints = (name, each) => attribute(name, { ints: Array.from({ length: nodes }, (_, i) => each(i)) });
  const floats = (name) => attribute(name, { floats: Array.from({ length: nodes }, (_, i) => i / 7) });
  const strings = attribute('nodes_modes', {
    strings: Array.from({ length: nodes }, (_, i) => (i % 2 ? 'LEAF' : 'BRANCH_LEQ')),
  });
  const attributes = [
    ints('nodes_treeids', (i) => Math.floor(i / 255)),
    ints('nodes_nodeids', (i) => i % 255),
    ints('nodes_featureids', (i) => i % 30),
    ints('nodes_truenodeids', (i) => (i % 127) * 2 + 1),
    ints('nodes_falsenodeids', (i) => (i % 127) * 2 + 2),
    ints('nodes_missing_value_tracks_true', () => 0),
    floats('nodes_values'),
    floats('nodes_hitrates'),
    strings,
    floats('target_weights'),
  ];
  // In pieces: an argument for each of so many fields is more than a call takes.
  const body = Buffer.concat([
    encodeMessage('NodeProto', { input: ['x'], output: ['y'], op_type: 'TreeEnsembleRegressor', domain: 'ai.onnx.ml' }),
    ...attributes.map((one) => encodeMessage('NodeProto', { attribute: [encodeAttribute(one)] })),
  ]);
  return model(graph({ node: [body] }), END);
}

function encodeAttribute({ name, type, ...content }) {
  const [field] = Object.keys(content);
  const parts = [];
  const list = content[field];
  for (let from = 0; from < list.length; from += 10_000)
    parts.push(encodeMessage('AttributeProto', { [field]: list.slice(from, from + 10_000) }));
  return Buffer.concat([encodeMessage('AttributeProto', { name, type }), ...parts]);
}

/** What PyTorch exports: a path of modules in each name, a small constant beside each step. */
function smallNodesModel(count) {
  const name = (i) => `/model/layers.${i % 48}/self_attn/rotary/step_${i}`;
  const steps = many(count, (i) => {
    const step = node(
      ['Mul', 'Add', 'Reshape', 'Transpose', 'Gather'][i % 5],
      [`${name(i)}_output_0`, `c${i}`],
      [`${name(i + 1)}_output_0`],
    );
    return graph({ node: [{ ...step, name: name(i) }], initializer: [tensor(`c${i}`, 'INT64', [2], [i, -1])] });
  });
  return model(steps, END);
}

const LARGE_NAMES = Buffer.from('x'.repeat(60));

/** Ordinary files, and large ones. */
export const ORDINARY = [
  ['dense weights', () => denseModel(300)],
  ['weights as lists', () => listedModel(64)],
  ['200 trees', () => treesModel(200)],
  ['2,000 trees', () => treesModel(2_000)],
  ['80,000 small nodes', () => smallNodesModel(80_000)],
];

/** What takes the least bytes for the most work, up to whichever limit ends it. */
const DENSE_IN_WORK = [
  ['empty messages', () => model(repeated(Buffer.from([0x6a, 0x00]), 16 * MIB), END)],
  ['empty nodes', () => model(repeated(Buffer.from([0x0a, 0x00]), 16 * MIB), END)],
  ['empty tensors', () => model(repeated(graph({ initializer: [{ data_type: 1, dims: [0] }] }), 16 * MIB), END)],
  [
    'nodes of one operator each',
    () =>
      model(
        many(150_000, (i) => graph({ node: [node(`O${i}`, ['a', 'b', 'c'], ['d'])] })),
        END,
      ),
  ],
  ['empty attributes', () => model(graph({ node: [repeated(Buffer.from([0x2a, 0x00]), 8 * MIB)] }), END)],
  ['empty texts', () => model(graph({ node: [repeated(Buffer.from([0x0a, 0x00]), 24 * MIB)] }), END)],
  [
    'long names',
    () =>
      model(
        repeated(
          graph({ node: [{ input: [LARGE_NAMES, LARGE_NAMES, LARGE_NAMES], output: [LARGE_NAMES] }] }),
          16 * MIB,
        ),
        END,
      ),
  ],
  [
    'numbers one by one',
    () => model(graph({ node: [{ attribute: [repeated(Buffer.from([0x40, 0x01]), 16 * MIB)] }] }), END),
  ],
  [
    'numbers of ten bytes',
    () =>
      model(
        graph({
          initializer: [
            repeated(Buffer.concat([Buffer.from([0x08]), Buffer.alloc(9, 0x80), Buffer.from([1])]), 16 * MIB),
          ],
        }),
        END,
      ),
  ],
  ['dimensions without end', () => model(graph({ initializer: [repeated(Buffer.from([0x08, 0x01]), 16 * MIB)] }), END)],
  ['fields nobody knows', () => Buffer.concat([model(END), repeated(Buffer.from([0xc0, 0x3e, 0x01]), 8 * MIB)])],
  [
    'metadata',
    () =>
      Buffer.concat([
        model(END),
        many(200_000, (i) => encodeMessage('ModelProto', { metadata_props: [{ key: `k${i}`, value: 'v' }] })),
      ]),
  ],
  [
    'outputs',
    () =>
      model(
        many(100_000, (i) => graph({ value_info: [value(`v${i}`, 'FP32', ['a', 2])] })),
        END,
      ),
  ],
];

/** Every hostile model file of test/support, and those. */
export function hostileFiles() {
  const uploaded = HOSTILE_UPLOADS.flatMap(({ name, parts }) => {
    const part = parts().find(({ file }) => file === 'model.onnx');
    return part === undefined ? [] : [[name, () => Buffer.from(part.content)]];
  });
  return [...uploaded, ...DENSE_IN_WORK];
}
