import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { packageFolder } from './testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';
import { canonicalJson } from './canonical-json';
import { encodeHeader, PRELUDE_BYTES, type VersionFileHeader } from './version-file';
import { packageDigest } from './package-digest';

const BOB = { ...ALICE, id: 'key-2', keyId: 'key-2', name: 'bob' };
const folders: string[] = [];

async function folderWith(name: string, bytes: Buffer): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-exchange-'));
  folders.push(folder);
  await writeFile(path.join(folder, name), bytes);
  return folder;
}

/** The file with another header, everything that can be recomputed recomputed. */
function withHeader(file: Buffer, change: (header: VersionFileHeader) => unknown): Buffer {
  const length = file.readUInt32LE(12);
  const header = JSON.parse(file.toString('utf8', PRELUDE_BYTES, PRELUDE_BYTES + length)) as VersionFileHeader;
  const { prelude, text } = encodeHeader(change(header) as VersionFileHeader);
  return Buffer.concat([prelude, text, file.subarray(PRELUDE_BYTES + length)]);
}

describe('a version as one file', () => {
  let here: RegistryFixture;
  let there: RegistryFixture;
  let file: Buffer;
  let digest: string;

  const codeOf = (error: unknown) =>
    error instanceof DomainError ? `${error.code} ${error.faults?.[0]?.received ?? ''}` : String(error);
  const bring = async (bytes: Buffer, name = 'linear.sibyl'): Promise<string> => {
    const folder = await folderWith(name, bytes);
    return there.registry
      .registerFolder(BOB, folder, { name: 'linear' }, there.record)
      .then(({ version, created }) => `${version.version} ${created ? 'created' : 'known'}`, codeOf);
  };

  beforeAll(async () => {
    [here, there] = await Promise.all([registryFixture(), registryFixture()]);
    const { version } = await here.registry.registerFolder(ALICE, await packageFolder(), {}, here.record);
    digest = version.digest;
    await here.registry.aliases.move(
      ALICE,
      { model: 'linear', alias: 'production', version: '1.0.0', reason: 'the first', ifNoneMatch: '*' },
      here.record,
    );
    await here.registry.approve(BOB, { model: 'linear', version: '1.0.0', reason: 'looks right' }, here.record);
    const leaving = await here.registry.export(ALICE, { model: 'linear', version: '1.0.0' }, here.record);
    const chunks: Buffer[] = [];
    for await (const chunk of leaving.chunks()) chunks.push(chunk);
    file = Buffer.concat(chunks);
    expect([leaving.name, leaving.bytes]).toEqual(['linear-1.0.0.sibyl', file.length]);
    expect(here.changes.at(-1)).toMatchObject({
      action: 'model.export',
      changes: { record_sha256: leaving.recordSha256 },
      model: { version: '1.0.0', digest },
    });
  });
  afterAll(async () => {
    await Promise.all([here.end(), there.end()]);
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  });
  afterEach(async () => {
    // Whatever came of it, nothing that was unpacked stays.
    expect(await readdir(path.join(there.options.artifactFolder, 'uploads'))).toEqual([]);
  });

  it.each([
    ['nothing', (bytes: Buffer) => bytes.subarray(0, 0)],
    ['another magic', (bytes: Buffer) => Buffer.concat([Buffer.from('PK'), bytes.subarray(2)])],
    ['a later format', (bytes: Buffer) => Buffer.from(bytes).fill(2, 8, 9)],
    ['a header past the limit', (bytes: Buffer) => Buffer.from(bytes).fill(0xff, 12, 16)],
    [
      'a header that was changed',
      (bytes: Buffer) => Buffer.from(bytes).fill(0x20, PRELUDE_BYTES + 2, PRELUDE_BYTES + 3),
    ],
    ['a changed file', (bytes: Buffer) => Buffer.from(bytes).fill(0x7f, bytes.length - 1)],
    ['a byte too many', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from([0])])],
    ['a header that is not canonical', (bytes: Buffer) => withSpace(bytes)],
    ['a name that leads upwards', (bytes: Buffer) => renamed(bytes, '../model.onnx')],
    ['an absolute name', (bytes: Buffer) => renamed(bytes, '/etc/passwd')],
    ['a name with NUL', (bytes: Buffer) => renamed(bytes, 'model\0.onnx')],
    ['the same name twice', (bytes: Buffer) => withFiles(bytes, (files) => [files[0], ...files])],
    ['names that are not sorted', (bytes: Buffer) => withFiles(bytes, (files) => [...files].reverse())],
    [
      'a file that is a folder too',
      (bytes: Buffer) => withFiles(bytes, (files) => [...files, child(files)].sort(byPath)),
    ],
    ['a negative length', (bytes: Buffer) => withFiles(bytes, (files) => files.map((one) => ({ ...one, bytes: -1 })))],
    [
      'a length past the limit',
      (bytes: Buffer) => withFiles(bytes, (files) => files.map((one) => ({ ...one, bytes: 2 ** 52 }))),
    ],
    [
      'another length',
      (bytes: Buffer) => withFiles(bytes, (files) => files.map((one) => ({ ...one, bytes: one.bytes + 1 }))),
    ],
    [
      'another digest',
      (bytes: Buffer) => withHeader(bytes, (header) => ({ ...header, digest: `sha256:${'0'.repeat(64)}` })),
    ],
    ['no files', (bytes: Buffer) => withFiles(bytes, () => [])],
    [
      'an unknown member of a file',
      (bytes: Buffer) => withFiles(bytes, (files) => files.map((one) => ({ ...one, mode: 511 }))),
    ],
    ['a record without a name', (bytes: Buffer) => withHeader(bytes, (header) => ({ ...header, record: {} }))],
    ['a file that belongs to no package', (bytes: Buffer) => withStranger(bytes)],
  ])('%s is refused', async (_, change) => {
    expect(await bring(change(file))).toMatch(/^model_rejected /);
  });

  it('of another model or version is refused by name', async () => {
    const other = withHeader(file, (header) => ({ ...header, record: { ...header.record, model: 'cubic' } }));
    expect(await bring(other)).toBe('manifest_mismatch cubic');
    const later = withHeader(file, (header) => ({ ...header, record: { ...header.record, version: '9.9.9' } }));
    expect(await bring(later)).toMatch(/^manifest_mismatch/);
  });

  it('is refused wherever it is cut off', async () => {
    const cuts = [
      ...Array(PRELUDE_BYTES + 64).keys(),
      ...Array.from({ length: 40 }, (_, i) => Math.floor((file.length * i) / 40)),
    ];
    for (const cut of new Set([...cuts, file.length - 1])) {
      expect([cut, await bring(file.subarray(0, cut))]).toEqual([cut, expect.stringMatching(/^model_rejected /)]);
    }
  });

  it('is refused, or harmless, whichever bit of its first kilobyte is flipped', async () => {
    for (let at = 0; at < 1024; at += 7) {
      const flipped = Buffer.from(file);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      expect([at, await bring(flipped)]).toEqual([at, expect.stringMatching(/^model_rejected /)]);
    }
  });

  it('arrives with its record, is validated anew, and is the same version', async () => {
    expect(await bring(file)).toBe('1.0.0 created');
    const arrived = await there.registry.find('linear', '1.0.0');
    expect(arrived).toMatchObject({ digest, status: 'validated', aliases: [], registeredBy: BOB });
    expect(there.runtime.trials).toHaveLength(1);
    expect(there.changes.at(-1)).toMatchObject({
      action: 'model.register',
      changes: { origin: { record_sha256: here.changes.at(-1)?.changes?.['record_sha256'] } },
    });
    const [kept] = await there.database.query<{ header: VersionFileHeader }>(
      'SELECT header FROM registry.version_origin',
    );
    expect(kept?.header.record).toMatchObject({
      status: 'active',
      registered_by: ALICE,
      report: { passed: true },
      alias_history: [{ alias: 'production', version: '1.0.0', reason: 'the first', digest }],
      approvals: [{ kind: 'approve', actor: BOB, reason: 'looks right', digest, policy_revision: 0 }],
    });
    expect(await bring(file)).toBe('1.0.0 known');
  });

  it('leaves again with where it came from', async () => {
    const leaving = await there.registry.export(BOB, { model: 'linear', version: '1.0.0' }, there.record);
    const [prelude, text] = [await leaving.chunks().next(), undefined];
    expect([prelude.done, text]).toEqual([false, undefined]);
    const chunks: Buffer[] = [];
    for await (const chunk of leaving.chunks()) chunks.push(chunk);
    const { record } = JSON.parse(chunks[1]?.toString() ?? '') as VersionFileHeader;
    expect(record['origins']).toMatchObject([{ imported_by: BOB, header: { record: { registered_by: ALICE } } }]);
  });
});

