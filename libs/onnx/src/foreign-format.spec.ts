import { gzipSync, deflateSync } from 'node:zlib';
import { inspectOnnx } from './inspect-onnx';
import { foreignFormat } from './foreign-format';
import { faultsOf } from './testing/faults-of';
import { identityModel } from './testing/models';

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('foreignFormat', () => {
  it.each([
    ['pickle', latin1('\x80\x04\x95\x10\0\0\0')],
    ['pickle', latin1('(dp0\n')],
    ['ZIP', latin1('PK\x03\x04\x14\0')],
    ['gzip', gzipSync('model')],
    ['zlib', deflateSync('model')],
    ['bzip2', latin1('BZh91AY')],
    ['xz', latin1('\xfd7zXZ\0\0')],
    ['Zstandard', latin1('\x28\xb5\x2f\xfd\0')],
    ['LZ4', latin1('\x04\x22\x4d\x18')],
    ['7-Zip', latin1('7z\xbc\xaf\x27\x1c')],
    ['RAR', latin1('Rar!\x1a\x07')],
    ['tar', Buffer.concat([Buffer.alloc(257, 0x61), latin1('ustar\0')])],
    ['ONNX Runtime’s own format', latin1('\x18\0\0\0ORTM\0\0')],
    ['TensorFlow Lite', latin1('\x1c\0\0\0TFL3')],
    ['HDF5', latin1('\x89HDF\r\n\x1a\n')],
    ['GGUF', latin1('GGUF\x03\0\0\0')],
    ['safetensors', latin1('\x40\0\0\0\0\0\0\0{"weight":')],
    ['NumPy', latin1('\x93NUMPY\x01\0')],
    ['PNG', Buffer.concat([latin1('\x89PNG\r\n\x1a\n'), identityModel()])],
    ['JPEG', latin1('\xff\xd8\xff\xe0')],
    ['PDF', latin1('%PDF-1.7')],
    ['program', latin1('\x7fELF\x02\x01')],
    ['Git LFS', latin1('version https://git-lfs.github.com/spec/v1\noid sha256:')],
    ['LightGBM', latin1('tree\nversion=v4\n')],
    ['CatBoost', latin1('CBM1\0\0')],
    ['JSON', latin1('{"learner": {}}')],
    ['JSON', latin1('\xef\xbb\xbf  [ {"a": 1} ]')],
    ['XML', latin1('<?xml version="1.0"?><PMML>')],
    ['HTML', latin1('<!DOCTYPE html><html>')],
  ])('names a file that is %s', (name, bytes) => {
    expect(foreignFormat(bytes)?.name).toContain(name);
    expect(faultsOf(() => inspectOnnx(bytes))).toEqual([
      expect.objectContaining({
        expected: 'an ONNX file',
        received: foreignFormat(bytes)?.name,
        hint: expect.any(String),
      }),
    ]);
  });

  it('says nothing about ONNX files and unknown bytes', () => {
    expect(foreignFormat(identityModel())).toBeUndefined();
    expect(foreignFormat(Buffer.alloc(0))).toBeUndefined();
    expect(foreignFormat(latin1('\x08\x07\x12\x05'))).toBeUndefined();
  });
});
