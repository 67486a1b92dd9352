import { DomainError, type Clock } from '@sibyl/kernel';
import {
  FRAME_TYPES,
  FrameError,
  frameMessage,
  type FailedMessage,
  type LoadMessage,
  type LoadedMessage,
  type PlacementMessage,
  type RunnerFrame,
  type Tensor,
} from '@sibyl/protocol';
import { mayComeFromOutside } from './blame';
import { executionOf, needsProof, requirePolicy } from './execution';
import type { InferenceLog } from './inference-log';
import type { InferenceOptions } from './inference-options';
import { RunnerLostError, type Runner } from './runner';
import { whileYielding } from './runner-process';
import type { ServedVersion } from './served-version';

export interface SessionLoaderDeps {
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly log: InferenceLog;
  /** Whether any of the runners that this loads into has the session. */
  holds(session: number): boolean;
}

/** Brings versions into runners: for the first time with all warm-up samples, later with one. */
export class SessionLoader {
  /** What every runner shall have, by session. */
  readonly versions = new Map<number, ServedVersion>();

  constructor(private readonly deps: SessionLoaderDeps) {}

  /** Loads one more version that the runner lacks, those that requests wait for first; whether it lacks others still. */
  async loadNext(runner: Runner): Promise<boolean> {
    const [version, another] = this.lacking(runner).sort((a, b) => b.waiting - a.waiting);
    if (version !== undefined) await this.loadAgain(runner, version);
    return another !== undefined;
  }

  /** Loads what requests wait for. */
  async loadAwaited(runner: Runner): Promise<void> {
    while (this.lacking(runner).some((version) => version.waiting > 0)) await this.loadNext(runner);
  }

  async place(runner: Runner, version: ServedVersion, samples: readonly (readonly Tensor[])[]): Promise<void> {
    const { clock, options } = this.deps;
    const message = await this.sourceOf(version);
    const limitAt = clock.monotonic() + options.loadLimitMs;
    const load = (): Promise<RunnerFrame> => runner.call(FRAME_TYPES.load, version.session, message, limitAt);
    // Others in it, and callers of this version, would wait the longer for it.
    const nobodyWaits = runner.sessions.size === 0 && version.waiting === 0;
    const answer = nobodyWaits ? await whileYielding(runner.pid, options.niceness, load) : await load();
    const loaded = loadedMessage(answer);
    version.describe(loaded);
    for (const inputs of samples) if (!(await this.warm(runner, version, inputs))) break;
    if (needsProof(loaded.provider)) await this.prove(runner, version, loaded.provider);
    runner.sessions.add(version.session);
  }

  /** Runs a sample twice: a first run prepares what later ones find, the second tells what they take. False where it cannot run. */
  private async warm(runner: Runner, version: ServedVersion, inputs: readonly Tensor[]): Promise<boolean> {
    const { clock, options } = this.deps;
    for (const prepared of [false, true]) {
      const begun = clock.monotonic();
      const frame = await runner.run(version.session, inputs, version.inputNames, begun + options.warmupLimitMs);
      if (frame.type !== FRAME_TYPES.outputs) {
        if (version.loadOptions.warmupIsGuess === true) return false;
        const cause = new Error((frameMessage(frame) as FailedMessage).message);
        throw new DomainError('model_not_ready', 'The model could not run its warm-up samples.', { cause });
      }
      if (!prepared) continue;
      const rows = version.batchable ? inputs[0]?.shape[0] || 1 : 1;
      version.speed.learn(rows, clock.monotonic() - begun, version.batchable);
    }
    return true;
  }

  async release(runner: Runner, session: number): Promise<void> {
    runner.sessions.delete(session);
    await runner.call(FRAME_TYPES.unload, session, {}, this.deps.clock.monotonic() + this.deps.options.loadLimitMs);
  }

  /** What a runner shall load: what was prepared, as long as nobody has touched it. */
  private async sourceOf(version: ServedVersion): Promise<LoadMessage> {
    const { file, providers, prepared, key } = version;
    if (prepared !== undefined) {
      if (await prepared.files.unchanged()) return { path: prepared.path, providers, prepared: true };
      version.prepared = undefined;
      this.deps.log.warn({ key }, 'the prepared files of a model have changed: it is loaded as it is');
    }
    return { path: file.path, providers };
  }

  /** Asks what computed the warm-up runs. A policy that this breaks ends the load. */
  private async prove(runner: Runner, version: ServedVersion, provider: string): Promise<void> {
    const limitAt = this.deps.clock.monotonic() + this.deps.options.loadLimitMs;
    const frame = await runner.call(FRAME_TYPES.place, version.session, {}, limitAt);
    if (frame.type !== FRAME_TYPES.placed) throw new FrameError(`${frame.type} does not say what computed a run`);
    const { nodes } = frameMessage(frame) as PlacementMessage;
    const execution = executionOf(version.providers, provider, nodes);
    version.place(execution);
    requirePolicy(version.loadOptions.devicePolicy, execution);
  }

  private lacking(runner: Runner): ServedVersion[] {
    return [...this.versions.values()].filter((version) => {
      if (runner.sessions.has(version.session) || version.refusal !== undefined || version.breaker.blocks) return false;
      return version.spreads || !this.deps.holds(version.session);
    });
  }

  private async loadAgain(runner: Runner, version: ServedVersion): Promise<void> {
    try {
      await version.file.recheck?.();
      await this.place(runner, version, version.loadOptions.warmup.slice(0, 1));
      version.breaker.loaded();
      version.spreads = true;
    } catch (error) {
      if (!(error instanceof RunnerLostError)) {
        if (this.deps.holds(version.session)) await this.leave(runner, version, error);
        else this.giveUp(version, error);
        return;
      }
      if (error.end.reason !== 'stopped') version.blameLoad(mayComeFromOutside(error.end));
      throw error;
    }
  }

  /** What another runner loaded while it could be loaded goes on serving. */
  private async leave(runner: Runner, version: ServedVersion, cause: unknown): Promise<void> {
    const { key, session } = version;
    this.deps.log.error(
      { err: cause, key },
      'a model could not be loaded into one more runner; those that hold it go on',
    );
    version.spreads = false;
    // It may have been loaded and then failed its warm-up.
    await this.release(runner, session);
  }

  /** Its file is gone or not what it was: no later attempt would find it otherwise. */
  private giveUp(version: ServedVersion, cause: unknown): void {
    this.deps.log.error({ err: cause, key: version.key }, 'a model could not be loaded again and is given up');
    version.closed = true;
    version.givenUp = true;
    version.refusal = new DomainError('model_not_ready', 'The model could not be loaded again.', { cause });
    version.refuseAll(version.refusal);
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
