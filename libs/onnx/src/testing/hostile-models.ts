import {
  attribute,
  encodeModel,
  externalTensor,
  graph,
  node,
  tensor,
  value,
  type ExternalParts,
  type NodeParts,
} from './model-parts';
import type { MessageFields } from '../wire/encode-message';

/**
 * Counts `y` up from `x` (INT64 scalar), `trips` times or as often as the input `trips` (INT64 scalar) says. Nothing
 * but the end of its process stops one with 2^62 trips.
 */
export function loopModel(trips?: bigint): Buffer {
  const body = graph({
    nodes: [
      node('Identity', ['condition_in'], ['condition_out']),
      node('Constant', [], ['one'], { attributes: [attribute('value', { t: tensor('', 'INT64', [], [1]) })] }),
      node('Add', ['count_in', 'one'], ['count_out']),
    ],
    inputs: [value('i', 'INT64', []), value('condition_in', 'BOOL', []), value('count_in', 'INT64', [])],
    outputs: [value('condition_out', 'BOOL', []), value('count_out', 'INT64', [])],
  });
  const constants = [
    tensor('true', 'BOOL', [], [1]),
    ...(trips === undefined ? [] : [tensor('trips', 'INT64', [], [trips])]),
  ];
  return encodeModel({
    nodes: [node('Loop', ['trips', 'true', 'x'], ['y'], { attributes: [attribute('body', { g: body })] })],
    initializers: constants,
    inputs: [value('x', 'INT64', []), ...(trips === undefined ? [value('trips', 'INT64', [])] : [])],
    outputs: [value('y', 'INT64', [])],
  });
}

/** Runs for ever on any input. */
export function endlessModel(): Buffer {
  return loopModel(2n ** 62n);
}

/** Answers any `x` (FP32, exactly one element) with `elements` zeros: past the scan, as the size is computed. */
export function hugeOutputModel(elements: bigint): Buffer {
  return encodeModel({
    nodes: [
      node('Sub', ['x', 'x'], ['zero']),
      node('Cast', ['zero'], ['nothing'], { attributes: [attribute('to', { i: 7 })] }),
      node('Add', ['nothing', 'elements'], ['size']),
      node('ConstantOfShape', ['size'], ['y']),
    ],
    initializers: [tensor('elements', 'INT64', [1], [elements])],
    inputs: [value('x', 'FP32', [1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

/** Makes a tensor of these dimensions while it loads, if anybody loads it. */
export function constantOfShapeModel(dimensions: readonly bigint[]): Buffer {
  return encodeModel({
    nodes: [node('ConstantOfShape', ['shape'], ['y'])],
    initializers: [tensor('shape', 'INT64', [dimensions.length], dimensions)],
    outputs: [value('y', 'FP32')],
  });
}

/** Ifs within Ifs; with `both` branches nested the file doubles with each level. */
export function nestedIfModel(depth: number, branches: 'one' | 'both' = 'one'): Buffer {
  const leaf = graph({ nodes: [node('Identity', ['x'], ['leaf'])], outputs: [value('leaf', 'FP32', [-1])] });
  const level = (left: number): MessageFields => {
    if (left === 0) return leaf;
    const out = `out${left}`;
    const inner = level(left - 1);
    return graph({
      nodes: [choose(inner, branches === 'both' ? inner : leaf, out)],
      outputs: [value(out, 'FP32', [-1])],
    });
  };
  return encodeModel({
    nodes: [choose(level(depth - 1), leaf, 'y')],
    inputs: [value('condition', 'BOOL', []), value('x', 'FP32', [-1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

/** Functions that call each other twice, level by level: a few kilobytes that come to 2^levels nodes. */
export function functionBombModel(levels: number): Buffer {
  const functions = Array.from({ length: levels }, (_, level) => {
    const call = level === 0 ? { type: 'Identity', parts: {} } : { type: `F${level - 1}`, parts: LOCAL };
    return {
      name: `F${level}`,
      domain: 'local',
      input: ['a'],
      output: ['c'],
      opset_import: OPSETS,
      node: [node(call.type, ['a'], ['b'], call.parts), node(call.type, ['b'], ['c'], call.parts)],
    };
  });
  return encodeModel({
    opsets: [
      ['', 17],
      ['local', 1],
    ],
    functions,
    nodes: [node(`F${levels - 1}`, ['x'], ['y'], LOCAL)],
    inputs: [value('x', 'FP32', [-1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

/** An initializer that declares these dimensions and brings no data. */
export function hugeDimensionsModel(dimensions: readonly (number | bigint)[]): Buffer {
  return encodeModel({
    nodes: [node('Identity', ['w'], ['y'])],
    initializers: [tensor('w', 'FP32', dimensions, [])],
    outputs: [value('y', 'FP32')],
  });
}

export const EXTERNAL_PLACES = [
  'initializer',
  'constant',
  'sparse values',
  'sparse indices',
  'branch',
  'function',
] as const;

export type ExternalPlace = (typeof EXTERNAL_PLACES)[number];

/** `y` is `x` plus two floats that lie in another file, named from wherever a model can name one. */
export function externalDataModel(at: ExternalParts, place: ExternalPlace = 'initializer'): Buffer {
  const inputs = [value('x', 'FP32', [2])];
  const outputs = [value('y', 'FP32', [2])];
  const external = externalTensor('w', 'FP32', [2], at);
  const constant = node('Constant', [], ['w'], { attributes: [attribute('value', { t: external })] });
  const add = node('Add', ['x', 'w'], ['y']);
  switch (place) {
    case 'initializer':
      return encodeModel({ nodes: [add], initializers: [external], inputs, outputs });
    case 'constant':
      return encodeModel({ nodes: [constant, add], inputs, outputs });
    case 'sparse values':
      return encodeModel({ nodes: [add], sparseInitializers: [sparse(external, [0, 1])], inputs, outputs });
    case 'sparse indices': {
      const indices = externalTensor('', 'INT64', [2], at);
      const values = tensor('w', 'FP32', [2], [1, 2]);
      return encodeModel({ nodes: [add], sparseInitializers: [{ values, indices, dims: [2] }], inputs, outputs });
    }
    case 'branch': {
      const branch = graph({
        nodes: [node('Add', ['x', 'w'], ['out'])],
        initializers: [external],
        outputs: [value('out', 'FP32', [2])],
      });
      const initializers = [tensor('condition', 'BOOL', [], [1])];
      return encodeModel({ nodes: [choose(branch, branch, 'y')], initializers, inputs, outputs });
    }
    case 'function': {
      const body = {
        name: 'F',
        domain: 'local',
        input: ['x'],
        output: ['y'],
        opset_import: OPSETS,
        node: [constant, add],
      };
      const opsets = [['', 17] as const, ['local', 1] as const];
      return encodeModel({ opsets, functions: [body], nodes: [node('F', ['x'], ['y'], LOCAL)], inputs, outputs });
    }
  }
}

const LOCAL: NodeParts = { domain: 'local' };
const OPSETS = [
  { domain: '', version: 17 },
  { domain: 'local', version: 1 },
];

function choose(then: MessageFields, otherwise: MessageFields, output: string): MessageFields {
  return node('If', ['condition'], [output], {
    attributes: [attribute('then_branch', { g: then }), attribute('else_branch', { g: otherwise })],
  });
}

function sparse(values: MessageFields, indices: readonly number[]): MessageFields {
  return { values, indices: tensor('', 'INT64', [indices.length], indices), dims: [2] };
}
