import { encodeHeader, PRELUDE_BYTES, readHeader, readPrelude, type VersionFileHeader } from './version-file';
import { packageDigest } from './package-digest';

const LIMITS = { artifactBytes: 1000, files: 10 };
const HEADER_BYTES = 4 * 1024 * 1024;
const FILES = [{ path: 'model.onnx', bytes: 3, sha256: '0'.repeat(64) }];

function header(notes: string): VersionFileHeader {
  return { digest: packageDigest(FILES), files: FILES, record: { model: 'm', version: '1', notes } };
}

/** A header whose text has so many bytes. */
function ofLength(bytes: number): VersionFileHeader {
  return header('x'.repeat(bytes - encodeHeader(header('')).text.length));
}

describe('the header of a version file', () => {
  it('may have 4 MiB when it is written, as when it is read', async () => {
    const most = encodeHeader(ofLength(HEADER_BYTES));
    expect(most.text).toHaveLength(HEADER_BYTES);
    const prelude = readPrelude(most.prelude);
    expect(prelude).toEqual({ headerBytes: HEADER_BYTES, sha256: most.sha256 });
    expect(await readHeader(most.text, prelude, LIMITS)).toEqual(ofLength(HEADER_BYTES));
  });

  it('of one byte more is refused when it is written', () => {
    expect(() => encodeHeader(ofLength(HEADER_BYTES + 1))).toThrow(
      expect.objectContaining({
        code: 'model_rejected',
        faults: [{ pointer: '/record', expected: `at most ${HEADER_BYTES} bytes`, received: `${HEADER_BYTES + 1}` }],
      }),
    );
  });

  it('may have no more values than are read in one go', () => {
    const many = { ...header(''), record: { model: 'm', version: '1', zeros: Array<number>(300_000).fill(0) } };
    expect(() => encodeHeader(many)).toThrow(expect.objectContaining({ code: 'model_rejected' }));
  });

  it('of one byte more is refused when it is read, before any of it is', () => {
    const prelude = Buffer.from(encodeHeader(header('')).prelude);
    prelude.writeUInt32LE(HEADER_BYTES + 1, 12);
    expect(() => readPrelude(prelude)).toThrow(expect.objectContaining({ code: 'model_rejected' }));
    expect(() => readPrelude(prelude.subarray(0, PRELUDE_BYTES - 1))).toThrow();
  });
});
