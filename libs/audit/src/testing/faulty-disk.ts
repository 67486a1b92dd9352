import type { Done, SegmentFile } from '../segment-file';
import { SpoolDisk } from '../spool-disk';

interface Write {
  readonly bytes: Buffer;
  readonly position: number;
  readonly strict: boolean;
}

/** A real disk that can be made to fail: what an operator meets as ENOSPC, EIO or a device that hangs. */
export class FaultyDisk extends SpoolDisk {
  /** Writes from now on that succeed before they fail; Infinity is a healthy disk. */
  writesLeft = Infinity;
  /** Whether new segments can be made. */
  hasRoom = true;
  /** What of a failing write reaches the file all the same. */
  tornBytes = 0;
  /** Whether a failing file can still be cut. */
  canCut = true;
  /** While true, writes do not come back; `release` lets them. */
  hangs = false;
  private readonly hung: (() => void)[] = [];

  override async create(file: string, bytes: number, paced: boolean): Promise<void> {
    if (!this.hasRoom) throw diskError('ENOSPC');
    await super.create(file, bytes, paced);
  }

  override open(file: string): SegmentFile {
    const real = super.open(file);
    return {
      write: (bytes, position, strict, done) => this.write(real, { bytes, position, strict }, done),
      sync: () => real.sync(),
      cut: (length) => (this.canCut ? real.cut(length) : Promise.reject(diskError('EIO'))),
      close: () => real.close(),
    };
  }

  release(): void {
    this.hangs = false;
    for (const go of this.hung.splice(0)) go();
  }

  private write(real: SegmentFile, asked: Write, done: Done): void {
    const { bytes, position, strict } = asked;
    if (this.hangs) {
      this.hung.push(() => this.write(real, asked, done));
      return;
    }
    if (this.writesLeft > 0) {
      this.writesLeft--;
      real.write(bytes, position, strict, done);
      return;
    }
    const torn = bytes.subarray(0, this.tornBytes);
    if (torn.length === 0) setImmediate(done, diskError('ENOSPC'));
    else real.write(torn, position, true, () => done(diskError('EIO')));
  }
}

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}
