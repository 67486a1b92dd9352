import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {
  encodeModel,
  externalDataModel,
  externalTensor,
  identityModel,
  node,
  value,
  type ExternalParts,
} from '@sibyl/onnx/testing';
import { json, modelPackage } from '../model-packages';
import {
  byScan,
  hostileFiles,
  hostileModel,
  type HostileFolder,
  type HostileUpload,
  type Refusal,
} from './hostile-package';

const INITIALIZER = '/graph/initializer/0';
const PLAIN_NAME = 'given by its plain name';

/** Where a model may want its weights read from. */
const PLACES: readonly (readonly [name: string, attack: string, location: string])[] = [
  ['weights-upwards', 'weights from outside the package', '../../../etc/passwd'],
  ['weights-absolute', 'weights from the root', '/etc/passwd'],
  ['weights-proc', 'weights from the memory of the server', '/proc/self/environ'],
  ['weights-windows', 'weights from a drive', 'C:\\Windows\\win.ini'],
  ['weights-backslash', 'weights from outside, as Windows spells it', '..\\..\\secret'],
  ['weights-uri', 'weights from the metadata service', 'http://169.254.169.254/latest/meta-data'],
  ['weights-encoded', 'weights from outside, encoded', '%2e%2e%2fsecret'],
  ['weights-nul', 'a name that ends early', 'w.bin\0.onnx'],
  ['weights-in-memory', 'an address in the memory of the process', '*/_ORT_MEM_ADDR_/*'],
  ['weights-dot', 'the folder itself', '.'],
  ['weights-nameless', 'no name', ''],
];

const at = (parts: ExternalParts) => (): Buffer => externalDataModel(parts);

/** Positions that do not fit the file, or no file at all. */
const POSITIONS: readonly (readonly [name: string, attack: string, parts: ExternalParts, says: string])[] = [
  [
    'weights-past-the-end',
    'weights past the end of their file',
    { location: 'w.bin', offset: '9' },
    'reads up to byte 17',
  ],
  ['weights-far-out', 'weights at a petabyte', { location: 'w.bin', offset: '999999999999999' }, 'reads up to byte'],
  [
    'weights-offset-2-63',
    'an offset that is negative in 64 bits',
    { location: 'w.bin', offset: '9223372036854775808' },
    'agree with the dimensions',
  ],
  ['weights-negative', 'an offset of -8', { location: 'w.bin', offset: '-8' }, 'agree with the dimensions'],
  [
    'weights-hexadecimal',
    'an offset in hexadecimal',
    { location: 'w.bin', offset: '0x10' },
    'agree with the dimensions',
  ],
  [
    'weights-too-long',
    'a length past the dimensions',
    { location: 'w.bin', length: '4096' },
    'agree with the dimensions',
  ],
  [
    'weights-too-short',
    'a length that leaves numbers unset',
    { location: 'w.bin', length: '4' },
    'agree with the dimensions',
  ],
  ['weights-missing', 'weights that are not there', { location: 'gone.bin' }, 'no such file'],
];

/** Small files that are read again and again, until they are more than memory. */
function overlapping(): Buffer {
  const gigabyte = { location: 'w.bin', offset: '0', length: String(2 ** 30) };
  return encodeModel({
    nodes: [node('Identity', ['w0'], ['y'])],
    initializers: Array.from({ length: 12 }, (_, i) => externalTensor(`w${i}`, 'UINT8', [2 ** 30], gigabyte)),
    outputs: [value('y', 'UINT8')],
  });
}

