import { DomainError, orStorageFull, ownerOf, processMark } from '@sibyl/kernel';
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { callerMark, nameOf, readName } from './training-name';
import type { TrainingOptions } from './training-options';
import { TrainingRoom } from './training-room';

/** Rows come in small portions, so that nobody waits for them; the disk is given larger ones. */
const WRITE_BYTES = 262_144;
const SWEEP_MS = 600_000;

/** Training sets on disk, by the id of the operation that made them. */
export class TrainingFiles {
  private timer: NodeJS.Timeout | undefined;
  /** What this process needs still, while it works. */
  private readonly needed = new Set<string>();

  readonly room: TrainingRoom;

  constructor(
    private readonly folder: string,
    private readonly options: Pick<TrainingOptions, 'totalBytes' | 'keptMs'>,
  ) {
    this.room = new TrainingRoom(folder, options.totalBytes);
  }

  get keptMs(): number {
    return this.options.keptMs;
  }

  async start(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.sweep();
    this.timer = setInterval(() => void this.sweep().catch(() => undefined), SWEEP_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  pathOf(name: string): string {
    if (!readName(name)) throw new RangeError('not the name of a training set');
    return path.join(this.folder, name);
  }

  /** Of rows that a caller sends, until they are read. */
  spoolOf(caller: string): string {
    return `${nameOf(randomUUID(), caller, 'rows')}.${processMark()}`;
  }

  /** Throws storage_full where a caller has no room for another training set. */
  require(caller: string): Promise<void> {
    return this.room.require(callerMark(caller));
  }

  /** A file that is complete when it is finished, and else goes; at the latest when this process is gone. Throws storage_full. */
  async create(name: string): Promise<TrainingFile> {
    const marked = name.endsWith(processMark()) ? name : `${name}.${processMark()}`;
    const part = this.pathOf(`${marked}.part`);
    const caller = readName(name)?.caller;
    await this.room.require(caller);
    this.needed.add(`${marked}.part`);
    if (marked === name) this.needed.add(name);
    const handle = await orStorageFull(() => open(part, 'wx', 0o600));
    return new TrainingFile(handle, { part, file: this.pathOf(name), caller }, this);
  }

  async read(name: string): Promise<{ readonly bytes: number; chunks(): AsyncGenerator<Buffer> }> {
    const file = this.pathOf(name);
    const found = await stat(file).catch(() => undefined);
    if (!found) throw new DomainError('operation_not_found', 'The result of the operation is not kept any more.');
    const chunks = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of createReadStream(file)) yield chunk as Buffer;
    };
    return { bytes: found.size, chunks };
  }

  has(name: string): Promise<boolean> {
    return stat(this.pathOf(name)).then(() => true, missing);
  }

  /** Made for this caller. */
  isOf(name: string, caller: string): boolean {
    return readName(name)?.caller === callerMark(caller);
  }

  /** Answers whether there was one. */
  async remove(name: string): Promise<boolean> {
    const removed = await rm(this.pathOf(name)).then(() => true, missing);
    this.needed.delete(name);
    return removed;
  }

  /** The files of operations that never ended: nobody is told that they are complete. */
  async removeOf(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const ended = new Set(ids);
    for (const name of await readdir(this.folder)) {
      const known = readName(name);
      if (known && known.owner === undefined && ended.has(name.slice(0, name.indexOf('.')))) await this.remove(name);
    }
  }

  release(part: string): void {
    this.needed.delete(path.basename(part));
  }

  /** Removes what is older than files are kept, and what processes have left that are gone. */
  private async sweep(): Promise<void> {
    const { folder } = this;
    const { keptMs } = this.options;
    for (const name of await readdir(folder)) {
      const file = path.join(folder, name);
      const known = readName(name);
      if (!known || this.needed.has(name)) continue;
      const { owner } = known;
      const stats = await stat(file).catch(() => undefined);
      const left = owner !== undefined && ownerOf(owner) === 'gone';
      if (left || (stats && Date.now() - stats.mtimeMs > keptMs)) await rm(file, { force: true });
    }
  }
}

/** One file on its way, hashed as it is written. */
export class TrainingFile {
  bytes = 0;
  private readonly hash = createHash('sha256');
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  /** Up to here there is room. */
  private granted: number;

  constructor(
    private readonly handle: FileHandle,
    private readonly paths: { readonly part: string; readonly file: string; readonly caller: string | undefined },
    private readonly files: TrainingFiles,
  ) {
    this.granted = files.room.step;
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) {
      this.bytes += chunk.length;
      while (this.bytes > this.granted) await this.grow();
      this.hash.update(chunk);
      this.waiting.push(chunk);
      this.waitingBytes += chunk.length;
    }
    if (this.waitingBytes >= WRITE_BYTES) await this.flush();
  }

  async finish(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    await this.flush();
    await orStorageFull(() => this.handle.sync());
    await this.handle.close();
    await orStorageFull(() => rename(this.paths.part, this.paths.file));
    this.files.release(this.paths.part);
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.paths.part, { force: true });
    this.files.release(this.paths.part);
  }

  private async grow(): Promise<void> {
    const { step, callerBytes } = this.files.room;
    if (this.granted + step > callerBytes)
      throw new DomainError('body_too_large', `A training set may have ${this.granted} bytes.`);
    await this.files.room.require(this.paths.caller);
    this.granted += step;
  }

  private async flush(): Promise<void> {
    const { waiting } = this;
    this.waiting = [];
    this.waitingBytes = 0;
    for (const chunk of waiting.length > 1 ? [Buffer.concat(waiting)] : waiting)
      await orStorageFull(() => this.handle.writeFile(chunk));
  }
}

/** False of a file that is not there; other errors go on. */
function missing(error: NodeJS.ErrnoException): false {
  if (error.code === 'ENOENT') return false;
  throw error;
}
