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
 * Operators that make a tensor as large as constants say, by the places of the inputs that say so. The runtime
 * computes what is constant while it loads, so such a node takes its memory before anybody sends a request.
 * What is computed first escapes this look; the memory limit of the runners is for that.
 */
const SIZED_BY_INPUTS = new Map([
  ['ConstantOfShape', [0]],
  ['Expand', [1]],
  ['Tile', [1]],
  ['Range', [0, 1, 2]],
]);

/** Constants are kept where they are integers of this size, and so are what Range counts with them. */
const INTEGER_BYTES = 8;

const SIZED_BY_ATTRIBUTE = new Set(['RandomNormal', 'RandomUniform']);

/** Whether nodes of this operator hold constants, or are as large as constants say. */
export function decidesSizes(type: string): boolean {
  return type === 'Constant' || SIZED_BY_INPUTS.has(type) || SIZED_BY_ATTRIBUTE.has(type);
}

/** Remembers constants, and the sizes that constants may set; those are judged once the whole file is known. */
export function noteSizes(node: NodeFacts, inspection: Inspection, at: { readonly pointer: string }): void {
  if (node.type === 'Constant') {
    noteConstant(node, inspection);
    return;
  }
  const places = SIZED_BY_INPUTS.get(node.type);
  if (places !== undefined) {
    const sizes = places.map((input) => node.inputs[input] ?? '');
    const place = at.pointer;
    inspection.retain(place.length + sizes.join('').length);
    const { type: operator, scope } = node;
    inspection.facts.demands.push({ pointer: place, operator, sizes, scope, bytesPerElement: elementBytes(node) });
  } else if (SIZED_BY_ATTRIBUTE.has(node.type)) {
    const shape = node.attributes.find(({ name }) => name === 'shape');
    if (shape !== undefined) judge(node.type, { sizes: shape.integers, bytesPerElement: 2 }, inspection, at.pointer);
  }
}

/** Judges the sizes that constants set. */
export function checkSizes(inspection: Inspection): void {
  for (const { pointer, operator, scope, sizes, bytesPerElement } of inspection.facts.demands) {
    const constants = sizes.flatMap((name) => {
      const constant = scope.constant(name);
      return constant === undefined ? [] : [constant];
    });
    if (constants.length < sizes.length) continue;
    const counted = operator === 'Range' ? countOf(constants) : constants[0];
    if (counted !== undefined) judge(operator, { sizes: counted, bytesPerElement }, inspection, pointer);
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

/** How many numbers Range makes of its start, limit and step. */
function countOf([[start = 0] = [], [limit = 0] = [], [step = 0] = []]: readonly (readonly number[])[]): number[] {
  return [step === 0 ? 0 : Math.max(0, Math.ceil((limit - start) / step))];
}

/** The element size of what ConstantOfShape fills in; the other operators copy elements of at least one byte. */
function elementBytes({ type, attributes }: NodeFacts): number {
  if (type === 'Range') return INTEGER_BYTES;
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
