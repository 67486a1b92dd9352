// A model that answers `x` with itself, unless it is asked for too much: it first takes four bytes for each of `elements`
// and then goes around as often as the largest `x` of its batch says, with that memory in its hands.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Of `elements`: more memory than the drill's runners may use, and rounds enough for the limit to notice. */
export const TOO_MUCH = { elements: [150_000_000], x: [2 ** 40] };
/** Never comes to an end. */
export const TOO_LONG = { elements: [1], x: [2 ** 40] };

export function poisonModel() {
  require('../support/load-typescript.cjs');
  const { attribute, encodeModel, graph, node, tensor, value } = require('../../libs/onnx/src/testing.ts');
  const body = graph({
    nodes: [node('Identity', ['condition_in'], ['condition_out']), node('Identity', ['state_in'], ['state_out'])],
    inputs: [value('i', 'INT64', []), value('condition_in', 'BOOL', []), value('state_in', 'INT64', [])],
    outputs: [value('condition_out', 'BOOL', []), value('state_out', 'INT64', [])],
  });
  const largest = { attributes: [attribute('keepdims', { i: 0 })] };
  return encodeModel({
    nodes: [
      node('ReduceMax', ['elements'], ['most'], { attributes: [attribute('keepdims', { i: 1 })] }),
      // One more, because models are warmed up with zeros.
      node('Add', ['most', 'one'], ['size']),
      node('ConstantOfShape', ['size'], ['memory']),
      node('ReduceMax', ['x'], ['trips'], largest),
      // Both ends of the loop read the memory, so that it is taken before and kept until after.
      node('Gather', ['memory', 'zero'], ['before']),
      node('Cast', ['before'], ['state'], { attributes: [attribute('to', { i: 7 })] }),
      node('Loop', ['trips', 'true', 'state'], ['rounds'], { attributes: [attribute('body', { g: body })] }),
      node('Gather', ['memory', 'rounds'], ['after']),
      node('Cast', ['after'], ['nothing'], { attributes: [attribute('to', { i: 7 })] }),
      node('Add', ['x', 'nothing'], ['y']),
    ],
    initializers: [tensor('true', 'BOOL', [], [1]), tensor('zero', 'INT64', [], [0]), tensor('one', 'INT64', [1], [1])],
    inputs: [value('x', 'INT64', [-1]), value('elements', 'INT64', [-1])],
    outputs: [value('y', 'INT64', [-1])],
  });
}
