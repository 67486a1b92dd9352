import fs from 'node:fs';

export type Done = (error: Error | undefined) => void;

/** An open segment. One write at a time. */
export interface SegmentFile {
  /** Calls back when the bytes, and all before them, are on stable storage; earlier only where the file is a relaxed one and the write not strict. */
  write(bytes: Buffer, position: number, strict: boolean, done: Done): void;
  /** Resolves when everything written is on stable storage. */
  sync(): Promise<void>;
  /** Drops everything from `length` on. */
  cut(length: number): Promise<void>;
  close(): Promise<void>;
}

/** Writes all of it, in as many calls as the kernel asks for. */
export function writeAll(fd: number, bytes: Buffer, position: number, done: Done): void {
  fs.write(fd, bytes, 0, bytes.length, position, (error, written) => {
    if (error) done(error);
    else if (written === bytes.length) done(undefined);
    else if (written === 0) done(new Error('the disk took nothing'));
    else writeAll(fd, bytes.subarray(written), position + written, done);
  });
}
