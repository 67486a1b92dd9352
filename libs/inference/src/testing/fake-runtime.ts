import { DomainError } from '@sibyl/kernel';
import type { ModelSignature, Tensor } from '@sibyl/protocol';
import {
  ModelRuntime,
  type InferReceiver,
  type InferRequest,
  type LoadOptions,
  type LoadedModel,
  type ModelFile,
  type ModelStatistics,
  type TrialReport,
  type TrialRuns,
} from '../model-runtime';
import type { ExpectedLoad } from '../placement';
import type { RuntimeStatus } from '../runtime-status';

/** What the fake makes of a model file: its signature and its arithmetic. */
export interface FakeModel {
  readonly signature: ModelSignature;
  respond(inputs: readonly Tensor[]): readonly Tensor[];
  /** Thrown by `load`. */
  readonly loadError?: Error;
  /** Thrown by `trial`. */
  readonly trialError?: Error;
}

/** A runtime without processes: answers with functions, and only when it is let, so that tests decide the order. */
export class FakeRuntime extends ModelRuntime {
  readonly platform = 'fake';
  /** Keys in the order in which they were loaded and unloaded. */
  readonly loads: string[] = [];
  readonly unloads: string[] = [];
  readonly trials: string[] = [];
  private readonly models = new Map<string, FakeModel>();
  private readonly loaded = new Map<string, FakeLoadedModel>();
  private held: (() => void)[] | undefined;
  private closed = false;

  /** Unknown keys get `fallback`. */
  constructor(private readonly fallback: FakeModel) {
    super();
  }

  define(key: string, model: FakeModel): void {
    this.models.set(key, model);
  }

  /** From now on loads, trials and answers wait for `release`. */
  hold(): void {
    this.held ??= [];
  }

  /** Lets everything go that is held, and what comes. */
  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const go of held) go();
  }

  /** How many calls are held. */
  get waiting(): number {
    return this.held?.length ?? 0;
  }

  pass(): Promise<void> {
    if (this.held === undefined) return Promise.resolve();
    const { held } = this;
    return new Promise((resolve) => held.push(resolve));
  }

  override async load(model: ModelFile, options: LoadOptions): Promise<LoadedModel> {
    this.refuseWhenClosed();
    if (options.devicePolicy === 'gpu_required') {
      throw new DomainError('execution_provider_unavailable', 'The fake machine has no GPU.');
    }
    const known = this.loaded.get(model.key);
    if (known !== undefined) {
      await known.ready;
      return known;
    }
    const fake = this.models.get(model.key) ?? this.fallback;
    const loaded = new FakeLoadedModel(model.key, fake, this, () => {
      this.loaded.delete(model.key);
      this.unloads.push(model.key);
    });
    loaded.ready = this.pass().then(() => {
      if (fake.loadError !== undefined) throw fake.loadError;
    });
    this.loaded.set(model.key, loaded);
    this.loads.push(model.key);
    try {
      await loaded.ready;
    } catch (error) {
      this.loaded.delete(model.key);
      throw error;
    }
    return loaded;
  }

  override async trial(
    model: ModelFile,
    { samples, probes = [], batches = [], last }: TrialRuns,
  ): Promise<TrialReport> {
    this.refuseWhenClosed();
    this.trials.push(model.key);
    await this.pass();
    const fake = this.models.get(model.key) ?? this.fallback;
    if (fake.trialError !== undefined) throw fake.trialError;
    const outputs = samples.map((inputs) => fake.respond(inputs));
    const durationsMs = samples.map(() => 1);
    const probed = probes.map((inputs) => fake.respond(inputs));
    const { signature } = fake;
    return {
      signature,
      provider: 'cpu',
      loadMs: 1,
      loadCpuMs: 1,
      memoryBytes: 1024,
      outputs,
      durationsMs,
      probes: probed,
      batches: batches.map((inputs) => ({ rows: inputs[0]?.shape[0] ?? 0, medianMs: 1, memoryBytes: 0 })),
      last: last && fake.respond(last),
      phaseMs: { load: 1, samples: 1, probes: 1, batches: 1 },
    };
  }

  override expectedBytes(expected: ExpectedLoad): number {
    return expected.fileBytes;
  }

  override status(): RuntimeStatus {
    return {
      platform: this.platform,
      ready: !this.closed,
      providers: ['cpu'],
      gpus: 0,
      gpuProviders: [],
      runners: [{ pid: 1, state: 'idle', rssBytes: 1024, restarts: 0 }],
      memoryLimit: 'watched',
      spareRunners: 0,
      models: this.loaded.size,
      queueDepth: this.waiting,
      batches: 0,
    };
  }

  override close(): Promise<void> {
    this.closed = true;
    this.release();
    return Promise.resolve();
  }

  refuseWhenClosed(): void {
    if (this.closed) throw new DomainError('shutting_down', 'The server is shutting down.');
  }
}

class FakeLoadedModel implements LoadedModel {
  readonly execution = { asked: ['cpu'], provider: 'cpu', shares: { cpu: 1 } };
  readonly memoryBytes = 1024;
  readonly totalBytes = 1024;
  readonly loadMs = 1;
  givenUp = false;
  ready: Promise<void> = Promise.resolve();
  private requests = 0;
  private failures = 0;
  private unloaded = false;

  constructor(
    readonly key: string,
    private readonly model: FakeModel,
    private readonly runtime: FakeRuntime,
    private readonly onUnload: () => void,
  ) {}

  get signature(): ModelSignature {
    return this.model.signature;
  }

  admit(): undefined {
    return undefined;
  }

  submit(request: InferRequest, receiver: InferReceiver): void {
    this.infer(request).then(
      (outputs) => receiver.answered(outputs),
      (error: unknown) => receiver.failed(error as Error),
    );
  }

  async infer(request: InferRequest): Promise<readonly Tensor[]> {
    this.runtime.refuseWhenClosed();
    if (this.unloaded) throw new DomainError('model_not_ready', 'The model is being unloaded.');
    await this.runtime.pass();
    if (request.aborted || request.deadlineAt <= performance.now()) {
      this.failures++;
      throw new DomainError('deadline_exceeded', 'The model did not answer before the deadline of the request.');
    }
    this.requests++;
    return this.model.respond(request.inputs);
  }

  statistics(): ModelStatistics {
    const { requests, failures } = this;
    const idle = {
      queueDepth: 0,
      lastUsedMs: undefined,
      batchMs: 1,
      batchCost: { fixedMs: 1, perRowMs: 0 },
      unavailable: undefined,
    };
    return { requests, failures, batches: requests, ...idle };
  }

  shrink(): Promise<boolean> {
    return Promise.resolve(false);
  }

  unload(): Promise<void> {
    if (!this.unloaded) this.onUnload();
    this.unloaded = true;
    return Promise.resolve();
  }
}
