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
import { mayComeFromOutside } from './blame';
import type { InferenceLog } from './inference-log';
import type { InferenceOptions } from './inference-options';
import { RunnerLostError, type Runner } from './runner';
import { whileYielding } from './runner-process';
import type { ServedVersion } from './served-version';

export interface SessionLoaderDeps {
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly log: InferenceLog;
}

/** Brings versions into runners: for the first time with all warm-up samples, later with one. */
export class SessionLoader {
  /** What every runner shall have, by session. */
  readonly versions = new Map<number, ServedVersion>();

  constructor(private readonly deps: SessionLoaderDeps) {}

  /** Loads one more version that the runner lacks, those that requests wait for first; whether it lacks others still. */
  async loadNext(runner: Runner): Promise<boolean> {
    const [version, another] = this.lacking(runner).sort((a, b) => b.queue.depth - a.queue.depth);
    if (version !== undefined) await this.loadAgain(runner, version);
    return another !== undefined;
  }

  /** Loads what requests wait for. */
  async loadAwaited(runner: Runner): Promise<void> {
    while (this.lacking(runner).some((version) => version.queue.depth > 0)) await this.loadNext(runner);
  }

  async place(runner: Runner, version: ServedVersion, samples: readonly (readonly Tensor[])[]): Promise<void> {
    const { clock, options } = this.deps;
    const message = await this.sourceOf(version);
    const limitAt = clock.monotonic() + options.loadLimitMs;
    const load = (): Promise<RunnerFrame> => runner.call(FRAME_TYPES.load, version.session, message, limitAt);
    // Others in it, and callers of this version, would wait the longer for it.
    const nobodyWaits = runner.sessions.size === 0 && version.queue.depth === 0;
    const answer = nobodyWaits ? await whileYielding(runner.pid, options.niceness, load) : await load();
    const loaded = loadedMessage(answer);
    version.describe(loaded);
    for (const inputs of samples) {
      const begun = clock.monotonic();
      const frame = await runner.run(version.session, inputs, version.inputNames, begun + options.warmupLimitMs);
      if (frame.type !== FRAME_TYPES.outputs) {
        if (version.loadOptions.warmupIsGuess === true) break;
        const cause = new Error((frameMessage(frame) as FailedMessage).message);
        throw new DomainError('model_not_ready', 'The model could not run its warm-up samples.', { cause });
      }
      version.batchMs = clock.monotonic() - begun;
    }
    runner.sessions.add(version.session);
  }

  async release(runner: Runner, session: number): Promise<void> {
    runner.sessions.delete(session);
    await runner.call(FRAME_TYPES.unload, session, {}, this.deps.clock.monotonic() + this.deps.options.loadLimitMs);
  }

  /** What a runner shall load: nothing that has changed since it was checked. */
  private async sourceOf(version: ServedVersion): Promise<LoadMessage> {
    const { file, providers, prepared, original, key } = version;
    if (prepared !== undefined) {
      if (await prepared.files.unchanged()) return { path: prepared.path, providers, prepared: true };
      version.prepared = undefined;
      this.deps.log.warn({ key }, 'the prepared files of a model have changed: it is loaded as it is');
    }
    if (original !== undefined && !(await original.unchanged()))
      throw new DomainError('model_not_ready', 'The files of the model have changed since they were checked.');
    return { path: file.path, providers };
  }

  private lacking(runner: Runner): ServedVersion[] {
    return [...this.versions.values()].filter((version) => {
      return !runner.sessions.has(version.session) && version.refusal === undefined && !version.breaker.blocks;
    });
  }

  private async loadAgain(runner: Runner, version: ServedVersion): Promise<void> {
    try {
      await this.place(runner, version, version.loadOptions.warmup.slice(0, 1));
      version.breaker.loaded();
    } catch (error) {
      if (!(error instanceof RunnerLostError)) {
        this.giveUp(version, error);
        return;
      }
      if (error.end.reason !== 'stopped') version.blameLoad(mayComeFromOutside(error.end));
      throw error;
    }
  }

  /** Its file is gone or not what it was: no later attempt would find it otherwise. */
  private giveUp(version: ServedVersion, cause: unknown): void {
    this.deps.log.error({ err: cause, key: version.key }, 'a model could not be loaded again and is given up');
    version.closed = true;
    version.givenUp = true;
    version.refusal = new DomainError('model_not_ready', 'The model could not be loaded again.', { cause });
    version.queue.refuseAll(version.refusal);
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
