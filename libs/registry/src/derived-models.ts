import { constants } from 'node:fs';
import { copyFile, mkdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { DomainError, SingleFlight, digestFile, invariant, syncFolder, type IdSource } from '@sibyl/kernel';
import { inspectOnnxFile, writeDerivedFile, type OnnxLimits } from '@sibyl/onnx';
import type { DerivedModel } from './derived-model';
import type { ModelVersion } from './model-version';
import { digestHex, type PackageFile } from './package-digest';
import { ignoreMissing, openPlain } from './package-files';
import { MODEL_FILE } from './package-source';
import type { RegistryOptions } from './registry-options';
import { TemporaryFolders } from './temporary-folders';

/** What of a version says which bytes run. */
export type RunningFacts = Pick<ModelVersion, 'digest' | 'files'> & {
  readonly derived?: DerivedModel | undefined;
  readonly onnx: Pick<ModelVersion['onnx'], 'externalFiles'>;
};

/**
 * Model files that run in place of those of their packages: `derived/<hex of the package's digest>/`, each hashed before it is
 * used. They can be made again of their packages at any time, so that a backup may leave them out.
 */
export class DerivedModels {
  private readonly root: string;
  private readonly staging: TemporaryFolders;
  private readonly work = new SingleFlight<string>();

  constructor(
    { artifactFolder }: Pick<RegistryOptions, 'artifactFolder'>,
    ids: IdSource,
    private readonly limits: OnnxLimits,
  ) {
    const root = path.resolve(artifactFolder);
    this.root = path.join(root, 'derived');
    // Swept at the start with what other copies have left there.
    this.staging = new TemporaryFolders(path.join(root, 'staging'), ids);
  }

  /** The file to run: the package's own, in its folder that was verified just now, or the one derived from it, verified or made here. */
  async modelFile(folder: string, version: RunningFacts): Promise<string> {
    const { digest, derived } = version;
    if (derived === undefined) return path.join(folder, MODEL_FILE);
    const expected = expectedFiles(version, derived);
    const hex = digestHex(digest);
    invariant(hex, 'a package digest');
    const own = path.join(this.root, hex);
    return this.work.run(hex, async () => {
      if (!(await isIntact(own, expected))) await this.make(folder, own, { derived, expected });
      return path.join(own, MODEL_FILE);
    });
  }

  /** Removes what was derived of a package; nothing where there is none. */
  async remove(digest: string): Promise<void> {
    const hex = digestHex(digest);
    invariant(hex, 'a package digest');
    await this.setAside(path.join(this.root, hex));
  }

  private async make(folder: string, own: string, { derived, expected }: Making): Promise<void> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const staged = await this.staging.make();
    try {
      await this.write(folder, staged, derived);
      syncFolder(staged);
      if (await stat(own).catch((error: unknown) => ignoreMissing(error))) await this.setAside(own);
      await rename(staged, own).catch(async (error: unknown) => {
        // Another process was quicker.
        if (!(await isIntact(own, expected))) throw error;
      });
      syncFolder(this.root);
    } finally {
      await this.staging.remove(staged);
    }
  }

  private async write(folder: string, staged: string, derived: DerivedModel): Promise<void> {
    const source = path.join(folder, MODEL_FILE);
    const target = path.join(staged, MODEL_FILE);
    const model = await inspectOnnxFile(source, this.limits);
    const written = await writeDerivedFile(source, target, { model, limits: this.limits });
    if (written?.sha256 !== derived.sha256) {
      throw new DomainError('model_not_ready', 'The file that was validated cannot be made again of its package.', {
        cause: new Error(`derived_differs: ${written?.sha256 ?? 'nothing'} instead of ${derived.sha256}`),
        retryAfterSeconds: 60,
      });
    }
    // The runtime looks for weights beside the file. A link would be shared with the package, whose files have none.
    for (const file of model.externalFiles)
      await copyFile(path.join(folder, file), path.join(staged, file), constants.COPYFILE_FICLONE);
    await inspectOnnxFile(target, this.limits);
  }

  private async setAside(own: string): Promise<void> {
    const aside = await this.staging.make();
    await rename(own, path.join(aside, 'damaged')).catch((error: unknown) => ignoreMissing(error));
    await this.staging.remove(aside);
  }
}

interface Making {
  readonly derived: DerivedModel;
  readonly expected: readonly PackageFile[];
}

/** The derived file, and the weights of the package beside it. */
function expectedFiles({ files, onnx }: RunningFacts, { sha256, bytes }: DerivedModel): PackageFile[] {
  const weights = files.filter((file) => onnx.externalFiles.includes(file.path));
  return [{ path: MODEL_FILE, sha256, bytes }, ...weights];
}

async function isIntact(folder: string, expected: readonly PackageFile[]): Promise<boolean> {
  for (const { path: file, sha256 } of expected) {
    // A link or a device where a file was written is damage like any other.
    const handle = await openPlain(folder, file).catch((error: unknown) => {
      if (error instanceof DomainError) return undefined;
      throw error;
    });
    if (!handle) return false;
    try {
      if ((await digestFile(handle)).sha256 !== sha256) return false;
    } finally {
      await handle.close();
    }
  }
  return true;
}
