import type { Datatype } from '@sibyl/protocol';
import { attribute, encodeModel, graph, node, tensor, value, zipMapValue, type Element } from './model-parts';

/** `y` is `x`, of any element type and shape: `(-1, 4)` unless told otherwise. */
export function identityModel(element: Element = 'FP32', shape: readonly (number | string)[] = [-1, 4]): Buffer {
  return encodeModel({
    nodes: [node('Identity', ['x'], ['y'])],
    inputs: [value('x', element, shape)],
    outputs: [value('y', element, shape)],
  });
}

/** `y` is one operator on `x` (FP32, any length): `Log` makes NaN of negative numbers, `Reciprocal` infinity of 0. */
export function unaryModel(operator: string): Buffer {
  return encodeModel({
    nodes: [node(operator, ['x'], ['y'])],
    inputs: [value('x', 'FP32', [-1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

/** `y` is `x` less the mean of all its rows: a row by itself is answered with zeros, and with anything else beside others. */
export function centredModel(): Buffer {
  const axes = { attributes: [attribute('axes', { ints: [0] }), attribute('keepdims', { i: 1 })] };
  return encodeModel({
    nodes: [node('ReduceMean', ['x'], ['mean'], axes), node('Sub', ['x', 'mean'], ['y'])],
    inputs: [value('x', 'FP32', [-1, 2])],
    outputs: [value('y', 'FP32', [-1, 2])],
  });
}

/** `sum` is `a + b`, element by element. */
export function addModel(datatype: Datatype = 'FP32'): Buffer {
  return encodeModel({
    nodes: [node('Add', ['a', 'b'], ['sum'])],
    inputs: [value('a', datatype, [-1]), value('b', datatype, [-1])],
    outputs: [value('sum', datatype, [-1])],
  });
}

export interface LinearParts {
  /** One row for each output. */
  readonly weights: readonly (readonly number[])[];
  readonly bias: readonly number[];
}

/** `variable` is `features · weights + bias`: a regression as scikit-learn exports it. */
export function linearModel({ weights, bias }: LinearParts): Buffer {
  return encodeModel({
    nodes: [gemm('variable')],
    initializers: linearWeights({ weights, bias }),
    inputs: [value('features', 'FP32', [-1, featureCount(weights)])],
    outputs: [value('variable', 'FP32', [-1, weights.length])],
  });
}

/** `label` (INT64, or texts when there are labels) and `probabilities`, from linear scores. */
export function classifierModel(parts: LinearParts & { readonly labels?: readonly string[] }): Buffer {
  const { weights, labels } = parts;
  const top = labels === undefined ? 'label' : 'index';
  const encoder = node('LabelEncoder', ['index'], ['label'], {
    domain: 'ai.onnx.ml',
    attributes: [
      attribute('keys_int64s', { ints: weights.map((_, index) => index) }),
      attribute('values_strings', { strings: labels ?? [] }),
    ],
  });
  return encodeModel({
    opsets: [
      ['', 17],
      ['ai.onnx.ml', 3],
    ],
    nodes: [
      gemm('scores'),
      node('Softmax', ['scores'], ['probabilities'], { attributes: [attribute('axis', { i: 1 })] }),
      node('ArgMax', ['scores'], [top], { attributes: [attribute('axis', { i: 1 }), attribute('keepdims', { i: 0 })] }),
      ...(labels === undefined ? [] : [encoder]),
    ],
    initializers: linearWeights(parts),
    inputs: [value('features', 'FP32', [-1, featureCount(weights)])],
    outputs: [
      value('label', labels === undefined ? 'INT64' : 'BYTES', [-1]),
      value('probabilities', 'FP32', [-1, weights.length]),
    ],
  });
}

/** A classifier that ends in a ZipMap, as scikit-learn's converter makes by default. */
export function zipMapModel(): Buffer {
  const parts = { weights: [[1], [-1]], bias: [0, 0] };
  return encodeModel({
    opsets: [
      ['', 17],
      ['ai.onnx.ml', 3],
    ],
    nodes: [
      gemm('scores'),
      node('Softmax', ['scores'], ['probabilities'], { attributes: [attribute('axis', { i: 1 })] }),
      node('ArgMax', ['scores'], ['output_label'], {
        attributes: [attribute('axis', { i: 1 }), attribute('keepdims', { i: 0 })],
      }),
      node('ZipMap', ['probabilities'], ['output_probability'], {
        domain: 'ai.onnx.ml',
        attributes: [attribute('classlabels_int64s', { ints: [0, 1] })],
      }),
    ],
    initializers: linearWeights(parts),
    inputs: [value('features', 'FP32', [-1, 1])],
    outputs: [value('output_label', 'INT64', [-1]), zipMapValue('output_probability')],
  });
}

/** `y` is the element of `x` at `index`; an index that is not there makes the run fail. */
export function gatherModel(): Buffer {
  return encodeModel({
    nodes: [node('Gather', ['x', 'index'], ['y'])],
    inputs: [value('x', 'FP32', [-1]), value('index', 'INT64', [-1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

/** An initializer that is an input as well, as models of IR version 3 have to declare it. */
export function oldModel(): Buffer {
  return encodeModel({
    irVersion: 3,
    opsets: [['', 8]],
    nodes: [node('Mul', ['x', 'factor'], ['y'])],
    initializers: [tensor('factor', 'FP32', [1], [2])],
    inputs: [value('factor', 'FP32', [1]), value('x', 'FP32', ['N', 1])],
    outputs: [value('y', 'FP32', ['N', 1])],
  });
}

/** An operator that no runtime has without somebody's native library. */
export function customDomainModel(domain = 'com.evil', operator = 'Evil'): Buffer {
  return encodeModel({
    opsets: [
      ['', 17],
      [domain, 1],
    ],
    nodes: [node(operator, ['x'], ['y'], { domain })],
    inputs: [value('x', 'FP32', [-1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

/** `y` is `x + 1`, computed by a function of the file. */
export function functionModel(): Buffer {
  return encodeModel({
    opsets: [
      ['', 17],
      ['local', 1],
    ],
    nodes: [node('Increment', ['x'], ['y'], { domain: 'local' })],
    functions: [
      {
        name: 'Increment',
        domain: 'local',
        input: ['in'],
        output: ['out'],
        opset_import: [{ domain: '', version: 17 }],
        node: [
          node('Constant', [], ['one'], { attributes: [attribute('value', { t: tensor('', 'FP32', [], [1]) })] }),
          node('Add', ['in', 'one'], ['out']),
        ],
      },
    ],
    inputs: [value('x', 'FP32', [-1])],
    outputs: [value('y', 'FP32', [-1])],
  });
}

function gemm(output: string): ReturnType<typeof node> {
  return node('Gemm', ['features', 'weights', 'bias'], [output], { attributes: [attribute('transB', { i: 1 })] });
}

function linearWeights({ weights, bias }: LinearParts): ReturnType<typeof tensor>[] {
  return [
    tensor('weights', 'FP32', [weights.length, featureCount(weights)], weights.flat()),
    tensor('bias', 'FP32', [bias.length], bias),
  ];
}

function featureCount(weights: LinearParts['weights']): number {
  return weights[0]?.length ?? 0;
}

/** Two graphs, one taken when `x` is not 0: both pass `x` on. */
export function branchModel(): Buffer {
  const branch = graph({ nodes: [node('Identity', ['x'], ['out'])], outputs: [value('out', 'FP32', [])] });
  return encodeModel({
    nodes: [
      node('Cast', ['x'], ['condition'], { attributes: [attribute('to', { i: 9 })] }),
      node('If', ['condition'], ['y'], {
        attributes: [attribute('then_branch', { g: branch }), attribute('else_branch', { g: branch })],
      }),
    ],
    inputs: [value('x', 'FP32', [])],
    outputs: [value('y', 'FP32', [])],
  });
}
