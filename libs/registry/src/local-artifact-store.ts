import { lstat, mkdir, readdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { DomainError, SingleFlight, invariant, syncFolder, type IdSource } from '@sibyl/kernel';
import { ArtifactStore, type StoredPackage } from './artifact-store';
import { digestHex, packageDigest, type PackageDigest, type PackageFile } from './package-digest';
import { hashFile, ignoreMissing, openPlain, readSmall } from './package-files';
import type { RegistryOptions } from './registry-options';
import { StagedPackage } from './staged-package';
import { TemporaryFolders } from './temporary-folders';

/** Packages whose last check is remembered; more are never loaded at a time. */
const TRACES = 10_000;

/**
 * Packages by content: `packages/<hex of the digest>/`, written beside and renamed into place, never changed, and hashed
 * again before each use. The only names that reach the file system are digests and checked package paths.
 */
export class LocalArtifactStore extends ArtifactStore {
  private readonly packages: string;
  private readonly staging: TemporaryFolders;
  private readonly uploads: TemporaryFolders;
  private readonly checks = new SingleFlight<string>();
  private started: Promise<void> | undefined;
  /** Of packages that were found intact: what the file system said of their files just before. */
  private readonly traces = new Map<string, string>();

  constructor(
    private readonly options: Pick<RegistryOptions, 'artifactFolder' | 'artifactBytes' | 'files'>,
    ids: IdSource,
  ) {
    super();
    const root = path.resolve(options.artifactFolder);
    this.packages = path.join(root, 'packages');
    this.staging = new TemporaryFolders(path.join(root, 'staging'), ids);
    this.uploads = new TemporaryFolders(path.join(root, 'uploads'), ids);
  }

  start(): Promise<void> {
    this.started ??= this.prepare().catch((error: unknown) => {
      this.started = undefined;
      throw error;
    });
    return this.started;
  }

  async uploadFolder(): Promise<string> {
    await this.start();
    return this.uploads.make();
  }

  discard(folder: string): Promise<void> {
    return this.uploads.remove(folder);
  }

  async stage(): Promise<StagedPackage> {
    await this.start();
    return new StagedPackage(await this.staging.make(), this.options);
  }

  abandon(staged: StagedPackage): Promise<void> {
    return this.staging.remove(staged.folder);
  }

  async commit(staged: StagedPackage): Promise<PackageDigest> {
    const { digest } = staged;
    const target = this.folderOf(digest);
    await staged.sync();
    const present = await this.has(digest);
    if (!present || !(await this.intact(digest))) {
      // What was not there a moment ago may be there now, whole, from another process: only known damage is moved away.
      if (present) await this.setAside(target);
      await rename(staged.folder, target).catch(async (error: unknown) => {
        if (!(await this.intact(digest))) throw error;
      });
      syncFolder(this.packages);
    }
    await this.abandon(staged);
    return digest;
  }

  async has(digest: string): Promise<boolean> {
    const stats = await stat(this.folderOf(digest)).catch((error: unknown) => ignoreMissing(error));
    return stats !== undefined;
  }

  readFile(digest: string, file: string, bytesMax: number): Promise<Buffer | undefined> {
    return readSmall(this.folderOf(digest), file, bytesMax);
  }

  artifactFolder(digest: string): Promise<string> {
    return this.checks.run(digest, async () => {
      const trace = await this.traceOf(digest);
      if (await this.intact(digest)) {
        this.remember(digest, trace);
        return this.folderOf(digest);
      }
      this.traces.delete(digest);
      throw new DomainError(
        'model_not_ready',
        'The stored files of this version are damaged or missing; they are not served.',
        {
          cause: new Error(`artifact_corrupt: ${digest} in ${this.packages}`),
          retryAfterSeconds: 60,
        },
      );
    });
  }

  async recheck(digest: string): Promise<string> {
    const trace = this.traces.get(digest);
    return trace !== undefined && trace === (await this.traceOf(digest))
      ? this.folderOf(digest)
      : this.artifactFolder(digest);
  }

  async remove(digest: string): Promise<void> {
    await this.start();
    this.traces.delete(digest);
    await this.setAside(this.folderOf(digest));
  }

  /** What is here, whole or not. */
  async digests(): Promise<PackageDigest[]> {
    const names = (await readdir(this.packages).catch((error: unknown) => ignoreMissing(error))) ?? [];
    return names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map((hex): PackageDigest => `sha256:${hex}`);
  }

  /** What is damaged here stays so until its bytes come again. */
  reconcile(_package: StoredPackage, intact: boolean): Promise<boolean> {
    return Promise.resolve(intact);
  }

  private remember(digest: string, trace: string): void {
    // What was loaded longest ago costs another hash.
    if (this.traces.size >= TRACES) this.traces.delete(this.traces.keys().next().value ?? '');
    this.traces.set(digest, trace);
  }

  /** Changes with every write to a file of the package: nobody but the kernel sets the time of a change. */
  private async traceOf(digest: string): Promise<string> {
    const folder = this.folderOf(digest);
    const traces: string[] = [];
    for (const file of await this.list(folder)) {
      const stats = await lstat(path.join(folder, file), { bigint: true }).catch((error: unknown) =>
        ignoreMissing(error),
      );
      traces.push(`${file}\0${stats?.ino}\0${stats?.size}\0${stats?.mtimeNs}\0${stats?.ctimeNs}`);
    }
    return traces.join('\n');
  }

  private async prepare(): Promise<void> {
    const root = path.dirname(this.packages);
    for (const folder of ['packages', 'staging', 'uploads'])
      await mkdir(path.join(root, folder), { recursive: true, mode: 0o700 });
    await this.staging.sweep();
    await this.uploads.sweep();
  }

  folderOf(digest: string): string {
    const hex = digestHex(digest);
    invariant(hex, 'a package digest');
    return path.join(this.packages, hex);
  }

  private async intact(digest: string): Promise<boolean> {
    const folder = this.folderOf(digest);
    const files: PackageFile[] = [];
    try {
      for (const file of await this.list(folder)) {
        const handle = await openPlain(folder, file);
        if (!handle) return false;
        try {
          files.push(await hashFile(handle, file));
        } finally {
          await handle.close();
        }
      }
    } catch (error) {
      // A link or a device where a file was written is damage, not a fault of the package's owner.
      if (error instanceof DomainError) return false;
      throw error;
    }
    return files.length > 0 && packageDigest(files) === digest;
  }

  private async list(folder: string): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) =>
      ignoreMissing(error),
    );
    return (entries ?? [])
      .filter((entry) => !entry.isDirectory())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
  }

  private async setAside(target: string): Promise<void> {
    const aside = await this.staging.make();
    await rename(target, path.join(aside, 'damaged')).catch((error: unknown) => ignoreMissing(error));
    await this.staging.remove(aside);
  }
}
