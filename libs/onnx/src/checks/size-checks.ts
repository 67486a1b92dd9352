import type { Inspection } from '../inspection';
import type { Scope } from '../model-facts';
import type { AttributeFacts } from '../visitors/attribute-visitor';

interface NodeFacts {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: readonly AttributeFacts[];
  readonly scope: Scope;
}

/**
 * Operators that make a tensor as large as a constant says, by the place of the input that says so. The runtime
 * computes what is constant while it loads, so such a node takes its memory before anybody sends a request.
 * What is computed first escapes this look; the memory limit of the runners is for that.
 */
const SIZED_BY_INPUT = new Map([
  ['ConstantOfShape', 0],
  ['Expand', 1],
  ['Tile', 1],
]);

const SIZED_BY_ATTRIBUTE = new Set(['RandomNormal', 'RandomUniform']);

/** Remembers constants, and the sizes that constants may set; those are judged once the whole file is known. */
export function noteSizes(node: NodeFacts, inspection: Inspection, pointer: () => string): void {
  if (node.type === 'Constant') {
    noteConstant(node, inspection);
    return;
  }
  const input = SIZED_BY_INPUT.get(node.type);
  if (input !== undefined) {
    const sizes = node.inputs[input] ?? '';
    const place = pointer();
    inspection.retain(place.length + sizes.length);
    const { type: operator, scope } = node;
    inspection.facts.demands.push({ pointer: place, operator, sizes, scope, bytesPerElement: elementBytes(node) });
  } else if (SIZED_BY_ATTRIBUTE.has(node.type)) {
    const shape = node.attributes.find(({ name }) => name === 'shape');
    if (shape !== undefined) judge(node.type, { sizes: shape.integers, bytesPerElement: 2 }, inspection, pointer());
  }
}

/** Judges the sizes that constants set. */
export function checkSizes(inspection: Inspection): void {
  for (const { pointer, operator, scope, sizes, bytesPerElement } of inspection.facts.demands) {
    const constant = scope.constant(sizes);
    if (constant !== undefined) judge(operator, { sizes: constant, bytesPerElement }, inspection, pointer);
  }
}

function noteConstant({ attributes, output, scope }: NodeFacts, inspection: Inspection): void {
  for (const { name, integers, tensor } of attributes) {
    const value = name === 'value' ? tensor?.integers : integers;
    if (value === undefined || name === 'shape') continue;
    inspection.retain(output.length + 8 * value.length);
    scope.define(output, value);
  }
}

/** The element size of what ConstantOfShape fills in; the other operators copy elements of at least one byte. */
function elementBytes({ type, attributes }: NodeFacts): number {
  if (type !== 'ConstantOfShape') return 1;
  const value = attributes.find(({ name }) => name === 'value');
  return value === undefined ? 4 : (value.tensor?.elementBits ?? 8) / 8;
}

interface Sizes {
  readonly sizes: readonly number[];
  readonly bytesPerElement: number;
}

function judge(operator: string, { sizes, bytesPerElement }: Sizes, inspection: Inspection, pointer: string): void {
  const limit = inspection.limits.tensorBytes;
  const bytes = sizes.reduce((product, size) => product * size, bytesPerElement);
  if (bytes <= limit) return;
  const expected = `outputs of at most ${limit} bytes`;
  inspection.faults.add({ pointer, expected, received: `${operator} to [${sizes.join(', ')}]` });
}
