/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import type { InferRequest } from './model-runtime';
import { VersionQueue, type DropReason, type QueueLimits } from './version-queue';

/** Weight of the newest batch in the time that a row takes to leave the queue. */
const SMOOTHING = 0.2;
/** A row that took this many times what was expected was held up by something that will not hold up the next. */
const HELD_UP = 4;
const LONGEST_RETRY_AFTER_SECONDS = 60;

/** What a flow asks of the version that its requests are for. */
export interface FlowVersion {
  /** What one row takes in a batch as large as may be. */
  readonly rowMs: number;
}

export interface FlowParts<V extends FlowVersion> {
  readonly version: V;
  readonly limits: QueueLimits;
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
  /** What one row takes to leave the queue while something always waits, other versions' turns included. */
  private rowMs: number | undefined;
  /** When the last batch ended that left something waiting. */
  private backlogSince: number | undefined;

  constructor({ version, limits, weight, onDropped }: FlowParts<V>) {
    this.version = version;
    this.weight = weight;
    this.queue = new VersionQueue(limits, onDropped);
  }

  /**
   * Why a request may not wait: the queue is full, or it would not have its answer before its deadline. One that finds
   * nothing before it always may.
   */
  refusal(request: InferRequest, bytes: number, now: number): DomainError | undefined {
    const { queue } = this;
    if (queue.depth === 0) return undefined;
    if (!queue.admits(bytes)) return this.refused(`${queue.depth} requests wait for this model already.`);
    if (now + this.waitMs(request.rows || 1) <= request.deadlineAt) return undefined;
    return this.refused('What waits for this model already would take until after the deadline of the request.');
  }

  /** Learns from a batch that has ended how fast the queue drains. */
  ended(rows: number, now: number): void {
    if (this.backlogSince !== undefined) {
      const expected = this.rowMs ?? this.version.rowMs;
      const took = Math.min((now - this.backlogSince) / rows, HELD_UP * expected);
      this.rowMs = expected + (took - expected) * SMOOTHING;
    }
    this.backlogSince = this.queue.depth > 0 ? now : undefined;
    if (this.backlogSince === undefined) this.rowMs = undefined;
  }

  /** Until the answer of a request of so many rows that comes now. */
  private waitMs(rows: number): number {
    return (this.queue.rows + rows) * (this.rowMs ?? this.version.rowMs);
  }

  private refused(detail: string): DomainError {
    const seconds = Math.ceil(this.waitMs(0) / 1000);
    const retryAfterSeconds = Math.min(Math.max(seconds, 1), LONGEST_RETRY_AFTER_SECONDS);
    return new DomainError('queue_full', detail, { retryAfterSeconds });
  }
}
