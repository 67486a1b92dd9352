import { setTimeout as sleep } from 'node:timers/promises';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { ReadyMessage } from '@sibyl/protocol';
import type { InferenceLog } from './inference-log';
import type { InferenceObserver } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import { RunnerLostError, type Runner, type RunnerEnd, type RunnerListener } from './runner';
import { whileYielding } from './runner-process';
import { RunnerSlot, type RunnerSlotHost } from './runner-slot';
import type { ServedVersion } from './served-version';
import { SessionLoader } from './session-loader';

/** What a group needs of the pool that it belongs to. */
export interface RunnerGroupHost {
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;
  /** A process, which may have started already. */
  newRunner(listener: RunnerListener): Runner;
  /** A process has said what it can do. */
  onGreeting(ready: ReadyMessage): void;
  /** A runner of the group takes work. */
  onReady(): void;
  onLost(end: RunnerEnd): void;
  onRunnerIdle(): void;
  /** Its places have changed. */
  onResized(): void;
}

/** Before each model that is loaded again without need: batches that wait for others begin in it. */
const FILL_PAUSE_MS = 1;

/** Places whose runners all hold the same versions. */
export class RunnerGroup implements RunnerSlotHost {
  readonly slots: RunnerSlot[] = [];
  readonly loader: SessionLoader;
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly observer: InferenceObserver;
  readonly log: InferenceLog;

  constructor(
    private readonly pool: RunnerGroupHost,
    /** The version that it holds and nothing else; undefined where it holds many. */
    private readonly only?: ServedVersion,
  ) {
    this.options = pool.options;
    this.clock = pool.clock;
    this.observer = pool.observer;
    this.log = pool.log;
    this.loader = new SessionLoader(this);
  }

  /** One runner more, with everything that the others have; it takes traffic when it is loaded. */
  grow(): RunnerSlot {
    const slot = new RunnerSlot(this, this.only?.key);
    this.slots.push(slot);
    this.pool.onResized();
    slot.open();
    return slot;
  }

  /** Ends the runner of a place that has nothing to do, or as soon as it has nothing to do. */
  async shrink(slot: RunnerSlot): Promise<void> {
    await slot.exclusive(() => slot.close()).catch(ignoreLostRunner);
    await this.remove([slot]);
  }

  /** Ends the runner of a place as soon as it has nothing to do; another one follows. */
  async replace(slot: RunnerSlot): Promise<void> {
    const end = (runner: Runner): Promise<void> => Promise.resolve(runner.kill('stopped'));
    await slot.exclusive(end).catch(ignoreLostRunner);
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
    if (!this.loader.versions.has(version.session)) throw new DomainError('model_not_ready', 'No runner is up.');
  }

  async unload(version: ServedVersion): Promise<void> {
    this.loader.versions.delete(version.session);
    await Promise.all(this.slots.map((slot) => this.unloadFrom(slot, version.session)));
  }

  async prepare(runner: Runner): Promise<void> {
    const { options, clock } = this;
    const start = (): Promise<ReadyMessage> => runner.started(clock.monotonic() + options.startLimitMs);
    // Of a version that nobody asks for yet; the others serve.
    const yields = this.only?.waiting === 0;
    this.pool.onGreeting(await (yields ? whileYielding(runner.pid, options.niceness, start) : start()));
    // The others are loaded by and by: whoever waits shall not wait for models that nobody asks for.
    await this.loader.loadAwaited(runner);
  }

  holds(session: number): boolean {
    return this.slots.some((slot) => slot.holds(session));
  }

  newRunner(listener: RunnerListener): Runner {
    return this.pool.newRunner(listener);
  }

  onReady(slot: RunnerSlot): void {
    this.pool.onReady();
    void this.fill(slot);
  }

  onLost(end: RunnerEnd): void {
    this.pool.onLost(end);
  }

  onRunnerIdle(): void {
    this.pool.onRunnerIdle();
  }

  /** Loads into all runners what they lack. One after another: a version that was kept away may end them still. */
  async fillAll(): Promise<void> {
    for (const slot of this.slots) if (slot.isReady) await this.fill(slot);
  }

  tick(now: number, measureMemory: boolean): void {
    for (const version of this.loader.versions.values()) version.expire(now);
    for (const slot of this.slots) slot.tick(now, measureMemory);
  }

  /** Ends all runners. */
  async close(): Promise<void> {
    this.loader.versions.clear();
    await this.remove([...this.slots]);
  }

  private async remove(slots: readonly RunnerSlot[]): Promise<void> {
    await Promise.all(slots.map((slot) => slot.close()));
    for (const slot of slots) {
      const at = this.slots.indexOf(slot);
      if (at >= 0) this.slots.splice(at, 1);
    }
    this.pool.onResized();
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
    await slot.exclusive((runner) => this.loader.release(runner, session)).catch(ignoreLostRunner);
  }
}

/** The runner ended or the pool is closing: its memory is free either way. */
function ignoreLostRunner(error: unknown): void {
  if (!(error instanceof RunnerLostError) && !(error instanceof DomainError)) throw error;
}
