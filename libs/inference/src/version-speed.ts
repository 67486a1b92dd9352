/** Hot path. See docs/paths/predict.md. */
import { BatchCost } from './batch-cost';
import type { InferenceOptions } from './inference-options';
import type { LoadOptions } from './model-runtime';

/** Weight of the newest batch in the smoothed time of a batch. */
const SMOOTHING = 0.1;

export type SpeedLimits = Pick<InferenceOptions, 'batchBudgetMs' | 'runLimitMs' | 'runLimitFactor'>;
export type SpeedWishes = Pick<LoadOptions, 'batchBudgetMs' | 'runLimitMs' | 'maxBatchRows'>;

/** How fast a version runs, as its batches show, and how large they may therefore be. */
export class VersionSpeed {
  readonly cost = new BatchCost();
  /** Ms that one batch may be expected to take. */
  readonly budgetMs: number;
  /** What a batch takes at present, smoothed. */
  batchMs = 0;
  /** What one row takes in a batch as large as its budget allows. */
  rowMs = 0;
  /** Rows that such a batch has; requests with more run in pieces. */
  budgetRows = Number.POSITIVE_INFINITY;
  /** As many rows waiting are a batch to which others would add nothing. */
  fullRows = Number.POSITIVE_INFINITY;

  constructor(
    private readonly limits: SpeedLimits,
    private readonly wishes: SpeedWishes,
  ) {
    this.budgetMs = wishes.batchBudgetMs ?? limits.batchBudgetMs;
  }

  /** Learns from a run, a batch of requests or one of the warm-up. */
  learn(rows: number, ms: number, batchable: boolean): void {
    const { cost } = this;
    this.batchMs = cost.known ? this.batchMs + (ms - this.batchMs) * SMOOTHING : ms;
    cost.learn(rows, ms);
    this.budgetRows = Math.min(cost.rowsWithin(this.budgetMs), this.wishes.maxBatchRows);
    this.fullRows = batchable && cost.gains ? this.budgetRows : 1;
    this.rowMs = cost.expect(this.fullRows) / this.fullRows;
  }

  /** The hard limit of a batch that is expected to take so long. */
  runLimitMs(expectedMs: number): number {
    const { runLimitMs, runLimitFactor } = this.limits;
    return this.wishes.runLimitMs ?? Math.max(runLimitMs, Math.max(expectedMs, this.batchMs) * runLimitFactor);
  }
}
