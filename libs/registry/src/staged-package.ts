import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { invariant, syncFolder } from '@sibyl/kernel';
import { packageDigest, type PackageDigest, type PackageFile } from './package-digest';
import { copyHashed, openPlain, refusedFile } from './package-files';
import { isPackagePath } from './package-path';
import type { PackageLimits } from './registry-options';

/** A package on its way into the store: the files that belong to it, copied and hashed one by one. */
export class StagedPackage {
  private readonly taken = new Map<string, PackageFile>();
  private bytes = 0;

  constructor(
    readonly folder: string,
    private readonly limits: Pick<PackageLimits, 'artifactBytes' | 'files'>,
  ) {}

  get files(): readonly PackageFile[] {
    return [...this.taken.values()];
  }

  get digest(): PackageDigest {
    return packageDigest(this.files);
  }

  has(file: string): boolean {
    return this.taken.has(file);
  }

  /** Copies `file` of `source` under the name `as`; false where there is no such file. Links and devices are refused. */
  async take(source: string, file: string, as = file, bytesMax = Infinity): Promise<boolean> {
    invariant(isPackagePath(as), `'${as}' is no path of a package`);
    if (this.taken.has(as)) return true;
    const handle = await openPlain(source, file);
    if (!handle) return false;
    try {
      await this.receive(as, (target, left) => copyHashed(handle, target, as, Math.min(bytesMax, left)));
      return true;
    } finally {
      await handle.close();
    }
  }

  /** Lets `write` make the file `as` at a path that is its own, durable and of no more bytes than it is told. */
  async receive(as: string, write: (target: string, bytesMax: number) => Promise<PackageFile>): Promise<void> {
    invariant(isPackagePath(as), `'${as}' is no path of a package`);
    if (this.taken.size >= this.limits.files)
      throw refusedFile(as, `more than ${this.limits.files} files`, 'fewer files');
    const target = path.join(this.folder, as);
    await mkdir(path.dirname(target), { recursive: true, mode: 0o700 });
    const written = await write(target, this.limits.artifactBytes - this.bytes);
    this.bytes += written.bytes;
    this.taken.set(as, written);
  }

  /** Makes the names of all files durable; their contents are already. */
  async sync(): Promise<void> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    for (const entry of entries) if (entry.isDirectory()) syncFolder(path.join(entry.parentPath, entry.name));
    syncFolder(this.folder);
  }
}