describe('where a version came from', () => {
  let here: RegistryFixture;
  beforeEach(async () => (here = await registryFixture()));
  afterEach(() => here.end());

  const linear = { model: 'linear', version: '1.0.0' };
  const register = (folder: string) => here.registry.registerFolder(ALICE, folder, {}, here.record);
  const exported = async (): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of (await here.registry.export(ALICE, linear, here.record)).chunks()) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const originsOf = (bytes: Buffer): unknown[] => {
    const length = bytes.readUInt32LE(12);
    const header = JSON.parse(bytes.toString('utf8', PRELUDE_BYTES, PRELUDE_BYTES + length)) as VersionFileHeader;
    return header.record['origins'] as unknown[];
  };
  const origin = (digest: string, sha256: string, letters: number): Promise<unknown> =>
    here.database.query(
      `INSERT INTO registry.version_origin (model, version, digest, record_sha256, header, at, actor)
       VALUES ('linear', '1.0.0', $1, $2, $3, now(), '{}')`,
      [digest, sha256.repeat(64), JSON.stringify({ notes: 'x'.repeat(letters) })],
    );

  it('is kept of no import that was rejected: its event names the record', async () => {
    await register(await packageFolder());
    const file = await exported();
    const there = await registryFixture();
    there.runtime.answer = (features) => ({ ...features, name: 'variable', shape: [1, 1], data: Float32Array.of(9) });
    const folder = await folderWith('linear.sibyl', file);
    const rejected = there.registry.registerFolder(BOB, folder, {}, there.record);
    await expect(rejected).rejects.toMatchObject({ code: 'model_rejected' });
    expect(await there.database.query('SELECT * FROM registry.version_origin')).toEqual([]);
    const record_sha256 = here.changes.at(-1)?.changes?.['record_sha256'];
    expect(there.changes.at(-1)).toMatchObject({ action: 'model.register', changes: { origin: { record_sha256 } } });
    await there.end();
  });

  it('is told of its own bytes only, and no longer than a file has room for', async () => {
    const { version } = await register(await packageFolder());
    await origin(`sha256:${'0'.repeat(64)}`, 'a', 10);
    expect(originsOf(await exported())).toEqual([]);
    for (const [sha256, letters] of [
      ['b', 600_000],
      ['c', 600_000],
    ] as const)
      await origin(version.digest, sha256, letters);
    expect(originsOf(await exported())).toMatchObject([
      { sha256: 'b'.repeat(64), header: { notes: expect.stringMatching(/^x+$/) as string } },
      { sha256: 'c'.repeat(64), header: null },
    ]);
  });
});

