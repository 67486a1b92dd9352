import { DomainError } from '@sibyl/kernel';
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { readName, type TrainingName } from './training-name';

/** Finished training sets of one caller: looking through them is a matter of milliseconds. */
const CALLER_RESULTS = 1000;
/** What a file is given at a time; so much more than the limit those that are being written may come to. */
const STEP_BYTES = 8 * 1024 * 1024;
const RETRY_SECONDS = 60;

interface Lying extends TrainingName {
  readonly file: string;
  readonly bytes: number;
  readonly changedMs: number;
}

/**
 * Whether there is room for more of a training set: of all callers together, and of each its half. The oldest finished ones of
 * the same caller make room, never those of others.
 */
export class TrainingRoom {
  readonly callerBytes: number;
  /** Bytes that are asked for at a time. */
  readonly step: number;
  private asking: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly folder: string,
    private readonly totalBytes: number,
  ) {
    this.callerBytes = Math.floor(totalBytes / 2);
    this.step = Math.min(STEP_BYTES, Math.floor(this.callerBytes / 8));
  }

  /** For one step more; throws storage_full, and then nothing was removed. One is asked after the other, so that none overlooks what others took. */
  require(caller: string | undefined): Promise<void> {
    const asked = this.asking.then(() => this.make(caller));
    this.asking = asked.catch(() => undefined);
    return asked;
  }

  private async make(caller: string | undefined): Promise<void> {
    const all = await this.look();
    const own = all.filter((one) => one.caller === caller);
    const finished = own.filter(({ owner }) => owner === undefined).sort((a, b) => a.changedMs - b.changedMs);
    let [total, mine, results] = [bytesOf(all), bytesOf(own), finished.length];
    const removed: Lying[] = [];
    while (total + this.step > this.totalBytes || mine + this.step > this.callerBytes || results >= CALLER_RESULTS) {
      const oldest = finished[removed.length];
      if (!oldest) throw this.full(mine + this.step > this.callerBytes);
      removed.push(oldest);
      total -= oldest.bytes;
      mine -= oldest.bytes;
      results -= 1;
    }
    for (const { file } of removed) await rm(path.join(this.folder, file), { force: true });
  }

  /** Of this process and of others that have the same folder. */
  private async look(): Promise<readonly Lying[]> {
    const lying: Lying[] = [];
    for (const file of await readdir(this.folder)) {
      const name = readName(file);
      const stats = name && (await stat(path.join(this.folder, file)).catch(() => undefined));
      if (stats) lying.push({ ...name, file, bytes: stats.size, changedMs: stats.mtimeMs });
    }
    return lying;
  }

  private full(ownShare: boolean): DomainError {
    const whose = ownShare ? 'of one key' : 'of all keys together';
    const bytes = ownShare ? this.callerBytes : this.totalBytes;
    const way = ownShare
      ? 'Those that are being made make room once they are cancelled'
      : 'Finished ones of other keys make room once they are deleted';
    const detail = `Training sets ${whose} may take ${bytes} bytes, and there is nothing of this key that could make room. ${way}: DELETE /v1/operations/{id}.`;
    return new DomainError('storage_full', detail, { retryAfterSeconds: RETRY_SECONDS });
  }
}

function bytesOf(files: readonly Lying[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
