import { stat } from 'node:fs/promises';
import { DomainError, Permits, SingleFlight, type Clock } from '@sibyl/kernel';
import { BatchScheduler } from './batch-scheduler';
import type { InferenceLog } from './inference-log';
import { NO_OBSERVER, type InferenceObserver } from './inference-observer';
import type { InferenceOptions } from './inference-options';
import {
  ModelRuntime,
  type LoadOptions,
  type LoadedModel,
  type ModelFile,
  type TrialLimits,
  type TrialReport,
  type TrialRuns,
} from './model-runtime';
import { MemoryGroups } from './memory-groups';
import { ModelTrial } from './model-trial';
import type { ExpectedLoad } from './placement';
import { PreparedModels } from './prepared-models';
import type { RunnerSettings } from './runner';
import { RunnerPool } from './runner-pool';
import { shuttingDown } from './runner-slot';
import { prepareWorkFolder } from './runner-process';
import type { RuntimeStatus } from './runtime-status';
import { chosenProviders, selectProviders, usableProviders } from './select-providers';
import { ServedVersion, type ServedVersionHost, type VersionFlow } from './served-version';
import type { DropReason } from './version-queue';

export interface OnnxRuntimeDeps {
  readonly options: InferenceOptions;
  readonly clock: Clock;
  readonly log: InferenceLog;
  readonly observer?: InferenceObserver;
  /** Seals what is made of large models and kept on disk; without it nothing is. */
  readonly sealKey?: Uint8Array;
}

const MAX_SESSIONS = 65_535;

/** Runs ONNX models in child processes of its own. Construct it, `start` it, `close` it. */
export class OnnxRuntime extends ModelRuntime implements ServedVersionHost {
  readonly platform = 'onnx';
  readonly clock: Clock;
  readonly options: InferenceOptions;
  private readonly observer: InferenceObserver;
  private readonly log: InferenceLog;
  private readonly groups: MemoryGroups;
  private readonly settings: RunnerSettings;
  private readonly pool: RunnerPool;
  private readonly scheduler: BatchScheduler;
  private readonly prepared: PreparedModels;
  private readonly trials: Permits;
  private readonly runningTrials = new Set<ModelTrial>();
  private readonly loads = new SingleFlight<ServedVersion>();
  /** By session: a version may be loaded anew while the one before it under its key still goes. */
  private readonly unloads = new SingleFlight<void>();
  private readonly served = new Map<string, ServedVersion>();
  /** Loaded anew under their key, and not unloaded yet. */
  private readonly replaced = new Set<ServedVersion>();
  private lastSession = 0;
  private closing: Promise<void> | undefined;

  constructor(deps: OnnxRuntimeDeps) {
    super();
    this.options = deps.options;
    this.clock = deps.clock;
    this.log = deps.log;
    this.observer = deps.observer ?? NO_OBSERVER;
    this.groups = MemoryGroups.open(this.options.runnerGroups, this.log);
    const { runnerPath, workFolder, maxFrameBytes, niceness, runnerMemoryBytes: memoryBytes } = this.options;
    this.settings = { runnerPath, workFolder, maxFrameBytes, niceness, memoryBytes, groups: this.groups };
    this.pool = new RunnerPool({ ...deps, settings: this.settings, observer: this.observer });
    this.scheduler = new BatchScheduler(this.pool.places, this.clock, this.observer, this.log);
    this.prepared = new PreparedModels({ ...deps, settings: this.settings, inUse: () => this.pool.preparedInUse() });
    this.trials = new Permits({
      atOnce: this.options.trials,
      waiting: this.options.trialQueue,
      full: (many) => new DomainError('queue_full', `${many} models wait for their trial already.`),
    });
  }

  /** Resolves once a runner is ready. Not awaiting it is fine: `load` and `trial` do. */
  start(): Promise<void> {
    prepareWorkFolder(this.options.workFolder);
    this.pool.open(this.scheduler);
    return this.pool.ready();
  }

  load(model: ModelFile, options: LoadOptions): Promise<LoadedModel> {
    if (options.anew === true) return this.loadOnce(model, options);
    const loaded = this.served.get(model.key);
    if (loaded !== undefined) return Promise.resolve(loaded);
    return this.loads.run(model.key, () => this.loadOnce(model, options));
  }

  async trial(model: ModelFile, runs: TrialRuns, limits: TrialLimits = {}): Promise<TrialReport> {
    this.refuseWhenClosing();
    const { signal, onPhase, ...given } = limits;
    const { trialLimitMs, trialMemoryBytes } = this.options;
    const defaults = { limitMs: trialLimitMs, memoryBytes: trialMemoryBytes, devicePolicy: 'cpu_only' as const };
    return this.trials.run(async () => {
      const trial = new ModelTrial(this.settings, this.clock, { ...defaults, ...given, onPhase });
      const stop = (): void => trial.stop();
      signal?.addEventListener('abort', stop);
      this.runningTrials.add(trial);
      try {
        return await trial.run(model, runs);
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      } finally {
        signal?.removeEventListener('abort', stop);
        this.runningTrials.delete(trial);
      }
    }, signal);
  }

