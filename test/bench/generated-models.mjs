// Models that are too large to be kept in the repository, made when they are needed: packages with random weights, the
// same ones in every run. What they answer means nothing; what they cost is that of their kind.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
require('../support/load-typescript.cjs');
const { attribute, encodeModel, node, tensor, value } = require('@sibyl/onnx/testing');

/** Numbers from -1 to 1 that look random and are the same in every run. */
export function numbers(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return state / 2_147_483_648;
  };
}

/** Weights small enough that signals neither die nor explode on their way through the layers. */
function weights(name, dims, fanIn, random) {
  const values = new Float32Array(dims.reduce((product, size) => product * size, 1));
  const scale = Math.sqrt(6 / fanIn);
  for (let i = 0; i < values.length; i++) values[i] = random() * scale;
  return tensor(name, 'FP32', dims, new Uint8Array(values.buffer));
}

function classifier(parts, input, logits, classes) {
  return encodeModel({
    ...parts,
    nodes: [
      ...parts.nodes,
      node('Softmax', [logits], ['probabilities'], { attributes: [attribute('axis', { i: 1 })] }),
    ],
    inputs: [value(input.name, 'FP32', [-1, ...input.row])],
    outputs: [value('probabilities', 'FP32', [-1, classes])],
  });
}

/** A multilayer perceptron: `features` → hidden layers of one width → two classes. */
function denseModel({ columns, width, layers }) {
  const random = numbers(7);
  const sizes = [columns, ...Array(layers).fill(width), 2];
  const nodes = [];
  const initializers = [];
  let from = 'features';
  for (let layer = 0; layer + 1 < sizes.length; layer++) {
    const [fanIn, fanOut] = [sizes[layer], sizes[layer + 1]];
    initializers.push(weights(`w${layer}`, [fanIn, fanOut], fanIn, random));
    nodes.push(node('MatMul', [from, `w${layer}`], [`m${layer}`]));
    from = `m${layer}`;
    if (layer + 2 < sizes.length) {
      nodes.push(node('Relu', [from], [`a${layer}`]));
      from = `a${layer}`;
    }
  }
  return classifier({ nodes, initializers }, { name: 'features', row: [columns] }, from, 2);
}

/** One convolution of 3×3 that keeps the size of its picture. */
function convolution(from, to, weight) {
  const attributes = [attribute('kernel_shape', { ints: [3, 3] }), attribute('pads', { ints: [1, 1, 1, 1] })];
  return node('Conv', [from, weight], [to], { attributes });
}

/** The mean of each channel → classes. */
function head(from, depth, classes, random) {
  return {
    nodes: [
      node('GlobalAveragePool', [from], ['means']),
      node('Flatten', ['means'], ['flat']),
      node('MatMul', ['flat', 'top'], ['logits']),
    ],
    initializers: [weights('top', [depth, classes], depth, random)],
  };
}

/** `image` → convolutions, halved in size after the second → classes. */
function convolutionModel({ row, channels, classes }) {
  const random = numbers(11);
  const nodes = [];
  const initializers = [];
  let from = 'image';
  for (const [layer, out] of channels.entries()) {
    const depth = layer === 0 ? row[0] : channels[layer - 1];
    initializers.push(weights(`w${layer}`, [out, depth, 3, 3], depth * 9, random));
    nodes.push(convolution(from, `c${layer}`, `w${layer}`), node('Relu', [`c${layer}`], [`a${layer}`]));
    from = `a${layer}`;
    if (layer === 1) {
      const halve = [attribute('kernel_shape', { ints: [2, 2] }), attribute('strides', { ints: [2, 2] })];
      nodes.push(node('MaxPool', [from], ['pooled'], { attributes: halve }));
      from = 'pooled';
    }
  }
  const top = head(from, channels.at(-1), classes, random);
  const parts = { nodes: [...nodes, ...top.nodes], initializers: [...initializers, ...top.initializers] };
  return classifier(parts, { name: 'image', row }, 'logits', classes);
}

/**
 * Thirty `features` as a picture of 5×6 → many convolutions with the same weights → classes. It costs as much a row in a
 * batch as alone, its requests are small, and its weights stay in the core's own cache, where neighbours do not slow it.
 */
