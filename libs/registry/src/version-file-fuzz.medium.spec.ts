import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DomainError } from '@sibyl/kernel';
import { artifactStoreOf } from './bucket-artifact-store';
import { CountingIds } from '@sibyl/kernel/testing';
import { packageFolder } from './testing/package-folder';
import { ALICE, registryFixture, type RegistryFixture } from './testing/registry-fixture';
import { PRELUDE_BYTES } from './version-file';
import { VersionExchange } from './version-exchange';

const MUTANTS = 3000;
/** Of them, those that go the whole way into the registry. */
const REGISTERED_EVERY = 150;
const LENGTHS = [0, 1, 47, 4 * 1024 * 1024, 4 * 1024 * 1024 + 1, 0x7fffffff, 0x80000000, 0xffffffff];
const NUMBERS = ['-1', '0', '1', '1e308', '9007199254740991', '9007199254740993', '0.5', 'null', '"1"', '{}'];

/** Memory, where there is such a place: tens of thousands of small files are made. */
const PLACE = existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();

/** The same numbers in every run. */
class Chance {
  constructor(private state: number) {}

  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

const headerOf = (file: Buffer): Buffer => file.subarray(PRELUDE_BYTES, PRELUDE_BYTES + file.readUInt32LE(12));
const bodyOf = (file: Buffer): Buffer => file.subarray(PRELUDE_BYTES + file.readUInt32LE(12));

/** The file with another header under the digest that it then has, so that the reader gets further. */
function reheaded(file: Buffer, header: Buffer): Buffer {
  const prelude = Buffer.from(file.subarray(0, PRELUDE_BYTES));
  prelude.writeUInt32LE(header.length, 12);
  createHash('sha256').update(header).digest().copy(prelude, 16);
  return Buffer.concat([prelude, header, bodyOf(file)]);
}

function flipped(bytes: Buffer, chance: Chance): Buffer {
  const copy = Buffer.from(bytes);
  for (let flips = 1 + chance.below(3); flips > 0; flips--) {
    const at = chance.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << chance.below(8));
  }
  return copy;
}

function spliced(bytes: Buffer, chance: Chance): Buffer {
  const from = chance.below(bytes.length);
  const part = bytes.subarray(from, from + chance.below(200));
  const at = chance.below(bytes.length);
  const gone = chance.of([0, part.length, chance.below(200)]);
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at + gone)]);
}

function renumbered(header: Buffer, chance: Chance): Buffer {
  const text = header.toString('latin1');
  const found = [...text.matchAll(/(?<=:)\d+(?=[,}])/g)];
  const { index, 0: number } = chance.of(found);
  return Buffer.from(text.slice(0, index) + chance.of(NUMBERS) + text.slice(index + number.length), 'latin1');
}

/** Other letters where the record has letters: what stays canonical is taken, because nothing in a record is believed. */
function reworded(header: Buffer, chance: Chance): Buffer {
  const copy = Buffer.from(header);
  const begin = copy.indexOf('"record":');
  for (;;) {
    const at = begin + chance.below(copy.length - begin);
    const letter = copy[at] ?? 0;
    if (letter < 0x61 || letter > 0x7a) continue;
    copy[at] = 0x61 + chance.below(26);
    return copy;
  }
}

function relengthed(file: Buffer, chance: Chance): Buffer {
  const copy = Buffer.from(file);
  const length = copy.readUInt32LE(12);
  copy.writeUInt32LE(chance.of([...LENGTHS, length - 1, length + 1, file.length, file.length - PRELUDE_BYTES]), 12);
  return copy;
}

const MUTATIONS: readonly ((file: Buffer, chance: Chance) => Buffer)[] = [
  flipped,
  (file, chance) => file.subarray(0, chance.below(file.length)),
  (file, chance) => Buffer.concat([file, file.subarray(chance.below(file.length))]),
  spliced,
  relengthed,
  (file, chance) => reheaded(file, flipped(headerOf(file), chance)),
  (file, chance) => reheaded(file, spliced(headerOf(file), chance)),
  (file, chance) => reheaded(file, renumbered(headerOf(file), chance)),
  (file, chance) => reheaded(file, reworded(headerOf(file), chance)),
  (file, chance) => Buffer.concat([file.subarray(0, file.length - bodyOf(file).length), flipped(bodyOf(file), chance)]),
];

