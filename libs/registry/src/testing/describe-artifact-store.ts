import { mkdtemp, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ArtifactStore, StoredPackage } from '../artifact-store';
import { packageFolder } from './package-folder';

const UNKNOWN = `sha256:${'0'.repeat(64)}`;
const FILES = ['model.onnx', '1_Pooling/config.json'];

/** Takes files of a folder into a store. */
export async function storePackage(
  store: ArtifactStore,
  source: string,
  names: readonly string[] = FILES,
): Promise<StoredPackage> {
  const staged = await store.stage();
  try {
    for (const name of names) expect(await staged.take(source, name)).toBe(true);
    const { files } = staged;
    return { digest: await store.commit(staged), files };
  } finally {
    await store.abandon(staged);
  }
}

/** What every artifact store does. `make` gives another one on the same root each time, as another process has it. */
export function describeArtifactStore(name: string, make: (root: string) => ArtifactStore): void {
  describe(name, () => {
    let root: string;
    let source: string;
    let store: ArtifactStore;
    const staging = (): Promise<string[]> => readdir(path.join(root, 'staging'));
    beforeEach(async () => {
      root = await mkdtemp(path.join(os.tmpdir(), 'sibyl-store-'));
      source = await packageFolder({ files: { '1_Pooling/config.json': '{"a":1}' } });
      store = make(root);
    });
    afterEach(() => rm(root, { recursive: true, force: true }));

    it('gives back what it took, under its digest, for nobody else to read or write', async () => {
      const { digest } = await storePackage(store, source);
      const folder = await store.artifactFolder(digest);
      expect(folder).toBe(store.folderOf(digest));
      expect(path.basename(folder)).toBe(digest.slice('sha256:'.length));
      expect(await readFile(path.join(folder, '1_Pooling/config.json'), 'utf8')).toBe('{"a":1}');
      expect(await readFile(path.join(folder, 'model.onnx'))).toEqual(await readFile(path.join(source, 'model.onnx')));
      expect((await stat(folder)).mode & 0o777).toBe(0o700);
      expect((await stat(path.join(folder, 'model.onnx'))).mode & 0o777).toBe(0o400);
      expect(await store.readFile(digest, '1_Pooling/config.json', 100)).toEqual(Buffer.from('{"a":1}'));
      expect(await store.readFile(digest, 'nothing', 100)).toBeUndefined();
      expect(await staging()).toEqual([]);
    });

    it('gives equal bytes one place, and what is not there no place', async () => {
      const first = await storePackage(store, source);
      expect(await storePackage(store, source)).toEqual(first);
      expect(await readdir(path.join(root, 'packages'))).toHaveLength(1);
      expect(await store.has(first.digest)).toBe(true);
      expect(await store.has(UNKNOWN)).toBe(false);
      await expect(store.artifactFolder(UNKNOWN)).rejects.toMatchObject({ code: 'model_not_ready' });
      await expect(store.artifactFolder('sha256:../../etc')).rejects.toMatchObject({ code: 'internal_error' });
    });

    it('finds intact what was only touched, and what it has never looked at', async () => {
      const { digest } = await storePackage(store, source);
      const folder = await make(root).recheck(digest);
      await store.artifactFolder(digest);
      await utimes(path.join(folder, 'model.onnx'), 1, 1);
      expect(await store.recheck(digest)).toBe(folder);
    });

    it('takes the same bytes from many at once, and none of them ever finds them missing', async () => {
      const others = Array.from({ length: 8 }, () => make(root));
      const folders = await Promise.all(
        others.map(async (other) => other.artifactFolder((await storePackage(other, source)).digest)),
      );
      expect(new Set(folders).size).toBe(1);
      expect(await readdir(path.join(root, 'packages'))).toHaveLength(1);
      expect(await staging()).toEqual([]);
    });

    it('has a package until it is removed, and takes it anew', async () => {
      const { digest } = await storePackage(store, source);
      await store.remove(digest);
      await store.remove(digest);
      expect(await store.has(digest)).toBe(false);
      await expect(store.recheck(digest)).rejects.toMatchObject({ code: 'model_not_ready' });
      expect(await readdir(path.join(root, 'packages'))).toEqual([]);
      expect((await storePackage(store, source)).digest).toBe(digest);
      expect(await store.artifactFolder(digest)).toBe(store.folderOf(digest));
    });

    it('leaves as it is what a look has found intact', async () => {
      const stored = await storePackage(store, source);
      expect(await store.reconcile(stored, true)).toBe(true);
      expect(await store.artifactFolder(stored.digest)).toBe(store.folderOf(stored.digest));
    });
  });
}
