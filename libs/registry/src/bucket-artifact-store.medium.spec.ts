import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { SystemClock, UuidV7Source } from '@sibyl/kernel';
import type { ArtifactStore, StoredPackage } from './artifact-store';
import { artifactStoreOf } from './bucket-artifact-store';
import { RegistryOptions } from './registry-options';
import { SourceOptions } from './sources/source-options';
import { packageFolder } from './testing';
import { describeArtifactStore, storePackage } from './testing/describe-artifact-store';
import { flipBit } from './testing/flip-bit';
import { S3Server } from './testing/s3-server';

const FILES = ['model.onnx', 'sibyl.json', '1_Pooling/config.json', 'empty.bin'];
const PART_BYTES = 16 * 1024 * 1024;

let server: S3Server;
let folder: string;
beforeEach(async () => {
  server = await S3Server.start();
  folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-bucket-'));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

type Hooks = Pick<Parameters<typeof artifactStoreOf>[0], 'loaded' | 'evicted'> & Partial<RegistryOptions>;

function storeAt(
  root: string,
  artifactPrefix = '',
  pace: Partial<SourceOptions> = {},
  { loaded, evicted, ...own }: Hooks = {},
): ArtifactStore {
  const given = { artifactFolder: root, artifactBucket: server.bucket, artifactPrefix, ...own };
  const sources = { s3Endpoint: server.url, s3AccessKeyId: 'id', s3SecretAccessKey: 'secret', retryMs: 1, ...pace };
  return artifactStoreOf({
    options: Object.assign(new RegistryOptions(), given),
    ids: new UuidV7Source(new SystemClock()),
    sourceOptions: Object.assign(new SourceOptions(), sources),
    ...(loaded ? { loaded } : {}),
    ...(evicted ? { evicted } : {}),
  });
}

const store = (machine = 'one'): ArtifactStore => storeAt(path.join(folder, machine));
const source = (): Promise<string> =>
  packageFolder({ manifest: {}, files: { '1_Pooling/config.json': '{"a":1}', 'empty.bin': '' } });
const objectsOf = (digest: string): string[] =>
  [...server.objects.keys()].filter((key) => key.startsWith(`packages/${digest.slice(7)}`));

describeArtifactStore('a content store with a bucket', (root) => storeAt(root, 'of/tests'));

describe('a store with a bucket', () => {
  it('writes the list of the files last, and sends nothing twice', async () => {
    const from = await source();
    const { digest, files } = await storePackage(store(), from, FILES);
    const place = `packages/${digest.slice(7)}`;
    const puts = server.calls.filter(({ method }) => method === 'PUT').map(({ key }) => key);
    expect(puts).toHaveLength(5);
    expect(puts.at(-1)).toBe(`${place}.json`);
    expect(new Set(puts.slice(0, -1))).toEqual(new Set(FILES.map((file) => `${place}/${file}`)));
    expect(JSON.parse(String(server.objects.get(`${place}.json`)))).toEqual({ digest, files });
    await storePackage(store(), from, FILES);
    expect(server.asked('PUT')).toBe(5);
  });

  it('sends a large file in parts and brings it whole to another machine', async () => {
    const weights = randomBytes(2 * PART_BYTES + 5);
    const from = await packageFolder({ files: { 'weights.bin': weights } });
    const { digest } = await storePackage(store(), from, ['model.onnx', 'weights.bin']);
    expect(server.objects.get(`packages/${digest.slice(7)}/weights.bin`)?.equals(weights)).toBe(true);
    expect(server.unfinished).toBe(0);
    const there = await store('two').artifactFolder(digest);
    expect((await readFile(path.join(there, 'weights.bin'))).equals(weights)).toBe(true);
  });

  it('gives a machine that has nothing its packages, once for all who ask, and then asks the bucket no more', async () => {
    const { digest } = await storePackage(store(), await source(), FILES);
    const other = store('two');
    expect(await other.has(digest)).toBe(true);
    expect(String(await other.readFile(digest, '1_Pooling/config.json', 100))).toBe('{"a":1}');
    const before = server.asked('GET');
    const folders = await Promise.all(Array.from({ length: 6 }, () => other.artifactFolder(digest)));
    expect(new Set(folders)).toEqual(new Set([other.folderOf(digest)]));
    // The list, three files, and the empty one, which no range fits.
    expect(server.asked('GET') - before).toBe(6);
    const third = store('two');
    await server.stop();
    expect(await other.artifactFolder(digest)).toBe(other.folderOf(digest));
    expect(await third.recheck(digest)).toBe(other.folderOf(digest));
    server = await S3Server.start();
  });

  it('mends what is damaged here, when it is used and when it is looked at', async () => {
    const here = store();
    const stored = await storePackage(here, await source(), FILES);
    const model = path.join(here.folderOf(stored.digest), 'model.onnx');
    const bytes = await readFile(model);
    await here.artifactFolder(stored.digest);
    await flipBit(model, 3);
    await here.recheck(stored.digest);
    expect(await readFile(model)).toEqual(bytes);
    await flipBit(model, 3);
    expect(await here.reconcile(stored, false)).toBe(true);
    expect(await readFile(model)).toEqual(bytes);
    expect(await readdir(path.join(folder, 'one/staging'))).toEqual([]);
  });

  it('sends what was stored before there was a bucket', async () => {
    const here = store();
    const stored = await storePackage(here, await source(), FILES);
    server.objects.clear();
    expect(await here.reconcile(stored, true)).toBe(true);
    expect(objectsOf(stored.digest)).toHaveLength(5);
  });

  it.each<[string, (key: string) => void]>([
    ['another file', (key) => server.objects.set(`${key}/model.onnx`, Buffer.from('other'))],
    ['a file too long', (key) => server.objects.set(`${key}/sibyl.json`, Buffer.alloc(100_000))],
    ['a file that is gone', (key) => server.objects.delete(`${key}/model.onnx`)],
    ['a list that is none', (key) => server.objects.set(`${key}.json`, Buffer.from('{"files":[null]}'))],
    ['a list of another package', (key) => server.objects.set(`${key}.json`, otherList(key))],
    ['no list', (key) => server.objects.delete(`${key}.json`)],
  ])('takes nothing from a bucket with %s, and sends it anew when it comes again', async (_, damage) => {
    const from = await source();
    const { digest } = await storePackage(store(), from, FILES);
    damage(`packages/${digest.slice(7)}`);
    const other = store('two');
    await expect(other.artifactFolder(digest)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(await readdir(path.join(folder, 'two/packages'))).toEqual([]);
    expect(await readdir(path.join(folder, 'two/staging'))).toEqual([]);
    await storePackage(other, from, FILES);
    expect(await store('three').artifactFolder(digest)).toContain('three');
  });

  it('keeps nothing for good that the bucket has not got, and completes it when it comes again', async () => {
    const from = await source();
    server.refuses = ({ method, key }) => method === 'PUT' && key.endsWith('/sibyl.json');
    await expect(storePackage(store(), from, FILES)).rejects.toMatchObject({ code: 'source_unavailable' });
    expect([...server.objects.keys()].filter((key) => key.endsWith('.json') && !key.includes('/1_'))).toEqual([]);
    server.refuses = () => false;
    const { digest } = await storePackage(store(), from, FILES);
    expect(objectsOf(digest)).toHaveLength(5);
  });

  it('gives up a large upload that cannot be completed', async () => {
    const from = await packageFolder({ files: { 'weights.bin': randomBytes(PART_BYTES + 1) } });
    server.refuses = ({ query }) => query.get('partNumber') === '2';
    const failed = storePackage(store(), from, ['model.onnx', 'weights.bin']);
    await expect(failed).rejects.toMatchObject({ code: 'source_unavailable' });
    expect(server.unfinished).toBe(0);
  });

  it('removes from the bucket too, the list first, and all of it at the next attempt', async () => {
    const here = store();
    const { digest } = await storePackage(here, await source(), FILES);
    server.refuses = ({ method, body }) => method === 'POST' && body.includes('model.onnx');
    await expect(here.remove(digest)).rejects.toMatchObject({ code: 'source_unavailable' });
    expect(objectsOf(digest)).toHaveLength(4);
    await expect(store('two').artifactFolder(digest)).rejects.toMatchObject({ code: 'model_not_ready' });
    server.refuses = () => false;
    await here.remove(digest);
    expect(server.objects.size).toBe(0);
  });

  it('says of a bucket that is away or not there what it is', async () => {
    const { digest } = await storePackage(store(), await source(), FILES);
    server.refuses = () => true;
    await expect(store('two').has(digest)).rejects.toMatchObject({ code: 'source_unavailable' });
    await expect(store('two').artifactFolder(digest)).rejects.toMatchObject({
      code: 'model_not_ready',
      cause: expect.objectContaining({ code: 'source_unavailable' }) as Error,
    });
  });

  describe('that may keep two packages on this machine', () => {
    const LONG_AGO = 1_000_000;
    let loaded: string[];
    let evicted: string[];
    let small: ArtifactStore;
    const here = async (): Promise<string[]> =>
      (await readdir(path.join(folder, 'small/packages'))).map((name) => `sha256:${name}`).sort();
    const take = async (content: string): Promise<StoredPackage> => {
      const from = await packageFolder({ files: { 'weights.bin': content.repeat(100_000) } });
      return storePackage(small, from, ['model.onnx', 'weights.bin']);
    };
    /** Nobody has used it for long; the lower the number, the longer. */
    const age = (digest: string, at: number): Promise<void> =>
      utimes(small.folderOf(digest), LONG_AGO + at, LONG_AGO + at);
    beforeEach(() => {
      loaded = [];
      evicted = [];
      small = storeAt(
        path.join(folder, 'small'),
        '',
        {},
        {
          artifactCopyBytes: 250_000,
          loaded: () => loaded,
          evicted: (digest) => Promise.resolve(void evicted.push(digest)),
        },
      );
    });

    it('lets the least recently used one go, and has it again when it is needed', async () => {
      const [a, b] = [await take('a'), await take('b')];
      await age(a.digest, 1);
      await age(b.digest, 2);
      await small.recheck(a.digest);
      const c = await take('c');
      expect(await here()).toEqual([a.digest, c.digest].sort());
      expect(evicted).toEqual([b.digest]);
      await age(a.digest, 3);
      expect(await small.artifactFolder(b.digest)).toBe(small.folderOf(b.digest));
      expect(await here()).toEqual([b.digest, c.digest].sort());
    });

    it('keeps what is loaded, was used of late, or is not in the bucket', async () => {
      const [a, b, c] = [await take('a'), await take('b'), await take('c')];
      // All of them have just come.
      expect(await here()).toHaveLength(3);
      for (const { digest } of [a, b, c]) await age(digest, 1);
      loaded = [a.digest];
      server.objects.delete(`packages/${b.digest.slice(7)}.json`);
      await take('d');
      expect(evicted).toEqual([c.digest]);
      server.refuses = ({ method }) => method === 'HEAD';
      await age(a.digest, 1);
      loaded = [];
      await take('e');
      expect(evicted).toEqual([c.digest]);
    });

    it('does not fetch what went for the sake of looking at it, and misses what the bucket has lost', async () => {
      const [a, b] = [await take('a'), await take('b')];
      await age(a.digest, 1);
      const c = await take('c');
      expect(await here()).toEqual([b.digest, c.digest].sort());
      expect(await small.reconcile(a, false)).toBe(true);
      expect(await here()).toEqual([b.digest, c.digest].sort());
      server.objects.delete(`packages/${a.digest.slice(7)}.json`);
      expect(await small.reconcile(a, false)).toBe(false);
    });
  });

  it('does not wait for a bucket that takes requests and never answers', async () => {
    const { digest } = await storePackage(store(), await source(), FILES);
    const hasty = storeAt(path.join(folder, 'two'), '', { stallMs: 50 });
    server.ignores = () => true;
    await expect(hasty.has(digest)).rejects.toMatchObject({ code: 'source_unavailable' });
    server.ignores = ({ key }) => key.endsWith('/model.onnx');
    await expect(hasty.artifactFolder(digest)).rejects.toMatchObject({ code: 'model_not_ready' });
  });

  it('never sends bytes that are not those of the digest', async () => {
    const here = store();
    const stored = await storePackage(here, await source(), FILES);
    server.objects.clear();
    const model = path.join(here.folderOf(stored.digest), 'model.onnx');
    await chmod(model, 0o600);
    await writeFile(model, 'x'.repeat((await readFile(model)).length));
    await expect(here.reconcile(stored, true)).rejects.toMatchObject({ code: 'model_not_ready' });
    expect(objectsOf(stored.digest)).not.toContain(`packages/${stored.digest.slice(7)}.json`);
  });
});

/** A list that is whole in itself and not what the digest says. */
function otherList(key: string): Buffer {
  const list = JSON.parse(String(server.objects.get(`${key}.json`))) as { files: { sha256: string }[] };
  return Buffer.from(JSON.stringify({ ...list, files: list.files.slice(1) }));
}
