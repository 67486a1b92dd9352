import type { Clock } from '@sibyl/kernel';
import type { InferenceLog } from './inference-log';
import type { InferenceOptions } from './inference-options';
import { Runner, type RunnerEnd, type RunnerListener, type RunnerSettings } from './runner';

export interface RunnerSpareDeps {
  readonly options: InferenceOptions;
  readonly settings: RunnerSettings;
  readonly clock: Clock;
  readonly log: InferenceLog;
}

/** A successor gets its models back first: the start of a process takes a core for a tenth of a second. */
const REFILL_DELAY_MS = 100;

/**
 * A process that has started and loaded nothing, to take the place of a runner that ends: only the loads are left to wait
 * for. One serves all places, because losses come one at a time; the next after it is started at once.
 */
export class RunnerSpare implements RunnerListener {
  private runner: Runner | undefined;
  private started = false;
  private failures = 0;
  private closed = false;
  private timer: NodeJS.Timeout | undefined;
  private onceEnded: (() => void) | undefined;

  constructor(private readonly deps: RunnerSpareDeps) {}

  /** Whether it could serve at once. */
  get ready(): boolean {
    return this.started;
  }

  /** Starts one unless there is one, or none is wanted. */
  refill(): void {
    if (this.deps.options.spareRunners === 0 || this.closed || this.runner !== undefined || this.timer) return;
    const { restartDelayMs, restartDelayMaxMs } = this.deps.options;
    const delayMs = Math.min(this.failures === 0 ? 0 : restartDelayMs * 2 ** this.failures, restartDelayMaxMs);
    this.timer = setTimeout(() => this.start(), REFILL_DELAY_MS + delayMs);
  }

  /** The process, which is another's from now on; one that is still starting is nearer to its end than a new one. */
  take(listener: RunnerListener): Runner | undefined {
    const { runner } = this;
    if (runner === undefined) return undefined;
    runner.listener = listener;
    this.runner = undefined;
    this.started = false;
    return runner;
  }

  onIdle(): void {
    this.started = true;
    this.failures = 0;
  }

  onEnded(runner: Runner, end: RunnerEnd): void {
    this.runner = undefined;
    this.started = false;
    this.onceEnded?.();
    if (this.closed) return;
    this.failures++;
    this.deps.log.warn({ pid: runner.pid, ...end }, 'the spare runner ended and is replaced');
    this.refill();
  }

  /** Ends one that does not say that it is ready. */
  tick(now: number): void {
    const { runner } = this;
    if (runner?.work !== undefined && now > runner.work.limitAt) runner.kill('overran');
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    const { runner } = this;
    if (runner === undefined) return;
    const gone = new Promise<void>((resolve) => (this.onceEnded = resolve));
    runner.kill('stopped');
    await gone;
  }

  private start(): void {
    this.timer = undefined;
    const { options, settings, clock, log } = this.deps;
    try {
      const runner = new Runner(settings, this);
      this.runner = runner;
      // Whoever takes it hears of a failed start itself.
      runner.started(clock.monotonic() + options.startLimitMs).catch(() => runner.kill('crashed'));
    } catch (error) {
      log.error({ err: error }, 'a spare runner could not be started');
      this.failures++;
      this.refill();
    }
  }
}
