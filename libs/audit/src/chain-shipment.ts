import type { AuditOptions } from './audit-options';
import type { ChainHead, EventStore } from './event-store';
import type { SpoolBatch } from './spool-batch';
import { segmentNumbers, type SpoolReader } from './spool-reader';
import type { TrailLog } from './trail-log';

export interface ShipmentParts {
  readonly chain: string;
  readonly folder: string;
  readonly reader: SpoolReader;
  readonly store: EventStore;
  readonly log: TrailLog;
  /** A segment of which every event is in PostgreSQL. */
  readonly release: (segment: number) => Promise<void>;
}

/** What one step did. `full`: there is probably more already. */
export type ShipmentStep = 'full' | 'shipped' | 'idle' | 'done';

/** Moves the events of one chain into PostgreSQL, in order and once: the head there says what has arrived. */
export class ChainShipment {
  private head: ChainHead | undefined;
  private batch: SpoolBatch | undefined;
  private released = 0;
  private damages = 0;

  constructor(
    private readonly parts: ShipmentParts,
    private readonly options: AuditOptions,
  ) {}

  get chain(): string {
    return this.parts.chain;
  }

  get folder(): string {
    return this.parts.folder;
  }

  /** Number of the last event that is in PostgreSQL for certain. */
  get shippedSeq(): number {
    return this.head?.seq ?? 0;
  }

  /** Whether more is durable than has arrived. */
  get behind(): boolean {
    return this.parts.reader.endsAfter(this.shippedSeq);
  }

  get damaged(): boolean {
    return this.damages > 0;
  }

  /** One batch. `idle`: nothing to ship now; `done`: a dead chain has been shipped to its end. */
  async step(): Promise<ShipmentStep> {
    const { chain, reader, store } = this.parts;
    this.head ??= await store.openChain(chain, 'spool');
    const limits = { events: this.options.shipEvents, bytes: this.options.shipBytes };
    this.batch ??= await reader.next(this.head.seq, limits);
    this.reportDamage();
    if (!this.batch) return reader.done ? 'done' : 'idle';
    if (this.batch.firstSeq !== this.head.seq + 1) this.reportGap(this.batch.firstSeq);
    const { offsets, chunk } = this.batch;
    const head = await store.append(chain, this.head, this.batch);
    this.batch = undefined;
    if (!head) {
      // An attempt that seemed to fail had arrived after all, or another process ships the same dead chain.
      this.head = await store.head(chain);
      await reader.rewind();
      return 'full';
    }
    this.head = head;
    await this.releaseRead();
    // Nobody announces events of a dead chain, so it is gone through until it is done.
    const hasMore = !reader.isLive || 2 * offsets.length >= limits.events || 2 * chunk.length >= limits.bytes;
    return hasMore ? 'full' : 'shipped';
  }

  close(): Promise<void> {
    return this.parts.reader.close();
  }

  private async releaseRead(): Promise<void> {
    const current = this.parts.reader.segmentNumber;
    if (current <= this.released + 1) return;
    for (const number of await segmentNumbers(this.parts.folder)) {
      if (number <= this.released || number >= current) continue;
      await this.parts.release(number).catch((error: unknown) => {
        this.parts.log.warn(
          { err: error, chain: this.chain },
          'a shipped segment of the audit spool could not be freed',
        );
      });
    }
    this.released = current - 1;
  }

  private reportDamage(): void {
    if (this.parts.reader.damages === this.damages) return;
    this.damages = this.parts.reader.damages;
    this.parts.log.error({ chain: this.chain }, 'the audit spool is damaged: recorded events are unreadable');
  }

  private reportGap(found: number): void {
    const expected = this.shippedSeq + 1;
    this.parts.log.error({ chain: this.chain, expected, found }, 'events are missing between database and audit spool');
  }
}
