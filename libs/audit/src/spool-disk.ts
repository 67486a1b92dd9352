import fs from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '@sibyl/kernel';
import { RelaxedFile } from './relaxed-file';
import { writeAll, type Done, type SegmentFile } from './segment-file';

const { O_WRONLY, O_DSYNC } = fs.constants;
/** Filling goes in slices with pauses, so that the commits of the moment do not queue behind it. */
const FILL_SLICE_BYTES = 1024 * 1024;
const FILL_PAUSE_MS = 5;

/** The files of a spool. A class of its own because drills and tests put a failing disk in its place. */
export class SpoolDisk {
  /** Times that writes have been waited for until they were on stable storage. */
  syncs = 0;

  /** `relaxed`: writes that are not strict may be lost by a crash of the machine for so long. */
  constructor(private readonly relaxed?: { readonly windowMs: number; readonly clock: Clock }) {}

  /** Makes a zero-filled, durable file of full size, so that later writes need no metadata; paced where commits run. */
  async create(file: string, bytes: number, paced: boolean): Promise<void> {
    const unfinished = `${file}.new`;
    try {
      await fill(unfinished, bytes, paced);
      await rename(unfinished, file);
      await syncFolder(path.dirname(file));
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Durable like all else here: a segment in use must not be lost with its name. */
  async rename(from: string, to: string): Promise<void> {
    await rename(from, to);
    await syncFolder(path.dirname(to));
  }

  async remove(file: string): Promise<void> {
    await rm(file, { force: true });
  }

  /** O_DSYNC: one system call writes and waits for the disk; measured cheaper than write and fdatasync. */
  open(file: string): SegmentFile {
    const onSynced = (): void => void this.syncs++;
    if (this.relaxed !== undefined) return new RelaxedFile(fs.openSync(file, O_WRONLY), { ...this.relaxed, onSynced });
    return new SyncedFile(fs.openSync(file, O_WRONLY | (O_DSYNC ?? fs.constants.O_SYNC)), onSynced);
  }
}

class SyncedFile implements SegmentFile {
  private closing: Promise<void> | undefined;

  constructor(
    private readonly fd: number,
    private readonly onSynced: () => void,
  ) {}

  write(bytes: Buffer, position: number, _strict: boolean, done: Done): void {
    writeAll(this.fd, bytes, position, (error) => {
      if (error === undefined) this.onSynced();
      done(error);
    });
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  cut(length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.fd, length, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Once only: by the second time the number of the descriptor may belong to another file. */
  close(): Promise<void> {
    this.closing ??= new Promise((resolve, reject) =>
      fs.close(this.fd, (error) => (error ? reject(error) : resolve())),
    );
    return this.closing;
  }
}

async function fill(file: string, bytes: number, paced: boolean): Promise<void> {
  const handle = await open(file, 'w', 0o600);
  try {
    const zeros = Buffer.alloc(Math.min(FILL_SLICE_BYTES, bytes));
    for (let at = 0; at < bytes; at += zeros.length) {
      if (paced && at > 0) await pause(FILL_PAUSE_MS);
      const slice = zeros.subarray(0, Math.min(zeros.length, bytes - at));
      const { bytesWritten } = await handle.write(slice, 0, slice.length, at);
      if (bytesWritten !== slice.length) throw new Error('the disk is full');
      if (paced) await handle.datasync();
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
