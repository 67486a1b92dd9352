/** Hot path. See docs/paths/predict.md. */

/** What earlier batches still weigh after each new one: some fifty count. */
const MEMORY = 0.98;
/** A batch that took this many times what was expected was held up by something else and counts as if it took no more. */
const HELD_UP = 8;
/** Of the mean number of rows: where batches differ by less, their times say nothing about what a row adds. */
const LEAST_SPREAD = 0.1;
/** Where the fixed part of a batch is less than this many times the cost of a row, running rows together wins too little to
 * let the first wait for the last. */
const LEAST_GAIN = 0.1;
/** Batches may be this many times as large as the largest of late: what was never run together is approached in steps. */
const GROWTH = 4;
const FIRST_ROWS = 32;
/** A budget that the fixed part alone uses up still leaves this many times that part to rows: else nothing but it would run. */
const FIXED_TIMES = 2;

/**
 * What a batch of `b` rows takes, in milliseconds: `a + c·b`, by least squares over batches of late, the older the lighter
 * (recursive sums with exponential forgetting). Warm-up runs are the first of them.
 */
export class BatchCost {
  /** `a`: what a batch costs whatever it holds. */
  fixedMs = 0;
  /** `c`: what each row adds. */
  perRowMs = 0;
  private weight = 0;
  private rows = 0;
  private ms = 0;
  private rowsRows = 0;
  private rowsMs = 0;
  private largest = 0;

  get known(): boolean {
    return this.weight > 0;
  }

  /** Whether rows of several requests should run together. */
  get gains(): boolean {
    return this.fixedMs > LEAST_GAIN * this.perRowMs || this.weight === 0;
  }

  /** Of a batch of so many rows; 0 where nothing is known. */
  expect(rows: number): number {
    return this.fixedMs + this.perRowMs * rows;
  }

  learn(rows: number, ms: number): void {
    const took = this.known ? Math.min(ms, HELD_UP * this.expect(rows)) : ms;
    this.weight = this.weight * MEMORY + 1;
    this.rows = this.rows * MEMORY + rows;
    this.ms = this.ms * MEMORY + took;
    this.rowsRows = this.rowsRows * MEMORY + rows * rows;
    this.rowsMs = this.rowsMs * MEMORY + rows * took;
    this.largest = Math.max(rows, this.largest * MEMORY);
    this.fit();
  }

  /** The rows of the largest batch that takes no longer than `budgetMs`, at least one. */
  rowsWithin(budgetMs: number): number {
    const most = this.largest === 0 ? FIRST_ROWS : Math.max(FIRST_ROWS, Math.ceil(GROWTH * this.largest));
    if (this.perRowMs <= 0) return most;
    const forRows = Math.max(budgetMs - this.fixedMs, FIXED_TIMES * this.fixedMs);
    return Math.max(1, Math.min(most, Math.floor(forRows / this.perRowMs)));
  }

  private fit(): void {
    const meanRows = this.rows / this.weight;
    const meanMs = this.ms / this.weight;
    const spread = this.rowsRows / this.weight - meanRows * meanRows;
    const most = meanMs / Math.max(meanRows, 1);
    if (spread > (LEAST_SPREAD * meanRows) ** 2) {
      this.perRowMs = (this.rowsMs / this.weight - meanRows * meanMs) / spread;
    }
    this.perRowMs = Math.min(Math.max(this.perRowMs, 0), most);
    this.fixedMs = Math.max(meanMs - this.perRowMs * meanRows, 0);
  }
}
