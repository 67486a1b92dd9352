import { DomainError, orStorageFull } from '@sibyl/kernel';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/** Rows come in small portions, so that nobody waits for them; the disk is given larger ones. */
const WRITE_BYTES = 262_144;
const SWEEP_MS = 600_000;
const NAME = /^[0-9a-f-]{36}\.(rows|ndjson|csv|parquet)(\.part)?$/;

export interface TrainingFileOptions {
  readonly folder: string;
  /** How long a finished file is kept. */
  readonly keptMs: number;
  /** Of one file. */
  readonly maxBytes: number;
}

/** Training sets on disk, by the id of the operation that made them. */
export class TrainingFiles {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: TrainingFileOptions) {}

  get keptMs(): number {
    return this.options.keptMs;
  }

  get maxBytes(): number {
    return this.options.maxBytes;
  }

  async start(): Promise<void> {
    await mkdir(this.options.folder, { recursive: true, mode: 0o700 });
    await this.sweep();
    this.timer = setInterval(() => void this.sweep().catch(() => undefined), SWEEP_MS).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  pathOf(name: string): string {
    if (!NAME.test(name)) throw new RangeError('not the name of a training set');
    return path.join(this.options.folder, name);
  }

  /** A file that is complete when it is finished, and else goes. */
  async create(name: string): Promise<TrainingFile> {
    const part = this.pathOf(`${name}.part`);
    return new TrainingFile(await orStorageFull(() => open(part, 'wx', 0o600)), part, this);
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

  async remove(name: string): Promise<void> {
    await rm(this.pathOf(name), { force: true });
  }

  /** Removes what is older than files are kept; parts that are written to are younger than that. */
  private async sweep(): Promise<void> {
    const { folder, keptMs } = this.options;
    for (const name of await readdir(folder)) {
      const file = path.join(folder, name);
      const found = NAME.test(name) ? await stat(file).catch(() => undefined) : undefined;
      if (found && Date.now() - found.mtimeMs > keptMs) await rm(file, { force: true });
    }
  }
}

/** One file on its way, hashed as it is written. */
export class TrainingFile {
  bytes = 0;
  private readonly hash = createHash('sha256');
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;

  constructor(
    private readonly handle: FileHandle,
    private readonly part: string,
    private readonly files: TrainingFiles,
  ) {}

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    for (const chunk of chunks) {
      this.bytes += chunk.length;
      if (this.bytes > this.files.maxBytes)
        throw new DomainError('body_too_large', `A training set may have ${this.files.maxBytes} bytes.`);
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
    await rename(this.part, this.part.slice(0, -'.part'.length));
    return { bytes: this.bytes, sha256: this.hash.digest('hex') };
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.part, { force: true });
  }

  private async flush(): Promise<void> {
    const { waiting } = this;
    this.waiting = [];
    this.waitingBytes = 0;
    for (const chunk of waiting.length > 1 ? [Buffer.concat(waiting)] : waiting)
      await orStorageFull(() => this.handle.writeFile(chunk));
  }
}