export const HOSTILE_WEIGHTS: readonly HostileUpload[] = [
  ...PLACES.map(([name, attack, location]) =>
    hostileModel({ name, attack, refused: byScan(INITIALIZER, PLAIN_NAME) }, at({ location })),
  ),
  ...POSITIONS.map(([name, attack, parts, says]) =>
    hostileFiles({ name, attack, refused: byScan(INITIALIZER, says) }, () =>
      modelPackage(externalDataModel(parts), { name, version: '1' }, { 'w.bin': Buffer.alloc(16) }),
    ),
  ),
  hostileModel(
    {
      name: 'weights-function',
      attack: 'the same where a function names them',
      refused: byScan('/functions/0/node/0/attribute/0/t', PLAIN_NAME),
    },
    () => externalDataModel({ location: '../w.bin' }, 'function'),
  ),
  hostileModel(
    {
      name: 'weights-sparse',
      attack: 'and where a sparse tensor does',
      refused: byScan('/graph/sparse_initializer/0/indices', PLAIN_NAME),
    },
    () => externalDataModel({ location: '../w.bin' }, 'sparse indices'),
  ),
  hostileModel(
    {
      name: 'weights-overlapping',
      attack: 'one gigabyte read twelve times over',
      refused: byScan('/graph/initializer/8', 'bytes together'),
    },
    overlapping,
  ),
];

const secret = (folder: string): string => path.join(path.dirname(folder), 'secret.bin');

/** A package in a folder, one of whose files is something else. */
function inFolder(
  [name, attack, refused]: readonly [name: string, attack: string, refused: Refusal],
  file: string,
  make: (target: string, folder: string) => void,
): HostileFolder {
  return {
    name,
    attack,
    refused,
    place: (folder) => {
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(secret(folder), Buffer.alloc(16));
      const model = file === 'w.bin' ? externalDataModel({ location: 'w.bin' }) : identityModel();
      if (file !== 'model.onnx') fs.writeFileSync(path.join(folder, 'model.onnx'), model);
      if (file !== 'sibyl.json') fs.writeFileSync(path.join(folder, 'sibyl.json'), json({ name, version: '1' }));
      make(path.join(folder, file), folder);
    },
  };
}

const link = (target: string, folder: string): void => fs.symlinkSync(secret(folder), target);
const pipe = (target: string): void => void execFileSync('mkfifo', [target]);
const aFile = (file: string, says: string): Refusal => ({ code: 'model_rejected', pointer: `/${file}`, says });

export const HOSTILE_FOLDERS: readonly HostileFolder[] = [
  inFolder(['linked-model', 'a model that is a link', aFile('model.onnx', 'a symbolic link')], 'model.onnx', link),
  inFolder(
    ['linked-manifest', 'a manifest that is a link', aFile('sibyl.json', 'a symbolic link')],
    'sibyl.json',
    link,
  ),
  inFolder(['linked-golden', 'samples that are a link', aFile('golden.json', 'a symbolic link')], 'golden.json', link),
  inFolder(['linked-weights', 'weights that are a link', byScan(INITIALIZER, 'a symbolic link')], 'w.bin', link),
  inFolder(
    ['hard-linked-weights', 'weights that are a hard link', byScan(INITIALIZER, 'a hard link')],
    'w.bin',
    (target, folder) => fs.linkSync(secret(folder), target),
  ),
  inFolder(
    ['piped-weights', 'weights that somebody would have to write', byScan(INITIALIZER, 'not a regular file')],
    'w.bin',
    pipe,
  ),
  inFolder(
    ['piped-model', 'a model that somebody would have to write', aFile('model.onnx', 'a device, pipe or socket')],
    'model.onnx',
    pipe,
  ),
  inFolder(
    ['weights-folder', 'weights that are a folder', byScan(INITIALIZER, 'not a regular file')],
    'w.bin',
    (target) => fs.mkdirSync(target),
  ),
  inFolder(
    ['device-model', 'a model that never ends', aFile('model.onnx', 'a symbolic link')],
    'model.onnx',
    (target) => fs.symlinkSync('/dev/zero', target),
  ),
  inFolder(
    [
      'linked-folder',
      'a folder on the way that is a link',
      aFile('1_Pooling/config.json', 'a path through a symbolic link'),
    ],
    '1_Pooling',
    (target, folder) => fs.symlinkSync(path.dirname(folder), target),
  ),
];