describe('thousands of version files that are not quite one', () => {
  let fixture: RegistryFixture;
  let file: Buffer;
  let digest: string;
  let brought: string;
  let exchange: VersionExchange;
  const originals = new Map<string, Buffer>();

  const entries = (folder: string): Promise<string[]> => readdir(path.join(fixture.options.artifactFolder, folder));
  const codeOf = (error: unknown): string => (error instanceof DomainError ? error.code : `bare ${String(error)}`);

  beforeAll(async () => {
    const here = await registryFixture();
    brought = await mkdtemp(path.join(PLACE, 'sibyl-fuzz-'));
    fixture = await registryFixture({ artifactFolder: path.join(brought, 'artifacts') });
    const source = await packageFolder({
      files: { 'notes/one.txt': 'one', 'notes/two.txt': 'two' },
      manifest: { files: ['notes/one.txt', 'notes/two.txt'] },
    });
    const { version } = await here.registry.registerFolder(ALICE, source, {}, here.record);
    ({ digest } = version);
    for (const { path: name } of version.files) originals.set(name, await readFile(path.join(source, name)));
    const chunks: Buffer[] = [];
    const leaving = await here.registry.export(ALICE, { model: 'linear', version: '1.0.0' }, here.record);
    for await (const chunk of leaving.chunks()) chunks.push(chunk);
    file = Buffer.concat(chunks);
    await here.end();
    const { database, clock, options } = fixture;
    const store = artifactStoreOf({ options, ids: new CountingIds() });
    exchange = new VersionExchange(database, store, clock, options, undefined);
    await mkdir(path.join(brought, 'in'));
  });
  afterAll(async () => {
    await fixture.end();
    await rm(brought, { recursive: true, force: true });
  });

  /** What is unpacked, if anything is, must be what was packed. */
  async function opened(folder: string): Promise<string> {
    try {
      const { folder: unpacked, close } = await exchange.open(folder, { name: 'linear' });
      for (const [name, bytes] of originals)
        expect([name, (await readFile(path.join(unpacked, name))).equals(bytes)]).toEqual([name, true]);
      const found = await readdir(unpacked, { recursive: true, withFileTypes: true });
      expect(found.filter((entry) => entry.isFile())).toHaveLength(originals.size);
      await close();
      return 'taken';
    } catch (error) {
      return codeOf(error);
    }
  }

  it('are refused by a code or are the same package, and leave nothing behind', async () => {
    const chance = new Chance(6007);
    const folder = path.join(brought, 'in');
    const seen = new Map<string, number>();
    for (let i = 0; i < MUTANTS; i++) {
      const mutant = (MUTATIONS[i % MUTATIONS.length] as (typeof MUTATIONS)[number])(file, chance);
      await writeFile(path.join(folder, 'a.sibyl'), mutant);
      const outcome = await opened(folder);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
      expect([i, outcome]).toEqual([i, expect.stringMatching(/^(taken|model_rejected|manifest_mismatch)$/)]);
      expect([i, await entries('uploads')]).toEqual([i, []]);
      if (i % REGISTERED_EVERY !== 0 && !(outcome === 'taken' && (seen.get(outcome) ?? 0) % 50 === 1)) continue;
      const registered = await fixture.registry
        .registerFolder(ALICE, folder, { name: 'linear' }, fixture.record)
        .then(({ version }) => version.digest, codeOf);
      expect([i, registered]).toEqual([i, expect.stringMatching(/^(sha256:|model_rejected$|manifest_mismatch$)/)]);
      if (registered.startsWith('sha256:')) expect(registered).toBe(digest);
    }
    // Otherwise they never got past the first check.
    expect(seen.get('taken')).toBeGreaterThan(50);
    const rows = await fixture.database.query('SELECT model, version, digest, status FROM registry.model_version');
    expect(rows).toEqual([{ model: 'linear', version: '1.0.0', digest, status: 'validated' }]);
    expect(await entries('packages')).toEqual([digest.slice('sha256:'.length)]);
    expect([...(await entries('staging')), ...(await entries('uploads'))]).toEqual([]);
  }, 60_000);
});
