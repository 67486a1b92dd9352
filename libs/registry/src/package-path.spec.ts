import { isPackagePath, packagePath } from './package-path';
import { digestHex, packageDigest } from './package-digest';

describe('the path of a file in a package', () => {
  it.each(['model.onnx', '1_Pooling/config.json', 'a/b/c/d', 'weights v2 (final).bin', 'onnx__MatMul_123'])(
    'may be %j',
    (name) => {
      expect(packagePath(name)).toBe(name);
    },
  );

  it.each([
    ...[
      '',
      '.',
      '..',
      '../x',
      'a/../b',
      'a/../../b',
      './a',
      'a//b',
      '/etc/passwd',
      'a/',
      'C:\\x',
      'C:/x',
      'a\\b',
      '..\\x',
    ],
    ...['..%2fx', '%2e%2e/', 'x\0.onnx', 'x\n', '．．/x', 'con', 'nul.txt', 'a/COM1', 'x.', 'x ', ' ', '...', '~/x'],
    ...[
      'a/b/c/d/e',
      'x'.repeat(129),
      `${'a/'.repeat(3)}${'b'.repeat(255)}`,
      '\u202emodel.onnx',
      'é.bin',
      '__proto__/../x',
    ],
  ])('may not be %j', (name) => {
    expect(isPackagePath(name)).toBe(false);
    expect(() => packagePath(name, '/parts/0')).toThrow(
      expect.objectContaining({ code: 'invalid_parameter' }) as Error,
    );
  });
});

describe('the digest of a package', () => {
  const files = [
    { path: 'sibyl.json', sha256: 'b'.repeat(64), bytes: 2 },
    { path: 'model.onnx', sha256: 'a'.repeat(64), bytes: 1 },
  ];

  it('is the SHA-256 of the sorted lines, as sha256sum would have it', () => {
    expect(packageDigest(files)).toBe('sha256:f1dfa81824c106a49ccfba9e929278e02bc1a535edda8de7af4599602017d952');
  });

  it('does not depend on the order of files, and on everything else', () => {
    expect(packageDigest([...files].reverse())).toBe(packageDigest(files));
    for (const change of [{ path: 'Sibyl.json' }, { sha256: 'c'.repeat(64) }, { bytes: 3 }]) {
      expect(packageDigest(files.map((file, i) => (i ? file : { ...file, ...change })))).not.toBe(packageDigest(files));
    }
  });

  it('is the only text that names a folder', () => {
    expect(digestHex(packageDigest(files))).toMatch(/^[0-9a-f]{64}$/);
    for (const text of [
      '',
      'sha256:',
      `sha256:${'A'.repeat(64)}`,
      `sha256:../${'a'.repeat(61)}`,
      `${packageDigest(files)}/..`,
    ]) {
      expect(digestHex(text)).toBeUndefined();
    }
  });
});
