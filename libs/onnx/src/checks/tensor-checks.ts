import { elementType, type ElementType } from '../element-types';
import type { Inspection } from '../inspection';
import { checkExternalData } from './external-data';

/** What the file declares of a tensor, as it stands there. */
export interface DeclaredTensor {
  readonly dimensions: number[];
  rank: number;
  /** `TensorProto.DataType` */
  element: number;
  /** How many entries each typed list has. */
  readonly entries: Map<string, number>;
  rawBytes: number | undefined;
  readonly external: (readonly [string, string | undefined])[];
  /** `TensorProto.DataLocation` */
  location: number;
}

const EXTERNAL = 1;

interface DenseSize {
  readonly dimensions: readonly number[];
  readonly rank: number;
  /** Bits of one element; undefined where the elements have no fixed size. */
  readonly bits: number | undefined;
}

/** Dimensions, element type and data must fit together, and the tensor must fit in memory. */
export function checkTensor(tensor: DeclaredTensor, inspection: Inspection, pointer: string): void {
  const type = elementType(tensor.element);
  if (type === undefined) {
    inspection.faults.add({
      pointer,
      expected: 'an element type that ONNX defines',
      received: `type number ${tensor.element}`,
    });
    return;
  }
  const { dimensions, rank } = tensor;
  const elements = checkDenseSize({ dimensions, rank, bits: type.bits }, inspection, pointer);
  if (elements === undefined) return;
  const isExternal = tensor.location === EXTERNAL || tensor.external.length > 0;
  if (isExternal) checkExternalData(tensor.external, { bytes: denseBytes(elements, type), inspection, pointer });
  if (tensor.location !== EXTERNAL) checkContent(tensor, { type, elements, isExternal, inspection, pointer });
}

/** Elements of a tensor that fits the limits; undefined once a fault is noted. */
export function checkDenseSize(size: DenseSize, inspection: Inspection, pointer: string): number | undefined {
  const { limits, faults } = inspection;
  if (size.rank > limits.rank) {
    const expected = `tensors of at most ${limits.rank} dimensions`;
    faults.add({ pointer, expected, received: `${size.rank} dimensions` });
    return undefined;
  }
  let nonZero = 1;
  let isEmpty = false;
  for (const dimension of size.dimensions) {
    if (dimension < 0) {
      faults.add({ pointer, expected: 'dimensions of 0 or more', received: `${dimension}` });
      return undefined;
    }
    if (dimension === 0) isEmpty = true;
    else nonZero *= dimension;
  }
  // Zeros do not excuse the other dimensions: readers that multiply from the left overflow before they meet the zero.
  const bytes = Math.ceil((nonZero * (size.bits ?? 8)) / 8);
  if (bytes > limits.tensorBytes) {
    const expected = `tensors of at most ${limits.tensorBytes} bytes`;
    faults.add({ pointer, expected, received: `dimensions [${size.dimensions.join(', ')}]` });
    return undefined;
  }
  if (isEmpty) return 0;
  addToTotal(bytes, inspection, pointer);
  return nonZero;
}

function addToTotal(bytes: number, inspection: Inspection, pointer: string): void {
  const limit = inspection.limits.weightBytes;
  const wasWithin = inspection.tensorBytes <= limit;
  inspection.tensorBytes += bytes;
  if (!wasWithin || inspection.tensorBytes <= limit) return;
  inspection.faults.add({ pointer, expected: `tensors of at most ${limit} bytes together`, received: 'more' });
}

interface Content {
  readonly type: ElementType;
  readonly elements: number;
  readonly isExternal: boolean;
  readonly inspection: Inspection;
  readonly pointer: string;
}

function checkContent(tensor: DeclaredTensor, content: Content): void {
  const { type, elements, inspection, pointer } = content;
  const shape = `${type.name} [${tensor.dimensions.join(', ')}]`;
  const expected = 'as much data as the dimensions declare';
  const wrong = (received: string): void => {
    inspection.faults.add({ pointer, expected, received: `${received} for ${shape}` });
  };
  if (tensor.location !== 0) {
    wrong(`data location ${tensor.location}`);
  } else if (tensor.rawBytes !== undefined) {
    if (type.bits === undefined) wrong('raw bytes');
    else if (tensor.rawBytes !== denseBytes(elements, type)) wrong(`${tensor.rawBytes} bytes`);
  } else if (!content.isExternal) {
    const entries = tensor.entries.get(type.list) ?? 0;
    if (entries !== Math.ceil(elements * type.entriesPerElement)) wrong(`${entries} entries`);
  }
}

function denseBytes(elements: number, type: ElementType): number | undefined {
  return type.bits === undefined ? undefined : Math.ceil((elements * type.bits) / 8);
}
