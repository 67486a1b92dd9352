import { DomainError, SingleFlight, type IdSource } from '@sibyl/kernel';
import { ArtifactBucket, folderOfBucket } from './artifact-bucket';
import { ArtifactStore, type StoredPackage } from './artifact-store';
import { BucketObjects } from './bucket-objects';
import { LocalCopies } from './local-copies';
import { LocalArtifactStore } from './local-artifact-store';
import type { PackageDigest } from './package-digest';
import { RegistrationQueue } from './registration-queue';
import type { RegistryOptions } from './registry-options';
import type { Resolve } from './sources/outgoing-guard';
import { s3Client } from './sources/s3-source';
import { SourceOptions } from './sources/source-options';
import type { StagedPackage } from './staged-package';

/**
 * Packages in a bucket, which is the truth, and on this machine, from where they are run: what is missing or damaged here is fetched.
 * What is whole here is used without asking the bucket.
 */
class BucketArtifactStore extends ArtifactStore {
  private readonly fetches = new SingleFlight<unknown>();

  constructor(
    private readonly local: LocalArtifactStore,
    private readonly bucket: ArtifactBucket,
    private readonly queue: RegistrationQueue,
    private readonly copies: LocalCopies,
  ) {
    super();
  }

  start(): Promise<void> {
    this.copies.start();
    return this.local.start();
  }

  uploadFolder(): Promise<string> {
    return this.local.uploadFolder();
  }

  discard(folder: string): Promise<void> {
    return this.local.discard(folder);
  }

  stage(): Promise<StagedPackage> {
    return this.local.stage();
  }

  abandon(staged: StagedPackage): Promise<void> {
    return this.local.abandon(staged);
  }

  async commit(staged: StagedPackage, signal?: AbortSignal): Promise<PackageDigest> {
    const { files, digest } = staged;
    // What is damaged or gone here and comes again could not be had from the bucket: its copy is replaced as well.
    const anew = !(await this.isIntact(digest));
    await this.local.commit(staged);
    await this.bucket.put(this.folderOf(digest), { digest, files }, { anew, signal }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw error;
    });
    await this.copies.evict();
    return digest;
  }

  async has(digest: string): Promise<boolean> {
    return (await this.local.has(digest)) || this.bucket.has(digest);
  }

  async readFile(digest: string, file: string, bytesMax: number): Promise<Buffer | undefined> {
    return (await this.local.readFile(digest, file, bytesMax)) ?? this.bucket.readFile(digest, file, bytesMax);
  }

  async artifactFolder(digest: string): Promise<string> {
    await this.copies.use(digest);
    return this.orFetched(digest, () => this.local.artifactFolder(digest));
  }

  async recheck(digest: string): Promise<string> {
    await this.copies.use(digest);
    return this.orFetched(digest, () => this.local.recheck(digest));
  }

  /** First from the bucket: what fails there is tried again with all of it. */
  async remove(digest: string): Promise<void> {
    await this.bucket.remove(digest);
    await this.local.remove(digest);
  }

  folderOf(digest: string): string {
    return this.local.folderOf(digest);
  }

  /**
   * What is damaged here comes from the bucket, and what the bucket has not got, from before it was set, goes there. What is not here
   * comes while there is room: for what was let go it is enough that the bucket has it.
   */
  async reconcile(stored: StoredPackage, intact: boolean): Promise<boolean> {
    const { digest, files } = stored;
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    if (intact) await this.bucket.put(this.folderOf(digest), stored);
    else if (!(await this.local.has(digest)) && !(await this.copies.hasRoomFor(bytes))) return this.bucket.has(digest);
    // Whoever verifies these files just now may have opened them before they were damaged: its word does not count.
    else await this.fetched(digest, () => this.fetch(digest));
    return true;
  }

  private async orFetched(digest: string, find: () => Promise<string>): Promise<string> {
    try {
      return await find();
    } catch (error) {
      if (!isDamage(error)) throw error;
      // Another call may have fetched it before this one had its turn.
      await this.fetched(digest, async () => (await this.isIntact(digest)) || this.fetch(digest));
      return this.local.artifactFolder(digest);
    }
  }

  private fetched(digest: string, fetch: () => Promise<unknown>): Promise<unknown> {
    return this.fetches.run(digest, () =>
      this.queue.turn(fetch).catch((cause: unknown) => {
        throw notFetched(cause);
      }),
    );
  }

  private async fetch(digest: string): Promise<void> {
    const staged = await this.local.stage();
    try {
      if (!(await this.bucket.get(digest, staged))) throw new Error(`${digest} is not in the bucket`);
      await this.local.commit(staged);
    } finally {
      await this.local.abandon(staged);
    }
    await this.copies.evict();
  }

  private async isIntact(digest: string): Promise<boolean> {
    try {
      await this.local.artifactFolder(digest);
      return true;
    } catch (error) {
      if (isDamage(error)) return false;
      throw error;
    }
  }
}

interface StoreParts {
  readonly options: RegistryOptions;
  readonly ids: IdSource;
  readonly sourceOptions?: SourceOptions;
  readonly resolve?: Resolve;
  /** Digests of what this process has loaded, whose copies stay on this machine. */
  readonly loaded?: () => Iterable<string>;
  /** Called when the copy of a package has gone from this machine. */
  readonly evicted?: (digest: string) => Promise<void>;
}

/** The store that the options describe: on this machine, or in a bucket too. */
export function artifactStoreOf({ options, ids, sourceOptions, resolve, ...hooks }: StoreParts): ArtifactStore {
  const local = new LocalArtifactStore(options, ids);
  const { artifactBucket, artifactPrefix: prefix } = options;
  if (artifactBucket === undefined) return local;
  const sources = sourceOptions ?? new SourceOptions();
  const queue = new RegistrationQueue({ atOnce: sources.atOnce, waiting: options.registrationsWaiting });
  const objects = new BucketObjects(s3Client(sources, '/source_uri', resolve), artifactBucket);
  const bucket = new ArtifactBucket(objects, folderOfBucket(prefix), sources);
  const { loaded = () => [], evicted = () => Promise.resolve() } = hooks;
  const copies = new LocalCopies({ local, bucket, bytesMax: options.artifactCopyBytes, loaded, evicted });
  return new BucketArtifactStore(local, bucket, queue, copies);
}

function isDamage(error: unknown): boolean {
  return error instanceof DomainError && error.code === 'model_not_ready';
}

function notFetched(cause: unknown): DomainError {
  return new DomainError(
    'model_not_ready',
    'The stored files of this version are damaged or missing here, and the bucket did not give them whole.',
    { cause, retryAfterSeconds: 60 },
  );
}