type Files = VersionFileHeader['files'][number];
const byPath = (a: Files, b: Files): number => (a.path < b.path ? -1 : 1);
const child = (files: readonly Files[]): Files => ({ ...(files[0] as Files), path: `${files[0]?.path ?? ''}/inner` });

function withFiles(bytes: Buffer, change: (files: readonly Files[]) => readonly (Files | undefined)[]): Buffer {
  return withHeader(bytes, (header) => {
    const files = change(header.files) as readonly Files[];
    return { ...header, files, digest: packageDigest(files) };
  });
}

function renamed(bytes: Buffer, name: string): Buffer {
  return withFiles(bytes, (files) =>
    files.map((file) => (file.path === 'model.onnx' ? { ...file, path: name } : file)),
  );
}

function withSpace(bytes: Buffer): Buffer {
  const length = bytes.readUInt32LE(12);
  const text = JSON.stringify(JSON.parse(bytes.toString('utf8', PRELUDE_BYTES, PRELUDE_BYTES + length)), null, 1);
  expect(canonicalJson(JSON.parse(text))).toBe(bytes.toString('utf8', PRELUDE_BYTES, PRELUDE_BYTES + length));
  return reheaded(bytes, Buffer.from(text));
}

/** With a header that is taken as it is. */
function reheaded(bytes: Buffer, text: Buffer): Buffer {
  const { prelude } = encodeHeader({ digest: 'sha256:', files: [], record: { model: '', version: '' } });
  prelude.writeUInt32LE(text.length, 12);
  createHash('sha256').update(text).digest().copy(prelude, 16);
  return Buffer.concat([prelude, text, bytes.subarray(PRELUDE_BYTES + bytes.readUInt32LE(12))]);
}

function withStranger(bytes: Buffer): Buffer {
  const stranger = { path: 'zzz.sh', bytes: 0, sha256: createHash('sha256').digest('hex') };
  return withFiles(bytes, (files) => [...files, stranger]);
}
