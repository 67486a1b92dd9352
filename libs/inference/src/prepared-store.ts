import { createHmac, timingSafeEqual } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm, stat, statfs, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { digestFile } from '@sibyl/kernel';
import { WatchedFiles } from './watched-files';

/** A model file as the runtime saved it, optimized, beside its prepacked weights: checked, and loaded as it is. */
export interface PreparedModel {
  readonly id: string;
  readonly path: string;
  readonly files: WatchedFiles;
  /** Tells whoever shares the folder that it is in use; to be said again and again. */
  keep(): Promise<void>;
}

/** What was made of a model on this machine; not usable where that answers otherwise than the model itself. */
export interface PreparedFacts {
  readonly usable: boolean;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
}

export const PREPARED_MODEL = 'model.onnx';
const PREPARED_WEIGHTS = 'weights.bin';
const MANIFEST = 'manifest.json';
const HEARTBEAT_MS = 1000;
/** Whoever builds says so every second, and whoever maps every two; one that was silent for so long is gone. */
const STALE_MS = 15_000;

/**
 * Prepared models on disk: `<id>/` with the files and a manifest of their digests, which is sealed with a key that only the server
 * has. What does not verify is made anew. Servers that share the folder build an entry once: the folder in `building/` is the lock.
 */
export class PreparedStore {
  private readonly building: string;
  private readonly known = new Map<string, PreparedModel>();

  constructor(
    private readonly folder: string,
    private readonly sealKey: Uint8Array,
  ) {
    this.building = path.join(folder, 'building');
  }

  /** The entry, every byte of it hashed since it last changed; `unusable` where it is known to be of no use, undefined where there is none. */
  async read(id: string): Promise<PreparedModel | 'unusable' | undefined> {
    const known = this.known.get(id);
    if (known !== undefined && (await known.files.unchanged())) {
      await known.keep();
      return known;
    }
    const facts = await this.facts(id).catch(() => undefined);
    if (facts?.usable === false) return 'unusable';
    const prepared = facts && (await this.verified(id, facts).catch(() => undefined));
    if (prepared === undefined) {
      this.known.delete(id);
      return undefined;
    }
    this.known.set(id, prepared);
    await prepared.keep();
    return prepared;
  }

  /**
   * Makes an entry by `build`, which fills a folder. False where another process makes it: `read` will find it once `isBuilding`
   * says that it is done.
   */
  async make(id: string, build: (folder: string) => Promise<{ readonly usable: boolean }>): Promise<boolean> {
    const staged = path.join(this.building, id);
    await mkdir(this.building, { recursive: true, mode: 0o700 });
    if (!(await this.claim(staged))) return false;
    const heartbeat = setInterval(() => void touch(staged), HEARTBEAT_MS);
    try {
      // Another process may have been done a moment ago; what is there and does not verify is in the way.
      if ((await this.read(id)) !== undefined) return false;
      await rm(path.join(this.folder, id), { recursive: true, force: true });
      const { usable } = await build(staged);
      const files = usable ? await digestsOf(staged) : [];
      if (!usable)
        for (const name of [PREPARED_MODEL, PREPARED_WEIGHTS]) await rm(path.join(staged, name), { force: true });
      await writeFile(path.join(staged, MANIFEST), this.sealed(id, { usable, files }), { mode: 0o400 });
      await rename(staged, path.join(this.folder, id));
    } finally {
      clearInterval(heartbeat);
      await rm(staged, { recursive: true, force: true });
    }
    return true;
  }

  async isBuilding(id: string): Promise<boolean> {
    const staged = path.join(this.building, id);
    return (await ageOf(staged)) !== undefined && !(await isStale(staged));
  }

