import { deflateSync, gzipSync } from 'node:zlib';
import { encodeMessage, encodeModel, identityModel, modelFields, node, value } from '@sibyl/onnx/testing';
import { byScan, hostileModel, type HostileUpload } from './hostile-package';

const DELIMITED = 2;
const GRAPH = 7;
const NESTED_TYPES = 60;

function varint(number: number | bigint, least = 1): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(number));
  for (; rest > 0x7fn || bytes.length + 1 < least; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function field(number: number, wire: number, ...content: Uint8Array[]): Buffer {
  return Buffer.concat([varint(number * 8 + wire), ...content]);
}

function delimited(number: number, content: Uint8Array): Buffer {
  return field(number, DELIMITED, varint(content.length), content);
}

const GOOD = identityModel();
const followedBy = (...bytes: Uint8Array[]): Buffer => Buffer.concat([GOOD, ...bytes]);

/** A ZIP archive of one entry, which says of itself what it likes. */
function zip(name: string, packed: Buffer, declaredBytes: number): Buffer {
  const head = (signature: number, size: number): Buffer => {
    const bytes = Buffer.alloc(size);
    bytes.writeUInt32LE(signature, 0);
    return bytes;
  };
  const local = head(0x04034b50, 30);
  local.writeUInt16LE(8, 8);
  local.writeUInt32LE(packed.length, 18);
  local.writeUInt32LE(declaredBytes, 22);
  local.writeUInt16LE(name.length, 26);
  const central = head(0x02014b50, 46);
  central.writeUInt16LE(8, 10);
  central.writeUInt32LE(packed.length, 20);
  central.writeUInt32LE(declaredBytes, 24);
  central.writeUInt16LE(name.length, 28);
  const end = head(0x06054b50, 22);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  return Buffer.concat([local, Buffer.from(name), packed, central, Buffer.from(name), end]);
}

/** Ten megabytes of zeros in ten kilobytes, that claim to be four gigabytes. */
export function zipBomb(): Buffer {
  return zip('model.onnx', deflateSync(Buffer.alloc(10 * 2 ** 20)), 0xffffffff);
}

/** What `pickle.loads` would take for an order to run a program. */
const PICKLE = Buffer.from("\x80\x04cposix\nsystem\n(S'touch /srv/owned'\ntR.", 'latin1');
const OLD_PICKLE = Buffer.from("cos\nsystem\n(S'touch /srv/owned'\ntR.", 'latin1');

const FOREIGN: readonly (readonly [name: string, attack: string, bytes: () => Buffer, says: string])[] = [
  ['pickle', 'a pickle that runs a program when loaded', () => PICKLE, 'pickle'],
  ['pickle-protocol-0', 'the same in the oldest protocol, which is text', () => OLD_PICKLE, 'pickle'],
  ['torchscript', 'a TorchScript archive with code', () => zip('archive/code/model.py', PICKLE, 50), 'ZIP'],
  ['zip-bomb', 'a ZIP archive that grows a thousandfold', zipBomb, 'ZIP'],
  ['zip-slip', 'a ZIP archive that wants to write elsewhere', () => zip('../../../etc/cron.d/x', PICKLE, 9), 'ZIP'],
  ['gzip-bomb', 'ten megabytes of zeros in ten kilobytes', () => gzipSync(Buffer.alloc(10 * 2 ** 20)), 'gzip'],
  [
    'safetensors',
    'weights without a model',
    () => Buffer.from(`\x40\0\0\0\0\0\0\0{"w":{"dtype":"F32"}}`, 'latin1'),
    'safetensors',
  ],
  ['hdf5', 'a Keras file', () => Buffer.from('\x89HDF\r\n\x1a\n\0\0\0\0', 'latin1'), 'HDF5'],
  ['ort-format', 'a flatbuffer, which the runtime would load unchecked', () => Buffer.from('\x18\0\0\0ORTM'), '.ort'],
  ['native-library', 'a native library', () => Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), 'native library'],
  ['script', 'a program for a shell', () => Buffer.from('#!/bin/sh\ntouch /srv/owned\n'), 'no field type 3'],
  ['html', 'a page instead of a file', () => Buffer.from('<!DOCTYPE html><script>alert(1)</script>'), 'HTML'],
  ['lfs-pointer', 'a pointer instead of a file', () => Buffer.from('version https://git-lfs.github.com/'), 'Git LFS'],
];

