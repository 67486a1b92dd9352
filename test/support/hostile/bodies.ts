import { identityModel } from '@sibyl/onnx/testing';
import type { Part } from '../model-packages';
import type { HostileUpload, Refusal } from './hostile-package';
import { zipBomb } from './wire';

const refused = (says: string, pointer?: string): Refusal => ({
  code: 'invalid_parameter',
  says,
  ...(pointer === undefined ? {} : { pointer }),
});
const NAME = refused('relative path', '/file');
const file = (name: string, content: Buffer | string = 'x'): Part => ({ field: 'f', file: name, content });
const MODEL = file('model.onnx', identityModel());

/** Names that should lead out of the package, or to something that is no file. */
const NAMES: readonly (readonly [name: string, attack: string, file: string])[] = [
  ['part-upwards', 'a file outside the upload', '../../../../srv/owned'],
  ['part-absolute', 'a file at the root', '/srv/owned'],
  ['part-windows', 'a file on a drive', 'C:\\\\owned'],
  ['part-backslash', 'a file outside, as Windows spells it', '..\\\\..\\\\owned'],
  ['part-device', 'a device of Windows', 'con.onnx'],
  ['part-dots', 'a name of dots', 'a/.../b'],
  ['part-deep', 'twenty folders', `${'a/'.repeat(20)}b`],
  ['part-long', 'a name of four kilobytes', 'a'.repeat(4096)],
  ['part-encoded', 'a file outside, encoded', '%2e%2e%2fowned'],
  ['part-unicode', 'a name that looks like another', 'mоdel.onnx'],
  ['part-stream', 'a stream beside a file', 'model.onnx::$DATA'],
];

export const HOSTILE_BODIES: readonly HostileUpload[] = [
  ...NAMES.map(([name, attack, part]) => ({ name, attack, refused: NAME, parts: () => [MODEL, file(part)] })),
  {
    name: 'part-nul',
    attack: 'a name that ends early',
    refused: refused('no control character in the name of a file', '/'),
    parts: () => [MODEL, file('model.onnx\0.txt')],
  },
  {
    name: 'part-twice',
    attack: 'one file twice, so that the one is checked and the other is used',
    refused: refused('once', '/model.onnx'),
    parts: () => [MODEL, file('model.onnx', 'other')],
  },
  {
    name: 'part-below-file',
    attack: 'a file below a file',
    refused: refused('folder', '/model.onnx/x'),
    parts: () => [MODEL, file('model.onnx/x')],
  },
  {
    name: 'part-over-folder',
    attack: 'a file where a folder is',
    refused: refused('folder', '/data'),
    parts: () => [MODEL, file('data/x'), file('data')],
  },
  {
    name: 'archive',
    attack: 'an archive instead of a package',
    refused: { code: 'model_rejected', pointer: '/model.onnx', says: '0 .onnx files' },
    parts: () => [file('package.zip', zipBomb()), { field: 'version', content: '1' }],
  },
  {
    name: 'two-models',
    attack: 'two models, neither of which is the one',
    refused: { code: 'model_rejected', pointer: '/model.onnx', says: '2 .onnx files' },
    parts: () => [file('a.onnx', identityModel()), file('b.onnx', identityModel()), { field: 'version', content: '1' }],
  },
  {
    name: 'nameless-version',
    attack: 'a version that is a path',
    refused: refused('A-Z', '/version'),
    parts: () => [MODEL, { field: 'version', content: '../../1' }],
  },
  {
    name: 'reserved-version',
    attack: 'a version that requests read as an alias',
    refused: refused('reserved word', '/version'),
    parts: () => [MODEL, { field: 'version', content: 'Production' }],
  },
];
