import type { DeclaredType } from '../model-facts';
import type { DeclaredShape } from '../visitors/shape-visitor';
import { encodeMessage, delimited, type MessageFields } from '../wire/encode-message';
import { wireFields, wireIntegers } from '../wire/wire-fields';
import type { ClassKey } from './onnx-rewrite';

const NODE = { input: 1, output: 2, type: 4, attribute: 5, domain: 7, overload: 8 };
const ATTRIBUTE = { name: 1, ints: 8, strings: 9 };
const VALUE_TYPE = 2;
const FLOAT = 1;

/** What a ZipMap does: the tensor that it takes apart, the output it fills, and the names of the columns. */
export interface ZipMap {
  readonly input: string;
  readonly output: string;
  readonly classes: readonly ClassKey[];
}

/** Reads a ZipMap node. */
export function readZipMap(node: Buffer): ZipMap {
  let input = '';
  let output = '';
  const classes: ClassKey[] = [];
  for (const { number, content } of wireFields(node)) {
    if (number === NODE.input) input ||= content.toString('utf8');
    else if (number === NODE.output) output ||= content.toString('utf8');
    else if (number === NODE.attribute) classes.push(...classKeys(content));
  }
  return { input, output, classes };
}

function classKeys(attribute: Buffer): ClassKey[] {
  const fields = wireFields(attribute);
  const name = fields.find(({ number }) => number === ATTRIBUTE.name)?.content.toString('utf8');
  if (name === 'classlabels_strings') {
    return fields.filter(({ number }) => number === ATTRIBUTE.strings).map(({ content }) => content.toString('utf8'));
  }
  if (name !== 'classlabels_int64s') return [];
  const integers = fields
    .filter(({ number }) => number === ATTRIBUTE.ints)
    .flatMap(({ content }) => wireIntegers(content));
  return integers.map((key) => (Number.isSafeInteger(Number(key)) ? Number(key) : String(key)));
}

/**
 * The node that stands in its place: it hands the tensor on under the output's name, so that neither the tensor nor anything
 * that reads it is renamed. The runtime takes an Identity out when it loads the model.
 */
export function identityInPlace(node: Buffer): Buffer {
  const dropped = new Set([NODE.type, NODE.attribute, NODE.domain, NODE.overload]);
  const kept = wireFields(node).filter(({ number }) => !dropped.has(number));
  return Buffer.concat([...kept.map(({ whole }) => whole), delimited(NODE.type, Buffer.from('Identity'))]);
}

/** The declaration of the output with the type of the tensor; everything else of it stays. */
export function tensorValue(value: Buffer, { shape, dimensionNames }: DeclaredShape): Buffer {
  const kept = wireFields(value).filter(({ number }) => number !== VALUE_TYPE);
  const dim = shape.map((size, i): MessageFields => {
    if (size >= 0) return { dim_value: size };
    return dimensionNames[i] ? { dim_param: dimensionNames[i] } : {};
  });
  const type = encodeMessage('TypeProto', {
    tensor_type: { elem_type: FLOAT, shape: { dim } },
  });
  return Buffer.concat([...kept.map(({ whole }) => whole), delimited(VALUE_TYPE, type)]);
}

/** As the file declares the tensor; converters mostly say nothing of it: then it has any number of rows, and a column for each class. */
export function tensorShape(declared: DeclaredType | undefined, columns: number): DeclaredShape {
  const { kind, shape, dimensionNames = [] } = declared ?? {};
  return kind === 'tensor' && shape ? { shape, dimensionNames } : { shape: [-1, columns], dimensionNames: ['', ''] };
}
