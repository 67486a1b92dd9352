/** Hot path in relaxed mode. A segment whose ordinary writes end with the kernel; the disk follows within a window. */
import fs from 'node:fs';
import type { Clock } from '@sibyl/kernel';
import { writeAll, type Done, type SegmentFile } from './segment-file';

export interface RelaxedParts {
  readonly clock: Clock;
  /** So much of what was told to be written may be missing after a crash of the machine. */
  readonly windowMs: number;
  /** The disk has everything that was written before. */
  readonly onSynced: () => void;
}

/** Copied to the kernel at once: a turn through the thread pool costs more than the copy. Larger ones would be noticed. */
const AT_ONCE_BYTES = 64 * 1024;

/**
 * What a write has given to the kernel survives the end of this process, however it ends; the disk is told twice a window,
 * one fdatasync at a time. While it is further behind than the window, writes wait for it as if they were strict: so a
 * disk that hangs costs no more than the window either. A sync that fails is told by the next write.
 */
export class RelaxedFile implements SegmentFile {
  /** Monotonic ms of the oldest write that no sync has begun for, and of the oldest that the sync under way is for. */
  private oldest: number | undefined;
  private covered: number | undefined;
  private syncing = false;
  /** Who waits for a sync that begins from now on. */
  private waiting: Done[] = [];
  private failure: Error | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly fd: number,
    private readonly parts: RelaxedParts,
  ) {}

  write(bytes: Buffer, position: number, strict: boolean, done: Done): void {
    if (this.failure !== undefined) {
      done(this.failure);
      return;
    }
    const now = this.parts.clock.monotonic();
    const waits = strict || now - (this.covered ?? this.oldest ?? now) > this.parts.windowMs;
    const end: Done = waits ? (error) => (error ? done(error) : this.flush(done)) : done;
    this.linger(now);
    // The kernel may make a write wait for a sync of the same file: then it is not the event loop that waits.
    if (bytes.length <= AT_ONCE_BYTES && !this.syncing) end(this.writeNow(bytes, position));
    else
      writeAll(this.fd, bytes, position, (error) => {
        // A sync that began while the kernel took it may have missed it.
        this.linger(now);
        end(error);
      });
  }

  sync(): Promise<void> {
    this.failure = undefined;
    return new Promise((resolve, reject) => this.flush((error) => (error ? reject(error) : resolve())));
  }

  cut(length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.fd, length, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Once only: by the second time the number of the descriptor may belong to another file. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    // One that fails has been tried, and what is left is the kernel's.
    await this.sync().catch(() => undefined);
    clearTimeout(this.timer);
    await new Promise<void>((resolve, reject) => fs.close(this.fd, (error) => (error ? reject(error) : resolve())));
  }

  private writeNow(bytes: Buffer, position: number): Error | undefined {
    try {
      for (let at = 0; at < bytes.length;) {
        const written = fs.writeSync(this.fd, bytes, at, bytes.length - at, position + at);
        if (written === 0) return new Error('the disk took nothing');
        at += written;
      }
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  private linger(now: number): void {
    this.oldest ??= now;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (this.oldest !== undefined) this.flush();
    }, this.parts.windowMs / 2).unref();
  }

  private flush(done?: Done): void {
    if (done !== undefined) this.waiting.push(done);
    if (this.syncing) return;
    this.syncing = true;
    this.covered = this.oldest;
    this.oldest = undefined;
    const { waiting } = this;
    this.waiting = [];
    fs.fdatasync(this.fd, (error) => this.flushed(error ?? undefined, waiting));
  }

  private flushed(error: Error | undefined, waiting: readonly Done[]): void {
    this.syncing = false;
    this.covered = undefined;
    if (error === undefined) this.parts.onSynced();
    else this.failure = error;
    if (this.waiting.length > 0) this.flush();
    else if (this.oldest !== undefined) this.linger(this.oldest);
    for (const done of waiting) done(error);
  }
}
