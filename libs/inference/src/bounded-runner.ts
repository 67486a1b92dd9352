import type { Clock } from '@sibyl/kernel';
import { Runner, type RunnerListener, type RunnerSettings } from './runner';

export interface RunnerBounds {
  readonly limitMs: number;
  readonly memoryBytes: number;
}

/** A model can take gigabytes in a fraction of a second, so its memory is looked at often. */
const WATCH_MS = 25;

/** A process for one piece of work: ended when it takes too long or too much memory, and gone when the work is done. */
export class BoundedRunner implements RunnerListener {
  private runner: Runner | undefined;
  private onEnd: (() => void) | undefined;

  constructor(
    private readonly settings: RunnerSettings,
    private readonly clock: Clock,
    private readonly bounds: RunnerBounds,
  ) {}

  /** Starts the process and does the work, which awaits its calls one by one; `limitAt` is in monotonic milliseconds. */
  async during<T>(work: (runner: Runner, limitAt: number) => Promise<T>): Promise<T> {
    const limitAt = this.clock.monotonic() + this.bounds.limitMs;
    const runner = new Runner({ ...this.settings, memoryBytes: this.bounds.memoryBytes }, this);
    this.runner = runner;
    const watch = setInterval(() => this.watch(runner, limitAt), WATCH_MS);
    try {
      return await work(runner, limitAt);
    } finally {
      clearInterval(watch);
      await this.end(runner);
    }
  }

  /** Ends it; what waits for it fails with the reason `stopped`. */
  stop(): void {
    this.runner?.kill('stopped');
  }

  onIdle(): void {
    // Each call is awaited, so that nothing else waits for the runner.
  }

  onEnded(): void {
    this.onEnd?.();
  }

  private watch(runner: Runner, limitAt: number): void {
    if (this.clock.monotonic() > limitAt) runner.kill('overran');
    else if ((runner.rssBytes() ?? 0) > this.bounds.memoryBytes) runner.kill('memory');
  }

  private async end(runner: Runner): Promise<void> {
    if (runner.ended) return;
    const gone = new Promise<void>((resolve) => (this.onEnd = resolve));
    runner.kill('stopped');
    await gone;
  }
}
