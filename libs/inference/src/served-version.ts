/** Hot path. See docs/paths/predict.md. */
import { setTimeout } from 'node:timers/promises';
import { DomainError, type Clock } from '@sibyl/kernel';
import type { LoadedMessage, ModelSignature, Tensor, TensorSpec } from '@sibyl/protocol';
import { CrashBreaker } from './crash-breaker';
import { executionOf } from './execution';
import type {
  Execution,
  InferReceiver,
  InferRequest,
  LoadOptions,
  LoadedModel,
  ModelFile,
  ModelStatistics,
} from './model-runtime';
import type { InferenceOptions } from './inference-options';
import { WaitingRequest, type DropReason, VersionQueue } from './version-queue';

/** What a version asks of the runtime that it is loaded in. */
export interface ServedVersionHost {
  readonly clock: Clock;
  readonly options: InferenceOptions;
  /** A request waits. */
  wake(version: ServedVersion): void;
  onDropped(version: ServedVersion, reason: DropReason | 'refused'): void;
  unload(version: ServedVersion): Promise<void>;
  /** It has ended too many runners and is refused for a while. */
  onTripped(version: ServedVersion): void;
  /** One request may try whether it still does: a runner must have it loaded. */
  onTried(version: ServedVersion): void;
  /** It has answered again. */
  onMended(version: ServedVersion): void;
}

const DRAIN_POLL_MS = 10;
/** Weight of the newest batch in the smoothed time of a batch. */
const SMOOTHING = 0.1;

/** One model version in the runners' memory: its queue, its figures, its promise to stay loaded. */
export class ServedVersion implements LoadedModel {
  readonly key: string;
  readonly queue: VersionQueue;
  readonly breaker: CrashBreaker;
  batchable: boolean;
  /** Whether it stands in the scheduler's ring. */
  queued = false;
  /** Batches that run at present. */
  running = 0;
  requests = 0;
  batches = 0;
  failures = 0;
  lastUsedMs: number | undefined;
  batchMs = 0;
  /** Nothing of it will run any more. */
  closed = false;
  givenUp = false;
  /** Why it takes no requests; undefined while it does. */
  refusal: DomainError | undefined;
  outputNames: readonly string[] = [];
  inputNames: readonly string[] = [];
  private declared: ModelSignature = { inputs: [], outputs: [] };
  private loaded: LoadedMessage | undefined;
  private placed: Execution | undefined;

  constructor(
    readonly file: ModelFile,
    readonly loadOptions: LoadOptions,
    readonly providers: readonly string[],
    readonly session: number,
    private readonly host: ServedVersionHost,
  ) {
    this.key = file.key;
    this.batchable = loadOptions.batchable;
    this.breaker = new CrashBreaker(host.options);
    const limits = { maxRequests: host.options.queueRequests, maxBytes: host.options.queueBytes };
    this.queue = new VersionQueue(limits, (reason) => {
      this.failures++;
      host.onDropped(this, reason);
    });
  }

  get signature(): ModelSignature {
    return this.declared;
  }

  get execution(): Execution {
    return this.placed ?? executionOf(this.providers, this.loaded?.provider ?? '', undefined);
  }

  get memoryBytes(): number {
    return this.loaded?.memoryBytes ?? 0;
  }

  get loadMs(): number {
    return this.loaded?.loadMs ?? 0;
  }

  /** Takes what the first runner that loaded it reports; later runners load the same file. */
  describe(loaded: LoadedMessage): void {
    if (this.loaded !== undefined) return;
    this.loaded = loaded;
    this.declared = signatureOfLoaded(loaded);
    this.inputNames = loaded.inputs.map((input) => input.name);
    this.outputNames = loaded.outputs.map((output) => output.name);
  }

  /** Takes where a run has shown it to be; as with `describe`, of the first runner. */
  place(execution: Execution): void {
    this.placed ??= execution;
  }

