import { readdir, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { SingleFlight } from '@sibyl/kernel';
import type { ArtifactBucket } from './artifact-bucket';
import type { LocalArtifactStore } from './local-artifact-store';
import type { PackageDigest } from './package-digest';
import { ignoreMissing } from './package-files';

/** How often a process says what it has loaded. */
const SAY_EVERY_MS = 60_000;
/** What was used so lately may be in use: several turns of that, and as long as an export of the largest package takes. */
const IN_USE_MS = 15 * 60_000;

interface LocalCopy {
  readonly digest: PackageDigest;
  readonly bytes: number;
  readonly usedMs: number;
}

export interface LocalCopyParts {
  readonly local: LocalArtifactStore;
  readonly bucket: Pick<ArtifactBucket, 'has'>;
  /** Most bytes of packages on this machine, but for those that are in use. */
  readonly bytesMax: number;
  /** Digests of what this process has loaded. */
  readonly loaded: () => Iterable<string>;
  /** Called when the copy of a package has gone. */
  readonly evicted: (digest: string) => Promise<void>;
}

/**
 * Which packages of the bucket stay on this machine: the least recently used ones go when there are too many bytes, never one that is
 * loaded, nor one that the bucket has not got. When a package was used last is the time of its folder, so that all processes on the
 * machine know it of each other.
 */
export class LocalCopies {
  private readonly work = new SingleFlight<void>();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: LocalCopyParts) {}

  start(): void {
    this.timer ??= setInterval(() => void this.sayLoaded(), SAY_EVERY_MS).unref();
  }

  async use(digest: string): Promise<void> {
    const now = new Date();
    await utimes(this.parts.local.folderOf(digest), now, now).catch(ignoreMissing);
  }

  async hasRoomFor(bytes: number): Promise<boolean> {
    const copies = await this.all();
    return copies.reduce((sum, copy) => sum + copy.bytes, bytes) <= this.parts.bytesMax;
  }

  /** Lets copies go until the others are within the limit. What cannot go now does so another time. */
  evict(): Promise<void> {
    return this.work.run('', () => this.evictOldest().catch(() => undefined));
  }

  private async evictOldest(): Promise<void> {
    const { local, bucket, bytesMax, evicted } = this.parts;
    const copies = (await this.all()).sort((a, b) => a.usedMs - b.usedMs);
    let bytes = copies.reduce((sum, copy) => sum + copy.bytes, 0);
    for (const { digest, bytes: own } of copies) {
      if (bytes <= bytesMax) return;
      if ((await this.inUse(digest)) || !(await bucket.has(digest))) continue;
      await local.remove(digest);
      await evicted(digest);
      bytes -= own;
    }
  }

  private async inUse(digest: string): Promise<boolean> {
    for (const loaded of this.parts.loaded()) if (loaded === digest) return true;
    const stats = await stat(this.parts.local.folderOf(digest)).catch(ignoreMissing);
    return stats !== undefined && Date.now() - stats.mtimeMs < IN_USE_MS;
  }

  private async sayLoaded(): Promise<void> {
    try {
      for (const digest of this.parts.loaded()) await this.use(digest);
    } catch {
      // Said again in a minute; meanwhile what was used so lately stays anyway.
    }
  }

  private async all(): Promise<LocalCopy[]> {
    const copies: LocalCopy[] = [];
    for (const digest of await this.parts.local.digests()) {
      const folder = this.parts.local.folderOf(digest);
      const stats = await stat(folder).catch(ignoreMissing);
      if (stats) copies.push({ digest, bytes: await bytesIn(folder), usedMs: stats.mtimeMs });
    }
    return copies;
  }
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(ignoreMissing);
  for (const entry of entries ?? [])
    bytes += (entry.isFile() && (await stat(path.join(entry.parentPath, entry.name)).catch(ignoreMissing))?.size) || 0;
  return bytes;
}
