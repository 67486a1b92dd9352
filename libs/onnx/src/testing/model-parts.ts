import type { Datatype } from '@sibyl/protocol';
import { elementNumber } from '../element-types';
import { encodeMessage, type MessageFields } from '../wire/encode-message';

/** A datatype, or ONNX's own number for types that Sibyl has no name for (16 is bfloat16). */
export type Element = Datatype | number;

export interface GraphParts {
  readonly inputs?: readonly MessageFields[];
  readonly outputs?: readonly MessageFields[];
  readonly nodes?: readonly MessageFields[];
  readonly initializers?: readonly MessageFields[];
  readonly sparseInitializers?: readonly MessageFields[];
  /** Types of values within the graph. */
  readonly values?: readonly MessageFields[];
}

export interface ModelParts extends GraphParts {
  readonly irVersion?: number;
  /** Domain and version. */
  readonly opsets?: readonly (readonly [string, number])[];
  readonly producer?: readonly [string, string];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly functions?: readonly MessageFields[];
}

export interface NodeParts {
  readonly domain?: string;
  readonly overload?: string;
  readonly attributes?: readonly MessageFields[];
}

const ATTRIBUTE_TYPES = { f: 1, i: 2, s: 3, t: 4, g: 5, floats: 6, ints: 7, strings: 8, sparse_tensor: 11 };

/** The bytes of a model. */
export function encodeModel(parts: ModelParts): Buffer {
  return encodeMessage('ModelProto', modelFields(parts));
}

/** A model before it is written, for tests that change what builders do not offer. */
export function modelFields(parts: ModelParts): MessageFields {
  const { irVersion = 8, opsets = [['', 17]], producer, metadata = {}, functions = [] } = parts;
  return {
    ir_version: irVersion,
    producer_name: producer?.[0],
    producer_version: producer?.[1],
    opset_import: opsets.map(([domain, version]) => ({ domain, version })),
    metadata_props: Object.entries(metadata).map(([key, text]) => ({ key, value: text })),
    functions,
    graph: graph(parts),
  };
}

export function graph(parts: GraphParts): MessageFields {
  return {
    name: 'g',
    node: parts.nodes ?? [],
    initializer: parts.initializers ?? [],
    sparse_initializer: parts.sparseInitializers ?? [],
    input: parts.inputs ?? [],
    output: parts.outputs ?? [],
    value_info: parts.values ?? [],
  };
}

export function node(
  type: string,
  inputs: readonly string[],
  outputs: readonly string[],
  parts: NodeParts = {},
): MessageFields {
  const { domain, overload, attributes = [] } = parts;
  return { input: inputs, output: outputs, op_type: type, domain, overload, attribute: attributes };
}

/** An attribute by the field that holds it: `attribute('alpha', { f: 0.5 })`, `attribute('axes', { ints: [0] })`. */
export function attribute(name: string, content: MessageFields): MessageFields {
  const field = Object.keys(content)[0] as keyof typeof ATTRIBUTE_TYPES;
  return { name, type: ATTRIBUTE_TYPES[field], ...content };
}

/** A tensor input or output; a text is a named dimension, -1 an unnamed one of any size. */
export function value(name: string, element: Element, dimensions?: readonly (number | string)[]): MessageFields {
  const dim = dimensions?.map((size) =>
    typeof size === 'string' ? { dim_param: size } : size === -1 ? {} : { dim_value: size },
  );
  const shape = dim === undefined ? {} : { shape: { dim } };
  return { name, type: { tensor_type: { elem_type: numberOf(element), ...shape } } };
}

/** What ZipMap puts out: a list of maps from class to probability. */
export function zipMapValue(name: string): MessageFields {
  const map = { key_type: numberOf('INT64'), value_type: { tensor_type: { elem_type: numberOf('FP32') } } };
  return { name, type: { sequence_type: { elem_type: { map_type: map } } } };
}

/** A tensor with its elements, raw except for texts. */
export function tensor(
  name: string,
  element: Element,
  dims: readonly (number | bigint)[],
  elements: readonly (number | bigint | string)[] | Uint8Array,
): MessageFields {
  const head = { name, data_type: numberOf(element), dims };
  if (element === 'BYTES') return { ...head, string_data: elements as readonly string[] };
  if (ArrayBuffer.isView(elements)) return { ...head, raw_data: elements as Uint8Array };
  return { ...head, raw_data: Buffer.concat(elements.map((each) => raw(element, each as number))) };
}

export interface ExternalParts {
  readonly location: string;
  readonly offset?: string;
  readonly length?: string;
}

/** A tensor whose elements lie in another file. */
export function externalTensor(
  name: string,
  element: Element,
  dims: readonly number[],
  at: ExternalParts,
): MessageFields {
  const entries = Object.entries(at).map(([key, text]) => ({ key, value: text as string }));
  return { name, data_type: numberOf(element), dims, external_data: entries, data_location: 1 };
}

function numberOf(element: Element): number {
  return typeof element === 'number' ? element : elementNumber(element);
}

function raw(element: Element, each: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  switch (element) {
    case 'FP32':
      bytes.writeFloatLE(Number(each));
      return bytes.subarray(0, 4);
    case 'FP64':
      bytes.writeDoubleLE(Number(each));
      return bytes;
    case 'INT64':
    case 'UINT64':
      bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(each)));
      return bytes;
    case 'INT32':
    case 'UINT32':
      bytes.writeUInt32LE(Number(each) >>> 0);
      return bytes.subarray(0, 4);
    case 'INT16':
    case 'UINT16':
    case 'FP16':
      bytes.writeUInt16LE(Number(each) & 0xffff);
      return bytes.subarray(0, 2);
    default:
      bytes.writeUInt8(Number(each) & 0xff);
      return bytes.subarray(0, 1);
  }
}
