/** Hot path. See docs/paths/predict.md. */

/** Upper bounds in seconds of everything that a request waits for: 0.25 ms to 10 s. */
export const DURATION_BUCKETS: readonly number[] = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/**
 * A histogram that costs one short loop and two additions to feed. prom-client hashes the labels of every observation,
 * which on the predict path would cost more than the rest of the metrics together.
 */
export class FixedHistogram {
  /** How often a value fell into each bucket (not summed up); the last one is everything above. */
  readonly counts: Float64Array;
  count = 0;
  sum = 0;

  constructor(readonly bounds: readonly number[] = DURATION_BUCKETS) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket++;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.count++;
    this.sum += value;
  }
}
