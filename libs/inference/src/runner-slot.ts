import { DomainError, type Clock } from '@sibyl/kernel';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import type { Runner, RunnerEnd, RunnerListener } from './runner';
import { Batch } from './batch';
import { isSuspended } from './runner-process';
import type { RunnerStatus } from './runtime-status';

/** What a slot needs of the pool around it. */
export interface RunnerSlotHost {
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
  /** A process, which may have started already. */
  newRunner(listener: RunnerListener): Runner;
  /** Brings it to where it can take work. */
  prepare(runner: Runner): Promise<void>;
  onReady(slot: RunnerSlot): void;
  onLost(end: RunnerEnd): void;
  /** A runner has nothing to do. */
  onRunnerIdle(): void;
}

interface Waiter {
  readonly limitAt: number;
  readonly resolve: (runner: Runner) => void;
  readonly reject: (error: Error) => void;
}

/** A runner that ends sooner than this after it was ready has not shown that it can live. */
const SETTLED_MS = 1000;
const STOP_LIMIT_MS = 2000;

/** A place in the pool: one runner at a time, replaced when it ends, lent out for work that is no batch. */
export class RunnerSlot implements RunnerListener {
  restarts = 0;
  private runner: Runner | undefined;
  private ready = false;
  private readySince = 0;
  private suspendedSince: number | undefined;
  private reserved = false;
  private failures = 0;
  private ending: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private onceEnded: (() => void) | undefined;
  private waiters: Waiter[] = [];

  constructor(
    private readonly host: RunnerSlotHost,
    /** The key of the version that it is kept for; undefined where it holds many. */
    private readonly model?: string,
  ) {}

  open(): void {
    const { clock, observer, log } = this.host;
    const begun = clock.monotonic();
    let runner: Runner;
    try {
      runner = this.host.newRunner(this);
    } catch (error) {
      // Out of processes or descriptors: a later attempt may find some.
      log.error({ err: error }, 'a runner could not be started');
      this.openLater(false);
      return;
    }
    this.runner = runner;
    this.suspendedSince = undefined;
    this.host.prepare(runner).then(
      () => {
        if (runner.ended) return;
        this.ready = true;
        this.readySince = clock.monotonic();
        observer.onRunnerReady(this.readySince - begun);
        this.host.onReady(this);
        if (runner.idle && !this.reserved) this.offer(runner);
      },
      (error: unknown) => {
        log.warn({ err: error, pid: runner.pid }, 'a runner could not be prepared');
        runner.kill('crashed');
      },
    );
  }

  get idleRunner(): Runner | undefined {
    const { runner } = this;
    return this.ready && !this.reserved && runner?.idle === true ? runner : undefined;
  }

  holds(session: number): boolean {
    return this.runner?.sessions.has(session) === true;
  }

  /** Requests that its runner works on. */
  get requests(): number {
    const work = this.runner?.work;
    return work instanceof Batch ? work.entries.length : 0;
  }

  /** Whether a process is there or about to be; false where one after another has ended at its start. */
  get up(): boolean {
    return this.runner !== undefined || this.failures <= 1;
  }

  get isReady(): boolean {
    return this.ready;
  }

  /** Does `work` with the runner as soon as that is idle, before any further batch. */
  async exclusive<T>(work: (runner: Runner) => Promise<T>): Promise<T> {
    const runner = await this.acquire();
    try {
      return await work(runner);
    } finally {
      if (runner === this.runner) {
        this.reserved = false;
        if (runner.idle) this.offer(runner);
      }
    }
  }

  onIdle(runner: Runner): void {
    if (!this.ready || this.reserved) return;
    this.failures = 0;
    this.offer(runner);
  }

  onEnded(runner: Runner, end: RunnerEnd): void {
    if (runner !== this.runner) return;
    const { clock, observer, log } = this.host;
    const settled = this.ready && clock.monotonic() - this.readySince >= SETTLED_MS;
    this.runner = undefined;
    this.ready = false;
    this.reserved = false;
    this.onceEnded?.();
    if (this.ending !== undefined) return;
    this.host.onLost(end);
    const key = runner.work instanceof Batch ? runner.work.version.key : undefined;
    if (end.reason !== 'stopped') observer.onRunnerLost(end.reason, key);
    log.warn({ pid: runner.pid, key, ...end }, 'a runner ended and is replaced');
    this.openLater(settled);
  }