  status(): RuntimeStatus {
    const runners = this.pool.places.map((slot) => slot.status());
    let queueDepth = 0;
    for (const version of this.served.values()) queueDepth += version.waiting;
    return {
      platform: this.platform,
      ready: this.closing === undefined && this.pool.isReady,
      providers: chosenProviders(this.pool.machine),
      gpus: this.pool.machine.gpus,
      gpuProviders: usableProviders('gpu_required', this.pool.machine),
      runners,
      memoryLimit: this.groups.kind,
      spareRunners: this.pool.spare.ready ? 1 : 0,
      models: this.served.size,
      queueDepth,
      batches: this.scheduler.batches,
    };
  }

  expectedBytes(expected: ExpectedLoad): number {
    return this.pool.expectedBytes(expected);
  }

  totalBytes(version: ServedVersion): number {
    return this.pool.totalBytes(version);
  }

  shrink(version: ServedVersion): Promise<boolean> {
    return this.pool.shrink(version);
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  wake(flow: VersionFlow): void {
    this.scheduler.wake(flow);
  }

  onDropped(version: ServedVersion, reason: DropReason | 'refused'): void {
    this.observer.onDropped(version.key, reason);
  }

  unload(version: ServedVersion): Promise<void> {
    return this.unloads.run(String(version.session), () => this.unloadOnce(version));
  }

  onNotBatchable(version: ServedVersion): void {
    this.scheduler.onNotBatchable(version);
  }

  runnersOf(version: ServedVersion): number {
    return this.pool.runnersOf(version);
  }

  onTripped(version: ServedVersion): void {
    const seconds = this.options.crashCoolDownMs / 1000;
    this.log.error(
      { key: version.key, seconds },
      'a model ended its processes again and again and is refused for a while',
    );
  }

  onTried(version: ServedVersion): void {
    this.log.info({ key: version.key }, 'one request tries whether the model still ends its processes');
    void this.pool.fillAll();
  }

  onMended(version: ServedVersion): void {
    this.log.info({ key: version.key }, 'the model answers again');
    void this.pool.fillAll();
  }

  private async loadOnce(model: ModelFile, given: LoadOptions): Promise<ServedVersion> {
    this.refuseWhenClosing();
    await this.pool.ready();
    const options = { ...given, expected: given.expected ?? (await expectedOf(model)) };
    const providers = selectProviders(options.devicePolicy, this.pool.machine);
    const version = new ServedVersion(model, options, providers, this.nextSession(), this);
    try {
      if (this.pool.placesAlone(version.expected))
        version.prepared = await this.prepared.of(version, this.pool.machine);
      this.refuseWhenClosing();
      await this.pool.load(version);
    } catch (error) {
      if (error instanceof DomainError) throw error;
      throw new DomainError('model_not_ready', 'The model could not be loaded.', { cause: error });
    }
    this.replace(version);
    this.observer.onModelLoaded(version.key, version.loadMs, version.memoryBytes);
    return version;
  }

  private replace(version: ServedVersion): void {
    const before = this.served.get(version.key);
    if (before !== undefined) {
      before.successor = version;
      this.replaced.add(before);
    }
    this.served.set(version.key, version);
  }

  private async unloadOnce(version: ServedVersion): Promise<void> {
    const present = this.served.get(version.key) === version;
    if (!present && !this.replaced.delete(version)) return;
    version.refusal ??= new DomainError('model_not_ready', 'The model is being unloaded.');
    if (present) this.served.delete(version.key);
    await version.drain(this.options.drainLimitMs);
    await this.pool.unload(version);
    this.observer.onModelUnloaded(version.key);
  }

  private async closeOnce(): Promise<void> {
    const versions = [...this.served.values(), ...this.replaced];
    for (const version of versions) version.refusal ??= shuttingDown();
    this.prepared.close();
    this.trials.close(shuttingDown());
    for (const trial of this.runningTrials) trial.stop();
    await Promise.all(versions.map((version) => version.drain(this.options.drainLimitMs)));
    await this.pool.close();
    this.served.clear();
    this.replaced.clear();
  }

  private refuseWhenClosing(): void {
    if (this.closing !== undefined) throw shuttingDown();
  }

  private nextSession(): number {
    for (let tries = 0; tries < MAX_SESSIONS; tries++) {
      this.lastSession = (this.lastSession % MAX_SESSIONS) + 1;
      if (!this.pool.holds(this.lastSession)) return this.lastSession;
    }
    throw new DomainError('model_not_ready', 'Too many models are loaded.');
  }
}

/** What the size of the file tells about a model that has not been tried; one that is not there is refused by its load. */
async function expectedOf({ path }: ModelFile): Promise<ExpectedLoad> {
  return stat(path).then(
    ({ size }) => ({ fileBytes: size }),
    () => ({ fileBytes: 0 }),
  );
}