  submit(request: InferRequest, receiver: InferReceiver): void {
    const now = this.host.clock.monotonic();
    if (this.refusal !== undefined || this.breaker.open) {
      const refusal = this.refusal ?? this.breaker.admit(now);
      if (refusal !== undefined) {
        receiver.failed(refusal);
        return;
      }
      this.host.onTried(this);
    }
    const bytes = bytesOf(request.inputs);
    if (!this.queue.admits(bytes)) {
      receiver.failed(this.refused(now));
      return;
    }
    this.queue.add(new WaitingRequest(request, bytes, now, receiver));
    this.host.wake(this);
  }

  infer(request: InferRequest): Promise<readonly Tensor[]> {
    return new Promise((resolve, reject) => this.submit(request, { answered: resolve, failed: reject }));
  }

  /** Index of an input in the session; `likely` is right where requests keep the order of the signature. */
  inputIndex(name: string, likely: number): number {
    if (this.inputNames[likely] === name) return likely;
    const index = this.inputNames.indexOf(name);
    if (index < 0) throw new DomainError('input_type_mismatch', `The model has no input ${name}.`);
    return index;
  }

  runLimitMs(): number {
    const { runLimitMs, runLimitFactor } = this.host.options;
    return this.loadOptions.runLimitMs ?? Math.max(runLimitMs, this.batchMs * runLimitFactor);
  }

  /** Learns from a batch that was answered. */
  learn(requests: number, runMs: number, now: number): void {
    this.requests += requests;
    this.batches++;
    this.lastUsedMs = this.host.clock.now();
    this.batchMs = this.batches === 1 && this.batchMs === 0 ? runMs : this.batchMs + (runMs - this.batchMs) * SMOOTHING;
    this.queue.drained(requests, now);
  }

  statistics(): ModelStatistics {
    const { requests, batches, failures, lastUsedMs, batchMs } = this;
    const unavailable = this.refusal?.detail ?? (this.breaker.open ? this.breaker.reason : undefined);
    return { requests, batches, failures, queueDepth: this.queue.depth, lastUsedMs, batchMs, unavailable };
  }

  /** A runner was lost to it, or to one more of its requests. */
  blame(): void {
    if (this.breaker.lost(this.host.clock.monotonic())) this.trip();
  }

  /** A runner was lost while it loaded this. */
  blameLoad(mayBeChance: boolean): void {
    if (this.breaker.lostInLoad(this.host.clock.monotonic(), mayBeChance)) this.trip();
  }

  /** A runner has answered a batch. */
  survived(): void {
    if (this.breaker.survived()) this.host.onMended(this);
  }

  /** Why what was in a failed batch may not run once more. */
  refusalOfRepeats(): DomainError | undefined {
    if (this.closed && this.refusal !== undefined) return this.refusal;
    return this.breaker.blocks ? this.breaker.refusal(this.host.clock.monotonic()) : undefined;
  }

  unload(): Promise<void> {
    return this.host.unload(this);
  }

  /** Resolves when nothing waits or runs; what is left at the limit is refused. New requests are refused already. */
  async drain(limitMs: number): Promise<void> {
    const limitAt = this.host.clock.monotonic() + limitMs;
    while ((this.queue.depth > 0 || this.running > 0) && this.host.clock.monotonic() < limitAt) {
      await setTimeout(DRAIN_POLL_MS);
    }
    this.closed = true;
    if (this.refusal !== undefined) this.queue.refuseAll(this.refusal);
  }

  private trip(): void {
    this.queue.refuseAll(this.breaker.refusal(this.host.clock.monotonic()));
    this.host.onTripped(this);
  }

  private refused(now: number): DomainError {
    this.failures++;
    this.host.onDropped(this, 'refused');
    return new DomainError('queue_full', `${this.queue.depth} requests wait for this model already.`, {
      retryAfterSeconds: this.queue.retryAfterSeconds(now),
    });
  }
}

/** The signature that a runner reports: it names no datatype but those of the protocol. */
export function signatureOfLoaded(loaded: LoadedMessage): ModelSignature {
  return { inputs: loaded.inputs as TensorSpec[], outputs: loaded.outputs as TensorSpec[] };
}

function bytesOf(inputs: readonly Tensor[]): number {
  let bytes = 0;
  for (const { data } of inputs) {
    if (Array.isArray(data)) {
      for (const text of data) bytes += 4 + text.length;
    } else {
      bytes += data.byteLength;
    }
  }
  return bytes;
}