  /** Bytes that may still be written on the disk. */
  async freeBytes(): Promise<number> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(this.folder);
    return bavail * bsize;
  }

  /**
   * Removes what a crash left unfinished, and the entries that nobody has used for longest, until the others fit. `inUse` are
   * those of this process; what other processes use they have touched a moment ago.
   */
  async trim(limitBytes: number, inUse: () => ReadonlySet<string>): Promise<void> {
    for (const id of await namesIn(this.building)) {
      const staged = path.join(this.building, id);
      if (await isStale(staged)) await rm(staged, { recursive: true, force: true });
    }
    const ids = (await namesIn(this.folder)).filter((id) => id !== path.basename(this.building));
    const entries = await Promise.all(ids.map((id) => this.sizeOf(id)));
    let sum = entries.reduce((bytes, entry) => bytes + entry.bytes, 0);
    for (const entry of entries.sort((a, b) => b.ageMs - a.ageMs)) {
      if (sum <= limitBytes) return;
      const unused = !inUse().has(entry.id) && (await isStale(this.manifestOf(entry.id), Infinity));
      if (!unused) continue;
      await rm(path.join(this.folder, entry.id), { recursive: true, force: true });
      sum -= entry.bytes;
    }
  }

  private async sizeOf(id: string): Promise<{ id: string; bytes: number; ageMs: number }> {
    const folder = path.join(this.folder, id);
    const sizes = (await namesIn(folder)).map((name) => sizeOf(path.join(folder, name)));
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    return { id, bytes, ageMs: (await ageOf(this.manifestOf(id))) ?? Infinity };
  }

  private async claim(staged: string): Promise<boolean> {
    if (await isStale(staged)) await rm(staged, { recursive: true, force: true });
    return mkdir(staged, { mode: 0o700 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
  }

  private async facts(id: string): Promise<PreparedFacts | undefined> {
    const { facts, seal } = JSON.parse(await readFile(this.manifestOf(id), 'utf8')) as Sealed;
    const [given, expected] = [Buffer.from(seal, 'hex'), this.seal(id, facts)];
    return given.length === expected.length && timingSafeEqual(given, expected) ? facts : undefined;
  }

  private async verified(id: string, { files }: PreparedFacts): Promise<PreparedModel | undefined> {
    const folder = path.join(this.folder, id);
    const paths = files.map(({ name }) => path.join(folder, name));
    // Marked before they are read: a change while they are hashed is one as well.
    const watched = await WatchedFiles.of(paths);
    const found = await digestsOf(folder);
    if (JSON.stringify(found) !== JSON.stringify(files) || !(await watched.unchanged())) return undefined;
    const keep = (): Promise<void> => touch(this.manifestOf(id));
    return { id, path: path.join(folder, PREPARED_MODEL), files: watched, keep };
  }

  private manifestOf(id: string): string {
    return path.join(this.folder, id, MANIFEST);
  }

  private sealed(id: string, facts: PreparedFacts): string {
    const sealed: Sealed = { facts, seal: this.seal(id, facts).toString('hex') };
    return JSON.stringify(sealed);
  }

  private seal(id: string, facts: PreparedFacts): Buffer {
    return createHmac('sha256', this.sealKey)
      .update(JSON.stringify([id, facts]))
      .digest();
  }
}

interface Sealed {
  readonly facts: PreparedFacts;
  readonly seal: string;
}

async function digestsOf(folder: string): Promise<PreparedFacts['files']> {
  const files: { name: string; bytes: number; sha256: string }[] = [];
  for (const name of [PREPARED_MODEL, PREPARED_WEIGHTS]) {
    const handle = await open(path.join(folder, name), 'r');
    try {
      const { bytes, sha256 } = await digestFile(handle);
      files.push({ name, bytes, sha256 });
    } finally {
      await handle.close();
    }
  }
  return files;
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** `missing`: the age of what is not there. */
async function isStale(place: string, missing = 0): Promise<boolean> {
  return ((await ageOf(place)) ?? missing) >= STALE_MS;
}

/** Milliseconds since the last change; undefined for what is not there, or goes meanwhile. */
async function ageOf(place: string): Promise<number | undefined> {
  return stat(place).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => undefined,
  );
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** What is gone need not look used. */
async function touch(place: string): Promise<void> {
  const now = new Date();
  await utimes(place, now, now).catch(() => undefined);
}