  /** Looks at what the runner does: answers requests past their deadline, kills it past a limit. */
  tick(now: number, measureMemory: boolean): void {
    if (this.waiters.length > 0) this.dismissWaiters(now);
    const { runner } = this;
    const work = runner?.work;
    if (runner === undefined || work === undefined) return;
    if (work instanceof Batch) work.expire(now);
    // One that somebody suspended is as good as killed by them: its requests have not shown that they take too long.
    if (now > work.limitAt) runner.kill(isSuspended(runner.pid) ? 'crashed' : 'overran');
    else if (measureMemory) this.examine(runner, now);
  }

  private examine(runner: Runner, now: number): void {
    const { runnerMemoryBytes, runLimitMs } = this.host.options;
    // A load may take minutes, but not for nothing.
    this.suspendedSince = isSuspended(runner.pid) ? (this.suspendedSince ?? now) : undefined;
    if (this.suspendedSince !== undefined && now - this.suspendedSince > runLimitMs) runner.kill('crashed');
    else if ((runner.rssBytes() ?? 0) > runnerMemoryBytes) runner.kill('memory');
  }

  status(): RunnerStatus {
    const { runner, restarts, model } = this;
    if (runner === undefined) return { pid: undefined, state: 'down', rssBytes: undefined, restarts, model };
    const state = !this.ready ? 'starting' : runner.idle && !this.reserved ? 'idle' : 'busy';
    return { pid: runner.pid, state, rssBytes: runner.rssBytes(), restarts, model };
  }

  /** Ends the runner, kindly at first. Whoever asks again is told of the same end. */
  close(): Promise<void> {
    this.ending ??= this.end();
    return this.ending;
  }

  private async end(): Promise<void> {
    clearTimeout(this.timer);
    for (const waiter of this.waiters.splice(0)) waiter.reject(shuttingDown());
    const { runner } = this;
    if (runner === undefined) return;
    await new Promise<void>((resolve) => {
      const killer = setTimeout(() => runner.kill('stopped'), STOP_LIMIT_MS);
      this.onceEnded = () => {
        clearTimeout(killer);
        resolve();
      };
      if (runner.idle) runner.stop();
      else runner.kill('stopped');
    });
  }

  private dismissWaiters(now: number): void {
    this.waiters = this.waiters.filter((waiter) => {
      if (now <= waiter.limitAt) return true;
      waiter.reject(new DomainError('model_not_ready', 'No runner was free in time.'));
      return false;
    });
  }

  /** At once where the runner had lived; ever later where one after another ends at its start. */
  private openLater(settled: boolean): void {
    const { restartDelayMs, restartDelayMaxMs } = this.host.options;
    this.failures = settled ? 0 : this.failures + 1;
    this.restarts++;
    const delayMs = this.failures <= 1 ? 0 : Math.min(restartDelayMs * 2 ** (this.failures - 2), restartDelayMaxMs);
    this.timer = setTimeout(() => this.open(), delayMs);
  }

  private acquire(): Promise<Runner> {
    if (this.ending !== undefined) return Promise.reject(shuttingDown());
    const { idleRunner } = this;
    if (idleRunner !== undefined) {
      this.reserved = true;
      return Promise.resolve(idleRunner);
    }
    const limitAt = this.host.clock.monotonic() + this.host.options.loadLimitMs;
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject, limitAt }));
  }

  private offer(runner: Runner): void {
    const waiter = this.waiters.shift();
    if (waiter === undefined) {
      this.host.onRunnerIdle();
      return;
    }
    this.reserved = true;
    waiter.resolve(runner);
  }
}

export function shuttingDown(): DomainError {
  return new DomainError('shutting_down', 'The server is shutting down.');
}
