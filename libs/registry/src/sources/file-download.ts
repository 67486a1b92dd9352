import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { DomainError } from '@sibyl/kernel';
import { refusedFile } from '../package-files';
import type { RemoteBody, ResumeAt } from './remote-package';
import type { SourceOptions } from './source-options';

export type OpenRemote = (resume: ResumeAt | undefined) => Promise<RemoteBody | undefined>;

export interface DownloadPlan {
  /** Path in the package, for errors. */
  readonly file: string;
  readonly target: string;
  /** More are refused. */
  readonly bytesMax: number;
  readonly signal: AbortSignal;
  readonly pace: Pick<SourceOptions, 'stallMs' | 'stallBytes' | 'attempts' | 'retryMs'>;
  /** Bytes of this file so far, and all of it where that is known. */
  readonly onBytes?: (bytes: number, total: number | undefined) => void;
}

export interface Downloaded {
  readonly sha256: string;
  readonly bytes: number;
  readonly validator?: string;
}

/** The disk writes what came in parts: the fsyncs of others, those of the audit log for one, would wait for all of it. */
const SYNC_BYTES = 8 * 1024 * 1024;

/**
 * Fetches one file: hashed while it flows, written beside its place and renamed into it when it is whole and on the disk. Where the
 * connection breaks, the rest is asked for; what has changed meanwhile begins anew. Undefined where there is no such file.
 */
export async function downloadFile(openRemote: OpenRemote, plan: DownloadPlan): Promise<Downloaded | undefined> {
  const part = `${plan.target}.part`;
  const handle = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const download = new FileDownload(handle, openRemote, plan);
    if (!(await download.run())) return undefined;
    await handle.sync();
    await rename(part, plan.target);
    return download.result();
  } finally {
    await handle.close();
    await rm(part, { force: true });
  }
}

class FileDownload {
  private hash: Hash = createHash('sha256');
  private have = 0;
  private unsynced = 0;
  private total: number | undefined;
  private validator: string | undefined;
  private fruitless = 0;

  constructor(
    private readonly handle: FileHandle,
    private readonly openRemote: OpenRemote,
    private readonly plan: DownloadPlan,
  ) {}

  result(): Downloaded {
    const { validator } = this;
    return { sha256: this.hash.digest('hex'), bytes: this.have, ...(validator === undefined ? {} : { validator }) };
  }

  async run(): Promise<boolean> {
    const { signal, pace } = this.plan;
    let most = 0;
    for (;;) {
      signal.throwIfAborted();
      try {
        const body = await this.openRemote(this.resume());
        if (body === undefined) return this.missing();
        if (await this.take(body)) return true;
      } catch (error) {
        signal.throwIfAborted();
        if (!isBreak(error)) throw error;
        if (++this.fruitless >= pace.attempts) throw asBroken(this.plan.file, error);
        await pause(pace.retryMs * 2 ** (this.fruitless - 1) * (0.5 + Math.random()), undefined, { signal });
      }
      // Only what has never been had before counts: a server that breaks off and begins anew each time leads nowhere.
      if (this.have > most) this.fruitless = 0;
      most = Math.max(most, this.have);
    }
  }

  private resume(): ResumeAt | undefined {
    return this.have > 0 && this.validator !== undefined ? { offset: this.have, validator: this.validator } : undefined;
  }

  private missing(): false {
    if (this.have === 0) return false;
    throw broken(this.plan.file, 'the file has gone while it was fetched');
  }

  /** Takes what one answer brings; true when the file is whole. */
  private async take(body: RemoteBody): Promise<boolean> {
    const unwatch = this.watch(body);
    try {
      await this.begin(body);
      for await (const chunk of body.bytes) await this.write(chunk as Buffer);
    } finally {
      unwatch();
      body.bytes.destroy();
    }
    if (this.total !== undefined && this.have > this.total) throw this.tooMuch(this.total);
    if (this.total === undefined || this.have === this.total) return true;
    if (body.until !== undefined && this.have === body.until) return false;
    throw broken(this.plan.file, `the connection ended after ${this.have} of ${this.total} bytes`);
  }

  private async begin(body: RemoteBody): Promise<void> {
    if (body.from !== this.have || body.validator !== this.validator) {
      if (body.from !== 0) {
        // The next attempt asks for all of it.
        this.validator = undefined;
        throw broken(this.plan.file, 'the server went on with something else');
      }
      await this.handle.truncate(0);
      this.hash = createHash('sha256');
      this.have = 0;
      this.validator = body.validator;
    }
    this.total = body.total;
    if (this.total !== undefined && this.total > this.plan.bytesMax) throw this.tooMuch(this.plan.bytesMax);
    this.plan.onBytes?.(this.have, this.total);
  }

  private async write(chunk: Buffer): Promise<void> {
    if (this.have + chunk.length > this.plan.bytesMax) throw this.tooMuch(this.plan.bytesMax);
    this.hash.update(chunk);
    await this.handle.write(chunk, 0, chunk.length, this.have);
    this.have += chunk.length;
    this.unsynced += chunk.length;
    if (this.unsynced >= SYNC_BYTES) {
      this.unsynced = 0;
      await this.handle.datasync();
    }
    this.plan.onBytes?.(this.have, this.total);
  }

  /** Breaks off what does not get on. */
  private watch({ bytes }: RemoteBody): () => void {
    const { stallMs, stallBytes } = this.plan.pace;
    let before = this.have;
    const timer = setInterval(() => {
      if (this.have - before < stallBytes && this.have !== this.total)
        bytes.destroy(broken(this.plan.file, `fewer than ${stallBytes} bytes in ${stallMs / 1000} s`));
      before = this.have;
    }, stallMs);
    return () => clearInterval(timer);
  }

  private tooMuch(limit: number): DomainError {
    return refusedFile(this.plan.file, `more than ${limit} bytes`, 'a package within the artifact limit');
  }
}

/** Whether another attempt may help: refusals stay refusals, and a full disk stays full. */
function isBreak(error: unknown): boolean {
  if (error instanceof DomainError) return error.code === 'source_unavailable';
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined || !DISK_ERRORS.has(code);
}

const DISK_ERRORS: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EFBIG', 'EACCES', 'EPERM']);

function asBroken(file: string, error: unknown): DomainError {
  return error instanceof DomainError ? error : broken(file, 'the connection broke', error);
}

function broken(file: string, why: string, cause?: unknown): DomainError {
  return new DomainError('source_unavailable', `'${file}' could not be fetched whole: ${why}.`, {
    cause,
    retryAfterSeconds: 10,
  });
}
