import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { BatchScheduler } from './batch-scheduler';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import { Runner, RunnerLostError, type RunnerEnd, type RunnerListener } from './runner';
import { RunnerSlot, type RunnerSlotHost } from './runner-slot';
import { RunnerSpare } from './runner-spare';
import type { Machine } from './select-providers';
import type { ServedVersion } from './served-version';
import { SessionLoader } from './session-loader';

export interface RunnerPoolDeps {
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
}

interface ReadyWaiter {
  readonly limitAt: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Ticks between two looks at the memory of busy runners. */
const TICKS_PER_MEASURE = 10;
/** Before each model that is loaded again without need: batches that wait for others begin in it. */
const FILL_PAUSE_MS = 1;

/** The runners and what is loaded in them: every loaded version in every runner, those that come later included. */
export class RunnerPool implements RunnerSlotHost {
  readonly slots: readonly RunnerSlot[];
  readonly spare: RunnerSpare;
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
  machine: Machine = { providers: [], gpus: 0 };
  private scheduler: BatchScheduler | undefined;
  private ticker: NodeJS.Timeout | undefined;
  private ticks = 0;
  private readonly loader: SessionLoader;
  private awaiting: ReadyWaiter[] = [];
  private lastEnd: RunnerEnd | undefined;

  constructor(deps: RunnerPoolDeps) {
    this.options = deps.options;
    this.clock = deps.clock;
    this.observer = deps.observer;
    this.log = deps.log;
    this.loader = new SessionLoader(this);
    this.spare = new RunnerSpare(this);
    this.slots = Array.from({ length: deps.options.runners }, () => new RunnerSlot(this));
  }

  /** What is loaded, by session. */
  get versions(): ReadonlyMap<number, ServedVersion> {
    return this.loader.versions;
  }

  /** Starts the runners; `ready` tells when one of them is there. */
  open(scheduler: BatchScheduler): void {
    if (this.scheduler !== undefined) return;
    this.scheduler = scheduler;
    this.ticker = setInterval(() => this.tick(), this.options.tickMs);
    for (const slot of this.slots) slot.open();
  }

  ready(): Promise<void> {
    if (this.slots.some((slot) => slot.isReady)) return Promise.resolve();
    const limitAt = this.clock.monotonic() + this.options.startLimitMs;
    return new Promise((resolve, reject) => this.awaiting.push({ limitAt, resolve, reject }));
  }

  /** Loads a version into every runner, one after another, so that all but one go on serving. */
  async load(version: ServedVersion): Promise<void> {
    try {
      for (const slot of this.slots) {
        if (!slot.up) continue;
        await this.loadInto(slot, version);
        // From now on a runner that starts loads it by itself.
        this.loader.versions.set(version.session, version);
      }
    } catch (error) {
      await this.unload(version);
      throw error;
    }
    if (!this.versions.has(version.session)) throw new DomainError('model_not_ready', 'No runner is up.');
  }

  async unload(version: ServedVersion): Promise<void> {
    this.loader.versions.delete(version.session);
    await Promise.all(this.slots.map((slot) => this.unloadFrom(slot, version.session)));
  }

  async prepare(runner: Runner): Promise<void> {
    const { options, clock } = this;
    const ready = await runner.started(clock.monotonic() + options.startLimitMs);
    this.machine = { providers: ready.providers, gpus: ready.gpus };
    // The others are loaded by and by: whoever waits shall not wait for models that nobody asks for.
    await this.loader.loadAwaited(runner);
  }

  newRunner(listener: RunnerListener): Runner {
    return this.spare.take(listener) ?? new Runner(this.options, listener);
  }

  onReady(slot: RunnerSlot): void {
    for (const waiter of this.awaiting.splice(0)) waiter.resolve();
    void this.fill(slot);
  }

  /** Loads into all runners what they lack. One after another: a version that was kept away may end them still. */
  async fillAll(): Promise<void> {
    for (const slot of this.slots) if (slot.isReady) await this.fill(slot);
  }

  onLost(end: RunnerEnd): void {
    this.lastEnd = end;
  }

  onRunnerIdle(): void {
    this.scheduler?.idle();
  }

  async close(): Promise<void> {
    await Promise.all([this.spare.close(), ...this.slots.map((slot) => slot.close())]);
    clearInterval(this.ticker);
  }

  private tick(): void {
    const now = this.clock.monotonic();
    const measureMemory = this.ticks++ % TICKS_PER_MEASURE === 0;
    for (const version of this.versions.values()) version.queue.expire(now);
    for (const slot of this.slots) slot.tick(now, measureMemory);
    this.spare.tick(now);
    // A server that nobody asks anything need not hold memory for the case that it loses a runner.
    if ((this.scheduler?.batches ?? 0) > 0) this.spare.refill();
    if (this.awaiting.length > 0) this.dismiss(now);
  }

  private dismiss(now: number): void {
    this.awaiting = this.awaiting.filter((waiter) => {
      if (now <= waiter.limitAt) return true;
      const cause = this.lastEnd && new RunnerLostError(this.lastEnd);
      waiter.reject(new DomainError('model_not_ready', 'No runner could be started.', { cause }));
      return false;
    });
  }

  private async fill(slot: RunnerSlot): Promise<void> {
    try {
      let more = true;
      while (more) {
        await sleep(FILL_PAUSE_MS);
        more = await slot.exclusive((runner) => this.loader.loadNext(runner));
      }
    } catch (error) {
      // Its successor is filled when it is ready, and a pool that closes needs nothing.
      if (error instanceof RunnerLostError || (error instanceof DomainError && error.code === 'shutting_down')) return;
      this.log.error({ err: error }, 'a runner could not be given all models');
    }
  }

  /** A runner may be lost for reasons that are not this model's, so there is a second attempt in its successor. */
  private async loadInto(slot: RunnerSlot, version: ServedVersion, attempts = 2): Promise<void> {
    try {
      await slot.exclusive(async (runner) => {
        if (!runner.sessions.has(version.session)) await this.loader.place(runner, version, version.loadOptions.warmup);
      });
    } catch (error) {
      if (!(error instanceof RunnerLostError)) throw error;
      if (attempts > 1) return this.loadInto(slot, version, attempts - 1);
      throw new DomainError('model_not_ready', 'The process that loaded the model ended.', { cause: error });
    }
  }

  private async unloadFrom(slot: RunnerSlot, session: number): Promise<void> {
    if (!slot.up) return;
    try {
      await slot.exclusive((runner) => this.loader.release(runner, session));
    } catch (error) {
      // The runner ended or the pool is closing: its memory is free either way.
      if (!(error instanceof RunnerLostError) && !(error instanceof DomainError)) throw error;
    }
  }
}
