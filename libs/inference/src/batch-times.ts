import type { Clock } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import type { BatchFigures } from './model-runtime';

/** Runs of one batch size: the first one warms the session, and the median of a few is steady enough. */
const RUNS = 6;
/** Runs of one size end after it: a slow model has shown what it takes by then. */
const ENOUGH_MS = 150;
/** A batch that would take longer is not tried: the trial must end within its limit. */
const MOST_MS = 2_000;

/** Times batches of rising size, as long as the model takes them. */
export class BatchTimes {
  constructor(
    private readonly clock: Clock,
    private readonly rssBytes: () => number,
  ) {}

  async of(
    batches: readonly (readonly Tensor[])[],
    attempt: (inputs: readonly Tensor[]) => Promise<readonly Tensor[] | undefined>,
  ): Promise<(BatchFigures | undefined)[]> {
    const before = this.rssBytes();
    const figures: (BatchFigures | undefined)[] = [];
    for (const inputs of batches) {
      const rows = inputs[0]?.shape[0] ?? 0;
      const smaller = figures.at(-1);
      const expectedMs = smaller ? (smaller.medianMs * rows) / smaller.rows : 0;
      const tried = (figures.length === 0 || smaller !== undefined) && expectedMs <= MOST_MS;
      const medianMs = tried ? await this.median(() => attempt(inputs)) : undefined;
      const memoryBytes = Math.max(0, this.rssBytes() - before);
      figures.push(medianMs === undefined ? undefined : { rows, medianMs, memoryBytes });
    }
    return figures;
  }

  private async median(run: () => Promise<unknown>): Promise<number | undefined> {
    const begun = this.clock.monotonic();
    const durations: number[] = [];
    do {
      const runBegun = this.clock.monotonic();
      if ((await run()) === undefined) return undefined;
      durations.push(this.clock.monotonic() - runBegun);
    } while (durations.length < RUNS && this.clock.monotonic() - begun < ENOUGH_MS);
    const warm = (durations.length > 1 ? durations.slice(1) : durations).sort((a, b) => a - b);
    return warm[Math.floor(warm.length / 2)];
  }
}
