import { attribute, encodeModel, endlessModel, node, tensor, value, type ModelParts } from '@sibyl/onnx/testing';
import { hostileModel, type HostileUpload } from './hostile-package';

const INPUTS = [value('x', 'FP32', [-1])];
const OUTPUTS = [value('y', 'FP32', [-1])];
const model = (parts: ModelParts) => (): Buffer => encodeModel({ inputs: INPUTS, outputs: OUTPUTS, ...parts });

/** A tensor of so many numbers whose size is computed while the model loads. */
function computedSize(elements: bigint): Buffer {
  return encodeModel({
    nodes: [
      node('Mul', ['a', 'b'], ['size']),
      node('ConstantOfShape', ['size'], ['zeros'], {
        attributes: [attribute('value', { t: tensor('', 'FP32', [1], [1]) })],
      }),
      node('ReduceSum', ['zeros'], ['sum'], { attributes: [attribute('keepdims', { i: 0 })] }),
      node('Add', ['x', 'sum'], ['y']),
    ],
    initializers: [tensor('a', 'INT64', [1], [elements / 1024n]), tensor('b', 'INT64', [1], [1024n])],
    inputs: INPUTS,
    outputs: OUTPUTS,
  });
}

/** One number, repeated as often as the square of another says. */
function computedExpand(): Buffer {
  return encodeModel({
    nodes: [
      node('Mul', ['a', 'a'], ['times']),
      node('Expand', ['start', 'times'], ['long']),
      node('ReduceMax', ['long'], ['top'], { attributes: [attribute('keepdims', { i: 0 })] }),
      node('Add', ['x', 'top'], ['y']),
    ],
    initializers: [tensor('a', 'INT64', [1], [56_756n]), tensor('start', 'FP32', [1], [1])],
    inputs: INPUTS,
    outputs: OUTPUTS,
  });
}

interface Tree {
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly modes: readonly string[];
  readonly column?: number;
  readonly target?: number;
}

/** One tree; ONNX names the children of a node by their numbers, which nobody keeps from being any. */
function treeModel({ left, right, modes, column = 0, target = 0 }: Tree): Buffer {
  const same = (number: number): number[] => modes.map(() => number);
  const ids = modes.map((_, i) => i);
  const leaves = ids.filter((i) => modes[i] === 'LEAF');
  return encodeModel({
    opsets: [
      ['', 17],
      ['ai.onnx.ml', 3],
    ],
    nodes: [
      node('TreeEnsembleRegressor', ['x'], ['y'], {
        domain: 'ai.onnx.ml',
        attributes: [
          attribute('n_targets', { i: 1 }),
          attribute('nodes_treeids', { ints: same(0) }),
          attribute('nodes_nodeids', { ints: ids }),
          attribute('nodes_featureids', { ints: same(column) }),
          attribute('nodes_values', { floats: same(0.5) }),
          attribute('nodes_modes', { strings: modes }),
          attribute('nodes_truenodeids', { ints: left }),
          attribute('nodes_falsenodeids', { ints: right }),
          attribute('target_treeids', { ints: leaves.map(() => 0) }),
          attribute('target_nodeids', { ints: leaves }),
          attribute('target_ids', { ints: leaves.map(() => target) }),
          attribute('target_weights', { floats: leaves.map(() => 1) }),
        ],
      }),
    ],
    inputs: [value('x', 'FP32', [-1, 2])],
    outputs: [value('y', 'FP32', [-1, 1])],
  });
}

const BRANCH = 'BRANCH_LEQ';
const LEAF = 'LEAF';

const LOADS = 'a model that the runtime can load';

const ROWS: readonly (readonly [name: string, attack: string, bytes: () => Buffer, says: string])[] = [
  ['endless-loop', 'a loop of 2^62 rounds', endlessModel, 'still at work'],
  [
    'computed-12-gb',
    'twelve gigabytes, a size that is computed first',
    () => computedSize(3n * 2n ** 30n),
    'at most 400 MiB',
  ],
  ['expanded-12-gb', 'one number, repeated three thousand million times', computedExpand, 'at most 400 MiB'],
  [
    'cyclic-graph',
    'two steps that wait for each other',
    model({ nodes: [node('Add', ['x', 'b'], ['y']), node('Identity', ['y'], ['b'])] }),
    LOADS,
  ],
  [
    'dangling-edge',
    'a step that takes what nobody gives',
    model({ nodes: [node('Add', ['x', 'nothing'], ['y'])] }),
    LOADS,
  ],
  ['dangling-output', 'an output that nobody computes', model({ nodes: [node('Identity', ['x'], ['z'])] }), LOADS],
  [
    'same-node-outputs',
    'two steps that give the same',
    model({ nodes: [node('Relu', ['x'], ['y']), node('Neg', ['x'], ['y'])] }),
    LOADS,
  ],
  ['unknown-operator', 'an operator that does not exist', model({ nodes: [node('Evil', ['x'], ['y'])] }), LOADS],
  [
    'future-opset',
    'operators of the year 3000',
    model({ opsets: [['', 2 ** 31 - 1]], nodes: [node('Relu', ['x'], ['y'])] }),
    LOADS,
  ],
  [
    'types-do-not-fit',
    'a sum of numbers and texts',
    model({ nodes: [node('Add', ['x', 't'], ['y'])], initializers: [tensor('t', 'BYTES', [1], ['a'])] }),
    LOADS,
  ],
  [
    'nan-size',
    'a size that is not a number',
    model({ nodes: [node('ConstantOfShape', ['nan'], ['y'])], initializers: [tensor('nan', 'FP32', [1], [NaN])] }),
    LOADS,
  ],
  [
    'cyclic-tree',
    'a tree whose branch leads back to its root',
    () => treeModel({ left: [1, 0, 0], right: [2, 2, 0], modes: [BRANCH, BRANCH, LEAF] }),
    LOADS,
  ],
  [
    'tree-to-nowhere',
    'a branch to a node that does not exist',
    () => treeModel({ left: [7_000_000, 0], right: [1, 0], modes: [BRANCH, LEAF] }),
    LOADS,
  ],
];

export const HOSTILE_RUNS: readonly HostileUpload[] = ROWS.map(([name, attack, bytes, says]) => ({
  ...hostileModel({ name, attack, refused: { code: 'model_rejected', pointer: '/model.onnx', says } }, bytes),
  onlyByTrial: true,
}));
