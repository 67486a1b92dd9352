/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import type { InferRequest } from './model-runtime';
import { VersionQueue, type DropReason, type QueueLimits } from './version-queue';

/** What earlier batches still weigh after each new one in the time that a row takes to leave the queue: some twenty count. */
const MEMORY = 0.95;
/** What a row is expected to take weighs as much at first as so many batches: one that was held up says little. */
const PRIOR_BATCHES = 10;
/** A batch that left the queue this many times later than expected was held up by what will not hold up the next: a run that was
 * killed, a pause of the machine. Where it does, the expectation follows within a few batches. */
const HELD_UP = 8;
/** The wait is an estimate. A request that is refused for nothing is worse than one that waits for nothing. */
const MARGIN = 1.25;
const LONGEST_RETRY_AFTER_SECONDS = 60;
/** Callers of a slow model are no overload before they are more than these. */
const FEW = 16;

/** What a flow asks of the version that its requests are for. */
export interface FlowVersion {
  /** What one row takes at best, on all runners that can run it. */
  readonly rowMs: number;
}

export interface FlowLimits extends QueueLimits {
  /** Work that may wait, in ms, whatever the deadlines of those who come; a few requests may wait in any case. */
  readonly maxWaitMs: number;
}

export interface FlowParts<V extends FlowVersion> {
  readonly version: V;
  readonly limits: FlowLimits;
  /** Runner time that it gets beside others, as a ratio. */
  readonly weight: number;
  readonly onDropped: (reason: DropReason) => void;
}

/** The requests of one version and one priority: what waits, how fast it leaves, and the runner time it has had. */
export class Flow<V extends FlowVersion> {
  readonly version: V;
  readonly queue: VersionQueue;
  readonly weight: number;
  /** Whether the scheduler has it among those with work. */
  active = false;
  /** Runner time it has had, in its share of it; only differences mean anything. */
  virtualMs = 0;
  /** Monotonic ms. */
  startedAt = Number.NEGATIVE_INFINITY;
  /** Since when something always waits: rows that left the queue and the time they took, other versions' turns included. */
  private drainedRows = 0;
  private drainedMs = 0;
  /** When the last batch ended that left something waiting. */
  private backlogSince: number | undefined;
  private readonly maxWaitMs: number;

  constructor({ version, limits, weight, onDropped }: FlowParts<V>) {
    this.version = version;
    this.weight = weight;
    this.maxWaitMs = limits.maxWaitMs;
    this.queue = new VersionQueue(limits, onDropped);
  }

  /**
   * Why a request may not wait: the queue is full, or it would not have its answer before its deadline. One that finds
   * nothing before it always may.
   */
  refusal(request: Pick<InferRequest, 'rows' | 'deadlineAt'>, bytes: number, now: number): DomainError | undefined {
    const { queue } = this;
    if (queue.depth === 0) return undefined;
    if (!queue.admits(bytes)) return this.refused(`${queue.depth} requests wait for this model already.`);
    const waitMs = this.waitMs(request.rows || 1);
    if (queue.depth >= FEW && waitMs > this.maxWaitMs) {
      return this.refused(`Work for ${Math.ceil(waitMs)} ms waits for this model already.`);
    }
    if (waitMs <= MARGIN * (request.deadlineAt - now)) return undefined;
    return this.refused('What waits for this model already would take until after the deadline of the request.');
  }

  /** Learns from a batch that has ended how fast the queue drains. */
  ended(rows: number, now: number): void {
    if (this.queue.depth === 0) {
      this.backlogSince = undefined;
      this.drainedRows = 0;
      return;
    }
    if (this.drainedRows === 0) {
      this.drainedRows = rows * PRIOR_BATCHES;
      this.drainedMs = this.drainedRows * this.version.rowMs;
    }
    if (this.backlogSince !== undefined) {
      const expected = rows * (this.drainedMs / this.drainedRows);
      const took = Math.min(now - this.backlogSince, HELD_UP * expected);
      this.drainedRows = this.drainedRows * MEMORY + rows;
      this.drainedMs = this.drainedMs * MEMORY + took;
    }
    this.backlogSince = now;
  }

  /** Until the answer of a request of so many rows that comes now. */
  private waitMs(rows: number): number {
    const rowMs = this.drainedRows === 0 ? this.version.rowMs : this.drainedMs / this.drainedRows;
    return (this.queue.rows + rows) * rowMs;
  }

  private refused(detail: string): DomainError {
    const seconds = Math.ceil(this.waitMs(0) / 1000);
    const retryAfterSeconds = Math.min(Math.max(seconds, 1), LONGEST_RETRY_AFTER_SECONDS);
    return new DomainError('queue_full', detail, { retryAfterSeconds });
  }
}
