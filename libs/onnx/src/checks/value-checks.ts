import { elementType } from '../element-types';
import { quote } from '../fault-list';
import type { Inspection } from '../inspection';
import type { DeclaredValue } from '../model-facts';

const CONTROL = /\p{Cc}/u;

/** Inputs and outputs must have names that can be told apart and types that can be sent. */
export function checkValues(values: readonly DeclaredValue[], inspection: Inspection): void {
  const names = new Set<string>();
  for (const value of values) {
    checkName(value, names, inspection);
    checkType(value, inspection);
  }
}

function checkName({ name, pointer }: DeclaredValue, names: Set<string>, inspection: Inspection): void {
  // A JSON object with such a member is not what it seems in JavaScript.
  if (name === '' || name === '__proto__' || CONTROL.test(name)) {
    inspection.faults.add({ pointer, expected: 'a name of printable characters', received: quote(name) });
  } else if (names.has(name)) {
    inspection.faults.add({ pointer, expected: 'each name once', received: `${quote(name)} again` });
  }
  names.add(name);
}

function checkType({ pointer, type }: DeclaredValue, inspection: Inspection): void {
  if (type === undefined) {
    inspection.faults.add({
      pointer,
      expected: 'a declared type',
      received: 'none',
      hint: 'Run onnx.shape_inference.infer_shapes on the model and save it again.',
    });
    return;
  }
  if (type.kind !== 'tensor') return;
  const element = elementType(type.element ?? 0);
  if (element?.datatype === undefined) {
    inspection.faults.add({
      pointer,
      expected: 'elements that can be sent: booleans, integers, FP16, FP32, FP64 or texts',
      received: type.text,
      hint: 'Put a Cast to FLOAT at this end of the graph.',
    });
  }
  checkShape(type.shape ?? [], element?.bits ?? 8, inspection, pointer);
}

/** A shape that nobody could ever send or receive is refused; dimensions of any size are free until run time. */
function checkShape(shape: readonly number[], elementBits: number, inspection: Inspection, pointer: string): void {
  const { limits, faults } = inspection;
  if (shape.length > limits.rank) {
    faults.add({ pointer, expected: `at most ${limits.rank} dimensions`, received: 'more' });
    return;
  }
  const bytes = shape.filter((size) => size > 0).reduce((product, size) => product * size, elementBits / 8);
  if (bytes <= limits.tensorBytes) return;
  const received = `dimensions [${shape.join(', ')}]`;
  faults.add({ pointer, expected: `values of at most ${limits.tensorBytes} bytes`, received });
}
