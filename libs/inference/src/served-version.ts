/** Hot path. See docs/paths/predict.md. */
import { setTimeout } from 'node:timers/promises';
import { DomainError } from '@sibyl/kernel';
import type { LoadedMessage, ModelSignature, Tensor, TensorSpec } from '@sibyl/protocol';
import { OneCulprit } from './blame';
import { CrashBreaker } from './crash-breaker';
import { executionOf } from './execution';
import { Flow } from './flow';
import type {
  Execution,
  InferReceiver,
  InferRequest,
  LoadOptions,
  LoadedModel,
  ModelFile,
  ModelStatistics,
} from './model-runtime';
import { SplitRequest, type SplitRequestHost } from './split-request';
import { bytesOf, WaitingRequest, type DropReason } from './version-queue';
import type { VersionHost } from './version-host';
import { VersionSpeed } from './version-speed';
import { copyBytes, type ExpectedLoad } from './placement';
import type { PreparedModel } from './prepared-store';

const DRAIN_POLL_MS = 10;
/** Runner time of interactive requests for each millisecond of bulk, where both wait. */
const INTERACTIVE_WEIGHT = 10;

export type VersionFlow = Flow<ServedVersion>;
export type ServedVersionHost = VersionHost<ServedVersion>;

/** One model version in the runners' memory: what waits for it, its figures, its promise to stay loaded. */
export class ServedVersion implements LoadedModel {
  readonly key: string;
  readonly interactive: VersionFlow;
  readonly bulk: VersionFlow;
  readonly breaker: CrashBreaker;
  readonly speed: VersionSpeed;
  batchable: boolean;
  /** Batches that run at present. */
  running = 0;
  requests = 0;
  batches = 0;
  failures = 0;
  lastUsedMs: number | undefined;
  /** Nobody else is in its runners. */
  alone = false;
  /** Nothing of it will run any more. */
  closed = false;
  givenUp = false;
  /** False where it could not be loaded into one more runner: it stays in those that hold it. */
  spreads = true;
  /** What runners load instead of its file. */
  prepared: PreparedModel | undefined;
  /** Why it takes no requests; undefined while it does. */
  refusal: DomainError | undefined;
  /** Loaded anew, this takes what still comes here. */
  successor: ServedVersion | undefined;
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
    this.speed = new VersionSpeed(host.options, loadOptions);
    this.breaker = new CrashBreaker(host.options);
    this.interactive = this.flow(INTERACTIVE_WEIGHT, host.options.queueWaitMs);
    // Who has time says so by a deadline.
    this.bulk = this.flow(1, Number.POSITIVE_INFINITY);
  }

  /** What one row takes at best, on all runners that can run it. */
  get rowMs(): number {
    return this.speed.rowMs / Math.max(1, this.host.runnersOf(this));
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.interactive.queue.depth + this.bulk.queue.depth;
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

  /** What a load was expected to take. */
  get expected(): ExpectedLoad {
    return this.loadOptions.expected ?? { fileBytes: 0 };
  }

  /** What one process takes for it. */
  get copyBytes(): number {
    return Math.max(copyBytes(this.expected), this.memoryBytes);
  }

  get totalBytes(): number {
    return this.host.totalBytes(this);
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
      if (this.successor !== undefined) return this.successor.submit(request, receiver);
      const refusal = this.refusal ?? this.breaker.admit(now);
      if (refusal !== undefined) {
        receiver.failed(refusal);
        return;
      }
      this.host.onTried(this);
    }
    const flow = request.bulk === true ? this.bulk : this.interactive;
    const bytes = bytesOf(request.inputs);
    const refusal = this.admit(request, bytes);
    if (refusal !== undefined) {
      receiver.failed(refusal);
    } else if (request.rows > this.speed.budgetRows && this.batchable) {
      this.split(flow, request, receiver, bytes);
    } else {
      this.enqueue(flow, new WaitingRequest(request, bytes, now, receiver));
    }
  }

  admit(request: Pick<InferRequest, 'rows' | 'deadlineAt' | 'bulk'>, bytes: number): DomainError | undefined {
    const flow = request.bulk === true ? this.bulk : this.interactive;
    const refusal = flow.refusal(request, bytes, this.host.clock.monotonic());
    if (refusal === undefined) return undefined;
    this.failures++;
    this.host.onDropped(this, 'refused');
    return refusal;
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

  /** Learns from a batch that was answered. */
  learn(requests: number, rows: number, runMs: number): void {
    this.requests += requests;
    this.batches++;
    this.lastUsedMs = this.host.clock.now();
    this.speed.learn(rows, runMs, this.batchable);
  }

  statistics(): ModelStatistics {
    const { requests, batches, failures, lastUsedMs } = this;
    const { batchMs, cost } = this.speed;
    const batchCost = { fixedMs: cost.fixedMs, perRowMs: cost.perRowMs };
    const unavailable = this.refusal?.detail ?? (this.breaker.open ? this.breaker.reason : undefined);
    return { requests, batches, failures, queueDepth: this.waiting, lastUsedMs, batchMs, batchCost, unavailable };
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

  shrink(): Promise<boolean> {
    return this.host.shrink(this);
  }

  unload(): Promise<void> {
    return this.host.unload(this);
  }

  /** Resolves when nothing waits or runs; what is left at the limit is refused. New requests are refused already. */
  async drain(limitMs: number): Promise<void> {
    const limitAt = this.host.clock.monotonic() + limitMs;
    while ((this.waiting > 0 || this.running > 0) && this.host.clock.monotonic() < limitAt) {
      await setTimeout(DRAIN_POLL_MS);
    }
    this.closed = true;
    if (this.refusal !== undefined) this.refuseAll(this.refusal);
  }

  refuseAll(error: DomainError): void {
    this.interactive.queue.refuseAll(error);
    this.bulk.queue.refuseAll(error);
  }

  expire(now: number): void {
    this.interactive.queue.expire(now);
    this.bulk.queue.expire(now);
  }

  private trip(): void {
    this.refuseAll(this.breaker.refusal(this.host.clock.monotonic()));
    this.host.onTripped(this);
  }

  private flow(weight: number, maxWaitMs: number): VersionFlow {
    const { host } = this;
    const limits = { maxRequests: host.options.queueRequests, maxBytes: host.options.queueBytes, maxWaitMs };
    const onDropped = (reason: DropReason): void => {
      this.failures++;
      host.onDropped(this, reason);
    };
    return new Flow({ version: this, limits, weight, onDropped });
  }

  private enqueue(flow: VersionFlow, entry: WaitingRequest): void {
    flow.queue.add(entry);
    this.host.wake(flow);
  }

  /** Its rows take longer together than a batch may. The bytes are held until it is answered, not for each piece. */
  private split(flow: VersionFlow, request: InferRequest, receiver: InferReceiver, bytes: number): void {
    const { clock, options } = this.host;
    const pieceRows = Math.ceil(request.rows / Math.ceil(request.rows / this.speed.budgetRows));
    const culprit = new OneCulprit();
    const enqueue = (entry: WaitingRequest): void => {
      // It may have been unloaded since the piece before.
      const refusal = this.refusalOfRepeats();
      if (refusal === undefined) this.enqueue(flow, entry);
      else entry.fail(refusal);
    };
    const host: SplitRequestHost = {
      enqueue: (piece, waits) => {
        const entry = new WaitingRequest(piece, 0, clock.monotonic(), waits);
        entry.counts = 0;
        entry.suspects = culprit;
        enqueue(entry);
      },
      onEnded: (outcome) => {
        flow.queue.hold(-bytes);
        if (outcome === 'answered') this.requests++;
        else if (outcome === 'failed') this.failures++;
        else {
          this.host.onNotBatchable(this);
          enqueue(new WaitingRequest(request, bytes, clock.monotonic(), receiver));
        }
      },
    };
    flow.queue.hold(bytes);
    new SplitRequest(host, request, receiver, { pieceRows, pieces: options.runners + 1 }).start();
  }
}

/** The signature that a runner reports: it names no datatype but those of the protocol. */
export function signatureOfLoaded(loaded: LoadedMessage): ModelSignature {
  return { inputs: loaded.inputs as TensorSpec[], outputs: loaded.outputs as TensorSpec[] };
}
