import fs from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const { O_WRONLY, O_DSYNC } = fs.constants;
/** Filling goes in slices with pauses, so that the commits of the moment do not queue behind it. */
const FILL_SLICE_BYTES = 1024 * 1024;
const FILL_PAUSE_MS = 5;

/** An open segment; a write is on stable storage when it calls back without an error. */
export interface SegmentFile {
  write(bytes: Buffer, position: number, done: (error: Error | undefined) => void): void;
  /** Drops everything from `length` on. */
  cut(length: number): Promise<void>;
  close(): Promise<void>;
}

/** The files of a spool. A class of its own because drills and tests put a failing disk in its place. */
export class SpoolDisk {
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
    return new SyncedFile(fs.openSync(file, O_WRONLY | (O_DSYNC ?? fs.constants.O_SYNC)));
  }
}

class SyncedFile implements SegmentFile {
  private closing: Promise<void> | undefined;

  constructor(private readonly fd: number) {}

  write(bytes: Buffer, position: number, done: (error: Error | undefined) => void): void {
    fs.write(this.fd, bytes, 0, bytes.length, position, (error, written) => {
      if (error) done(error);
      else if (written === bytes.length) done(undefined);
      else if (written === 0) done(new Error('the disk took nothing'));
      else this.write(bytes.subarray(written), position + written, done);
    });
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
