import path from 'node:path';
import { segmentName } from './segment';
import type { SpoolDisk } from './spool-disk';

/** Of each burst one segment is kept for the next: making one costs as much writing as filling it. */
const MOST_SPARES = 1;

export interface SupplyLimits {
  readonly segmentBytes: number;
  /** All segments of the chain together. */
  readonly spoolBytes: number;
}

/** Keeps the next segment of a chain ready, out of segments that were shipped where there are any. */
export class SegmentSupply {
  private readonly spares: string[] = [];
  /** Segments of the chain on disk: prepared, in use and not yet shipped, spare. */
  private files = 0;
  private preparing: Promise<number> | undefined;
  private next: number;

  constructor(
    private readonly folder: string,
    private readonly disk: SpoolDisk,
    private readonly limits: SupplyLimits,
    first = 1,
  ) {
    this.next = first;
  }

  get bytes(): number {
    return this.files * this.limits.segmentBytes;
  }

  /** The number of the next segment, once its file is there; a failed preparation is tried again by the next call. */
  prepared(paced: boolean): Promise<number> {
    this.preparing ??= this.prepare(paced).catch((error: unknown) => {
      this.preparing = undefined;
      throw error;
    });
    return this.preparing;
  }

  /** The prepared segment is in use now. */
  taken(): void {
    this.preparing = undefined;
    this.next++;
  }

  /** A segment whose events are all in PostgreSQL comes back. */
  async giveBack(number: number): Promise<void> {
    const file = this.file(number);
    if (this.spares.length < MOST_SPARES) {
      const spare = `${file}.spare`;
      await this.disk.rename(file, spare);
      this.spares.push(spare);
      return;
    }
    await this.disk.remove(file);
    this.files--;
  }

  file(number: number): string {
    return path.join(this.folder, segmentName(number));
  }

  private async prepare(paced: boolean): Promise<number> {
    const number = this.next;
    const spare = this.spares.pop();
    if (spare !== undefined) {
      try {
        await this.disk.rename(spare, this.file(number));
      } catch (error) {
        this.spares.push(spare);
        throw error;
      }
      return number;
    }
    if (this.bytes + this.limits.segmentBytes > this.limits.spoolBytes) {
      throw new Error(`the spool has reached its limit of ${this.limits.spoolBytes} bytes`);
    }
    await this.disk.create(this.file(number), this.limits.segmentBytes, paced);
    this.files++;
    return number;
  }
}
