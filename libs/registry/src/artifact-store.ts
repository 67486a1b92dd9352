import type { PackageDigest, PackageFile } from './package-digest';
import type { StagedPackage } from './staged-package';

/** A package that is stored, and what is in it. */
export interface StoredPackage {
  readonly digest: PackageDigest;
  readonly files: readonly PackageFile[];
}

/** Packages by their digests. Wherever they are kept, they are read from folders of this machine, verified. */
export abstract class ArtifactStore {
  /** Makes the folders and removes what a crash left unfinished. Called by whatever needs the store first, too. */
  abstract start(): Promise<void>;

  /** A new empty folder for the parts of an upload, on the store's file system; give it back with `discard`. */
  abstract uploadFolder(): Promise<string>;

  /** Removes a folder that `uploadFolder` gave. */
  abstract discard(folder: string): Promise<void>;

  /** Begins a package; it exists once `commit` has returned, and `abandon` removes it. */
  abstract stage(): Promise<StagedPackage>;

  abstract abandon(staged: StagedPackage): Promise<void>;

  /** Keeps a staged package for good. Bytes that are there already stay; damaged ones are replaced. */
  abstract commit(staged: StagedPackage, signal?: AbortSignal): Promise<PackageDigest>;

  /** Whether a package of this digest is there; says nothing of its bytes. */
  abstract has(digest: string): Promise<boolean>;

  /** A small file of a package as it lies there; whether it is what was stored, the caller must be able to tell. */
  abstract readFile(digest: string, file: string, bytesMax: number): Promise<Buffer | undefined>;

  /** The folder of a package, every byte of it hashed again just now; model_not_ready when it is damaged or gone. */
  abstract artifactFolder(digest: string): Promise<string>;

  /** The same for a package that was found intact before: its bytes are hashed again where a file of it has been touched. */
  abstract recheck(digest: string): Promise<string>;

  /** Removes a package; nothing where there is none. */
  abstract remove(digest: string): Promise<void>;

  /** Where a package lies on this machine or would lie, whatever is there. */
  abstract folderOf(digest: string): string;

  /** After a look at the bytes on this machine: mends them where that is possible. Answers whether they are intact now. */
  abstract reconcile(stored: StoredPackage, intact: boolean): Promise<boolean>;
}