function slowModel({ layers, depth }) {
  const random = numbers(13);
  const nodes = [node('Reshape', ['features', 'picture'], ['p']), convolution('p', 'a0', 'first')];
  // Tanh: what goes through the same weights so often would grow without bounds or die out.
  for (let layer = 0; layer < layers; layer++) {
    nodes.push(convolution(`a${layer}`, `c${layer}`, 'again'), node('Tanh', [`c${layer}`], [`a${layer + 1}`]));
  }
  const top = head(`a${layers}`, depth, 2, random);
  const initializers = [
    tensor('picture', 'INT64', [4], [-1, 1, 5, 6]),
    weights('first', [depth, 1, 3, 3], 9, random),
    weights('again', [depth, depth, 3, 3], depth * 9, random),
    ...top.initializers,
  ];
  return classifier({ nodes: [...nodes, ...top.nodes], initializers }, { name: 'features', row: [30] }, 'logits', 2);
}

function writePackage(parent, model, manifest) {
  const folder = path.join(parent, `${manifest.name}-${manifest.version}`);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'model.onnx'), model);
  fs.writeFileSync(path.join(folder, 'sibyl.json'), JSON.stringify(manifest));
  return folder;
}

function manifestOf(name, input, classes) {
  return {
    name,
    version: '1.0.0',
    task: 'classification',
    description: 'random weights, made for the bench',
    inputs: [{ name: input.name, datatype: 'FP32', shape: [-1, ...input.row], columns: input.columns }],
    outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, classes] }],
    classes: Array.from({ length: classes }, (_, index) => `class${index}`),
    decision: { probability_output: 'probabilities' },
  };
}

const COLUMNS = Array.from({ length: 30 }, (_, index) => `x${index}`);
const FEATURES = { name: 'features', row: [COLUMNS.length], columns: COLUMNS };

/** Writes the package of a perceptron below `parent` and returns its folder; four layers of 1776 are 38 MB. */
export function densePackage(parent, { name = 'dense', width = 1776, layers = 4 } = {}) {
  const model = denseModel({ columns: COLUMNS.length, width, layers });
  return writePackage(parent, model, manifestOf(name, FEATURES, 2));
}

export function convolutionPackage(parent) {
  const row = [3, 32, 32];
  const model = convolutionModel({ row, channels: [32, 32, 64], classes: 10 });
  return writePackage(parent, model, manifestOf('convolution', { name: 'image', row }, 10));
}

/** Some four milliseconds a row. */
export function slowPackage(parent) {
  return writePackage(parent, slowModel({ layers: 80, depth: 128 }), manifestOf('slow', FEATURES, 2));
}

/** A model of one input that is nothing but its body: `nodes` make `output` of it. */
function plainModel(input, nodes, output) {
  return encodeModel({
    nodes,
    initializers: [],
    inputs: [value('x', 'FP32', [-1, ...input])],
    outputs: [value(output.name, 'FP32', output.shape)],
  });
}

/** Answers the mean of each row of `shape`: what a request costs is what its body costs. */
export function meanPackage(parent, name, shape) {
  const nodes = [
    node('Flatten', ['x'], ['flat']),
    node('ReduceMean', ['flat'], ['mean'], { attributes: [attribute('axes', { ints: [1] })] }),
  ];
  const outputs = [{ name: 'mean', datatype: 'FP32', shape: [-1, 1] }];
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [-1, ...shape] }];
  const model = plainModel(shape, nodes, { name: 'mean', shape: [-1, 1] });
  return writePackage(parent, model, { name, version: '1.0.0', task: 'regression', inputs, outputs });
}

/** Answers each row of `shape` as it came. */
export function echoPackage(parent, name, shape) {
  const model = plainModel(shape, [node('Identity', ['x'], ['y'])], { name: 'y', shape: [-1, ...shape] });
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [-1, ...shape] }];
  const outputs = [{ name: 'y', datatype: 'FP32', shape: [-1, ...shape] }];
  return writePackage(parent, model, { name, version: '1.0.0', inputs, outputs });
}
