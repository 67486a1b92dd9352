import { DomainError, type Clock } from '@sibyl/kernel';
import {
  FRAME_TYPES,
  FrameError,
  frameMessage,
  type FailedMessage,
  type LoadMessage,
  type LoadedMessage,
  type RunnerFrame,
  type Tensor,
} from '@sibyl/protocol';
import type { BatchScheduler } from './batch-scheduler';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import { RunnerLostError, type Runner, type RunnerEnd } from './runner';
import { visibleGpus } from './runner-process';
import { RunnerSlot, type RunnerSlotHost } from './runner-slot';
import type { Machine } from './select-providers';
import type { ServedVersion } from './served-version';

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
/** Losses while one model is loaded again after which that model is given up, so that the others serve. */
const RELOAD_LOSSES = 3;

/** The runners and what is loaded in them: every loaded version in every runner, those that come later included. */
export class RunnerPool implements RunnerSlotHost {
  readonly slots: readonly RunnerSlot[];
  readonly versions = new Map<number, ServedVersion>();
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
  machine: Machine = { providers: [], gpus: 0 };
  private scheduler: BatchScheduler | undefined;
  private ticker: NodeJS.Timeout | undefined;
  private ticks = 0;
  private readonly reloadLosses = new Map<number, number>();
  private awaiting: ReadyWaiter[] = [];
  private lastEnd: RunnerEnd | undefined;

  constructor(deps: RunnerPoolDeps) {
    this.options = deps.options;
    this.clock = deps.clock;
    this.observer = deps.observer;
    this.log = deps.log;
    this.slots = Array.from({ length: deps.options.runners }, () => new RunnerSlot(this));
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
        this.versions.set(version.session, version);
      }
    } catch (error) {
      await this.unload(version);
      throw error;
    }
    if (!this.versions.has(version.session)) throw new DomainError('model_not_ready', 'No runner is up.');
  }

  async unload(version: ServedVersion): Promise<void> {
    this.versions.delete(version.session);
    this.reloadLosses.delete(version.session);
    await Promise.all(this.slots.map((slot) => this.unloadFrom(slot, version.session)));
  }

  async prepare(runner: Runner): Promise<void> {
    const { options, clock } = this;
    const ready = await runner.started(clock.monotonic() + options.startLimitMs);
    this.machine = { providers: ready.providers, gpus: visibleGpus() };
    for (const version of this.versions.values()) await this.loadAgain(runner, version);
    for (const session of runner.sessions) if (!this.versions.has(session)) await this.release(runner, session);
  }

  onReady(): void {
    for (const waiter of this.awaiting.splice(0)) waiter.resolve();
  }

  onLost(end: RunnerEnd): void {
    this.lastEnd = end;
  }

  onRunnerIdle(): void {
    this.scheduler?.idle();
  }

  async close(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()));
    clearInterval(this.ticker);
  }

  private tick(): void {
    const now = this.clock.monotonic();
    const measureMemory = this.ticks++ % TICKS_PER_MEASURE === 0;
    for (const version of this.versions.values()) version.queue.expire(now);
    for (const slot of this.slots) slot.tick(now, measureMemory);
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

  /** A runner may be lost for reasons that are not this model's, so there is a second attempt in its successor. */
  private async loadInto(slot: RunnerSlot, version: ServedVersion, attempts = 2): Promise<void> {
    try {
      await slot.exclusive(async (runner) => {
        if (!runner.sessions.has(version.session)) await this.place(runner, version, version.loadOptions.warmup);
      });
    } catch (error) {
      if (!(error instanceof RunnerLostError)) throw error;
      if (attempts > 1) return this.loadInto(slot, version, attempts - 1);
      throw new DomainError('model_not_ready', 'The process that loaded the model ended.', { cause: error });
    }
  }

  private async loadAgain(runner: Runner, version: ServedVersion): Promise<void> {
    if (version.refusal !== undefined || runner.sessions.has(version.session)) return;
    try {
      await this.place(runner, version, version.loadOptions.warmup.slice(0, 1));
      this.reloadLosses.delete(version.session);
    } catch (error) {
      const losses = (this.reloadLosses.get(version.session) ?? 0) + 1;
      this.reloadLosses.set(version.session, losses);
      if (!(error instanceof RunnerLostError) || losses >= RELOAD_LOSSES) this.giveUp(version, error);
      if (error instanceof RunnerLostError) throw error;
    }
  }

  private giveUp(version: ServedVersion, cause: unknown): void {
    this.log.error({ err: cause, key: version.key }, 'a model could not be loaded again and is given up');
    version.refusal = new DomainError('model_not_ready', 'The model could not be loaded again.', { cause });
    version.queue.refuseAll(version.refusal);
  }

  private async place(runner: Runner, version: ServedVersion, samples: readonly (readonly Tensor[])[]): Promise<void> {
    const { clock, options } = this;
    const message: LoadMessage = { path: version.file.path, providers: version.providers };
    const limitAt = clock.monotonic() + options.loadLimitMs;
    const loaded = loadedMessage(await runner.call(FRAME_TYPES.load, version.session, message, limitAt));
    version.describe(loaded);
    for (const inputs of samples) {
      const begun = clock.monotonic();
      const frame = await runner.run(version.session, inputs, version.inputNames, begun + options.warmupLimitMs);
      if (frame.type !== FRAME_TYPES.outputs) {
        const cause = new Error((frameMessage(frame) as FailedMessage).message);
        throw new DomainError('model_not_ready', 'The model could not run its warm-up samples.', { cause });
      }
      version.batchMs = clock.monotonic() - begun;
    }
    runner.sessions.add(version.session);
  }

  private async unloadFrom(slot: RunnerSlot, session: number): Promise<void> {
    if (!slot.up) return;
    try {
      await slot.exclusive((runner) => this.release(runner, session));
    } catch (error) {
      // The runner ended or the pool is closing: its memory is free either way.
      if (!(error instanceof RunnerLostError) && !(error instanceof DomainError)) throw error;
    }
  }

  private async release(runner: Runner, session: number): Promise<void> {
    runner.sessions.delete(session);
    await runner.call(FRAME_TYPES.unload, session, {}, this.clock.monotonic() + this.options.loadLimitMs);
  }
}

/** The facts of a load, or the DomainError that its failure is. */
export function loadedMessage(frame: RunnerFrame): LoadedMessage {
  if (frame.type === FRAME_TYPES.loaded) return frameMessage(frame) as LoadedMessage;
  if (frame.type !== FRAME_TYPES.loadFailed) throw new FrameError(`${frame.type} is no answer to a load`);
  const { reason, message } = frameMessage(frame) as FailedMessage;
  const cause = new Error(message);
  if (reason === 'provider') {
    const detail = 'The model requires a GPU, and no session could be made on it.';
    throw new DomainError('execution_provider_unavailable', detail, { cause });
  }
  throw new DomainError('model_not_ready', 'The model could not be loaded.', { cause });
}