const random = (bytes: number): Buffer => {
  const garbage = Buffer.alloc(bytes);
  for (let i = 0, state = 7; i < bytes; i++)
    garbage[i] = (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24;
  return garbage;
};

const DAMAGED: readonly (readonly [
  name: string,
  attack: string,
  bytes: () => Buffer,
  pointer: string,
  says: string,
])[] = [
  ['empty', 'no bytes at all', () => Buffer.alloc(0), '', 'an empty file'],
  ['zeros', 'a megabyte of zeros', () => Buffer.alloc(2 ** 20), '', 'impossible number'],
  ['ones', 'a number that never ends', () => Buffer.alloc(2 ** 20, 0xff), '', 'more than 64 bits'],
  ['garbage', 'a megabyte of noise', () => random(2 ** 20), '', 'can be read to its end'],
  ['cut-off', 'a model without its second half', () => GOOD.subarray(0, GOOD.length >> 1), '', 'does not fit'],
  [
    'garbage-at-the-end',
    'a model with noise behind it',
    () => followedBy(Buffer.from('\xff\xfe\xfd', 'latin1')),
    '',
    'cut off',
  ],
  [
    'group',
    'a group, which readers disagree about',
    () => followedBy(field(100, 3), field(100, 4)),
    '',
    'field type 3',
  ],
  ['group-end', 'the end of a group that never began', () => followedBy(field(100, 4)), '', 'field type 4'],
  ['wire-type-7', 'a wire type that does not exist', () => followedBy(field(100, 7)), '', 'field type 7'],
  [
    'overlong-varint',
    'a number of eleven bytes',
    () => followedBy(field(1, 0, varint(8, 11))),
    '',
    'more than 64 bits',
  ],
  ['field-zero', 'the field number 0', () => followedBy(Buffer.from([2, 0])), '', 'impossible number'],
  [
    'huge-field-number',
    'a field number of 40 bits',
    () => followedBy(field(2 ** 40, 0, varint(1))),
    '',
    'impossible number',
  ],
  [
    'gigabyte-text',
    'a name that claims a gigabyte',
    () => followedBy(field(2, DELIMITED, varint(2 ** 30), Buffer.from('x'))),
    '',
    'does not fit',
  ],
  [
    'exabyte-text',
    'a length that would be negative in 64 bits',
    () => followedBy(field(2, DELIMITED, varint(2n ** 63n + 5n))),
    '',
    'does not fit',
  ],
  [
    'two-graphs',
    'a second graph that the runtime would merge with the first',
    () => followedBy(delimited(GRAPH, Buffer.alloc(0))),
    '/graph',
    'the field graph appears twice',
  ],
  ['not-onnx', 'protobuf that is something else', () => delimited(2, Buffer.from('layer')), '', 'data without a graph'],
  [
    'deep-types',
    'a list of lists of lists, sixty deep',
    () => {
      let type: Buffer = Buffer.alloc(0);
      for (let depth = 0; depth < NESTED_TYPES; depth++) type = delimited(4, delimited(1, type));
      return delimited(GRAPH, delimited(13, delimited(2, type)));
    },
    `/graph/value_info/0/type${'/sequence_type/elem_type'.repeat(48)}`,
    'nested deeper than 100',
  ],
  [
    'huge-unknown-field',
    'eight megabytes in a field that ONNX does not have, for a reader that knows it',
    () => followedBy(delimited(1000, Buffer.alloc(8 * 2 ** 20))),
    '',
    'fields that ONNX defines',
  ],
  [
    'many-unknown-fields',
    'a million fields that ONNX does not have',
    () => followedBy(Buffer.concat(new Array<Buffer>(1_000_000).fill(field(1000, 0, varint(1))))),
    '',
    'fields that ONNX defines',
  ],
  [
    'unknown-fields-inside',
    'the same where nobody looks: in the type of an output',
    () => {
      const type = delimited(2, delimited(1000, Buffer.alloc(8 * 2 ** 20)));
      return encodeModel({ outputs: [{ name: 'y', type: type as never }, value('z', 'FP32')] });
    },
    '/graph/output/0/type',
    'fields that ONNX defines',
  ],
  [
    'invalid-utf8-input',
    'an input whose name is no text',
    () =>
      encodeModel({
        inputs: [{ ...value('x', 'FP32'), name: Buffer.from([0xc3, 0x28]) }],
        outputs: [value('y', 'FP32')],
      }),
    '/graph/input/0',
    'UTF-8',
  ],
  [
    'invalid-utf8-operator',
    'an operator whose name is no text',
    () =>
      encodeModel({
        nodes: [{ op_type: Buffer.from('Rel\xff', 'latin1'), output: ['y'] }],
        outputs: [value('y', 'FP32')],
      }),
    '/graph/node/0',
    'UTF-8',
  ],
  [
    'invalid-utf8-metadata',
    'metadata that is no text',
    () => {
      const props = [{ key: 'author', value: Buffer.from([0xff, 0xfe]) }];
      return encodeMessage('ModelProto', { ...modelFields({ outputs: [value('y', 'FP32')] }), metadata_props: props });
    },
    '/metadata_props/0',
    'UTF-8',
  ],
  [
    'many-nodes',
    'a quarter of a million nodes',
    () => {
      const one = delimited(1, encodeMessage('NodeProto', node('Relu', ['x'], ['y'])));
      return delimited(GRAPH, Buffer.alloc(250_000 * one.length, one));
    },
    '/graph',
    'at most 200000 nodes',
  ],
  [
    'long-name',
    'an output with a name of a megabyte',
    () => encodeModel({ outputs: [value('y'.repeat(2 ** 20), 'FP32')] }),
    '/graph/output/0',
    'names of at most 1024 bytes',
  ],
];

export const HOSTILE_BYTES: readonly HostileUpload[] = [
  ...FOREIGN.map(([name, attack, bytes, says]) => hostileModel({ name, attack, refused: byScan('', says) }, bytes)),
  ...DAMAGED.map(([name, attack, bytes, pointer, says]) =>
    hostileModel({ name, attack, refused: byScan(pointer, says) }, bytes),
  ),
];
