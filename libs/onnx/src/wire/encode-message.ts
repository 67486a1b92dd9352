import { SCHEMA, type FieldShape, type MessageName } from '../schema';

/** The fields of a message by name; repeated ones as arrays, nested messages as objects. */
export interface MessageFields {
  readonly [field: string]: FieldValue | readonly FieldValue[] | undefined;
}

type FieldValue = number | bigint | string | Uint8Array | MessageFields;

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** Writes a message of an ONNX file. It does not judge: tests write impossible files with it. */
export function encodeMessage(message: MessageName, fields: MessageFields): Buffer {
  const parts: Buffer[] = [];
  for (const [number, shape] of SCHEMA[message].entries()) {
    if (shape === undefined) continue;
    const value = fields[shape.name];
    if (value === undefined) continue;
    parts.push(...encodeField(number, shape, Array.isArray(value) ? value : [value]));
  }
  return Buffer.concat(parts);
}

/** A base-128 number; negative ones take ten bytes, as in protobuf. */
export function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** A length-delimited field, for what `encodeMessage` would not write. */
export function delimited(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([delimitedHead(number, bytes.length), bytes]);
}

/** What stands before the bytes of such a field. */
export function delimitedHead(number: number, length: number): Buffer {
  return Buffer.concat([tag(number, DELIMITED), varint(length)]);
}

function encodeField(number: number, shape: FieldShape, values: readonly FieldValue[]): Buffer[] {
  if (shape.packed) return [delimited(number, Buffer.concat(values.map((value) => scalar(shape, value))))];
  return values.map((value) => {
    switch (shape.kind) {
      case 'int':
        return Buffer.concat([tag(number, VARINT), scalar(shape, value)]);
      case 'float':
        return Buffer.concat([tag(number, FIXED32), scalar(shape, value)]);
      case 'double':
        return Buffer.concat([tag(number, FIXED64), scalar(shape, value)]);
      default:
        return delimited(number, content(shape, value));
    }
  });
}

function scalar({ kind }: FieldShape, value: FieldValue): Buffer {
  if (kind === 'int') return varint(value as number | bigint);
  const bytes = Buffer.alloc(kind === 'float' ? 4 : 8);
  if (kind === 'float') bytes.writeFloatLE(Number(value));
  else bytes.writeDoubleLE(Number(value));
  return bytes;
}

function content(shape: FieldShape, value: FieldValue): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return value as Uint8Array;
  return encodeMessage(shape.message as MessageName, value as MessageFields);
}

function tag(number: number, wire: number): Buffer {
  return varint(number * 8 + wire);
}
