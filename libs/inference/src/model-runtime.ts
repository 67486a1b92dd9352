import type { DomainError } from '@sibyl/kernel';
import type { ModelSignature, Tensor } from '@sibyl/protocol';
import type { ExpectedLoad } from './placement';
import type { RuntimeStatus } from './runtime-status';

/** Where a model may run. `gpu_required` never falls back; the provider that was really used is always reported. */
export type DevicePolicy = 'gpu_required' | 'gpu_preferred' | 'cpu_only';

/** A model file that has been scanned. `key` (its digest) names it everywhere: one key is loaded once. */
export interface ModelFile {
  readonly key: string;
  readonly path: string;
  /** SHA-256 of all that is loaded, if it is known: without it nothing that was made of the model is kept. */
  readonly digest?: string;
  /** All that is loaded, where that is more than `path`. */
  readonly files?: readonly string[];
  /** Rejects where the file is not what was scanned any more; asked before it is read again, into a runner that lacks it. */
  readonly recheck?: () => Promise<unknown>;
}

export interface LoadOptions {
  readonly devicePolicy: DevicePolicy;
  /** Whether rows of several requests may run together. Off where the answer to a row depends on its neighbours. */
  readonly batchable: boolean;
  readonly maxBatchRows: number;
  /** Run in every runner before the model takes traffic: the first runs of a session are up to 30 times slower. */
  readonly warmup: readonly (readonly Tensor[])[];
  /** The runs were made up: one that the model cannot run is no reason not to load it. */
  readonly warmupIsGuess?: boolean;
  /** Ms that one batch may be expected to take; default: that of the runtime. */
  readonly batchBudgetMs?: number;
  /** What the load is expected to take; decides where it happens. Default: what the size of the file tells. */
  readonly expected?: ExpectedLoad;
  /** Whether there is memory for another process with this model, of so many bytes. Default: always. */
  readonly mayGrow?: (bytes: number) => boolean;
  /** Beside the one of this key that is loaded already, whose place it then takes. */
  readonly anew?: boolean;
  /** Hard limit of one batch, past which its runner is killed; default: learned from the model's own speed. */
  readonly runLimitMs?: number;
}

export interface InferRequest {
  /** In the order of the signature, as far as given; not changed by the caller until the answer. */
  readonly inputs: readonly Tensor[];
  /** The first dimension that all inputs share; 0 where they share none, and the request runs by itself. */
  readonly rows: number;
  /** `Clock.monotonic()` in ms. */
  readonly deadlineAt: number;
  /** Nobody waits for it in person: it gets a small share of the runners while other requests wait. */
  readonly bulk?: boolean;
  /** Set by the caller when its client has hung up: work that has not begun is dropped. */
  aborted: boolean;
}

/** Who waits for an answer: one of the two is called, once. */
export interface InferReceiver {
  /** The outputs are views of memory that requests of one batch share: copy what is kept for long. */
  answered(outputs: readonly Tensor[]): void;
  /** queue_full, deadline_exceeded, model_not_ready, model_run_failed or model_crashed_on_input. Also called before `submit` returns. */
  failed(error: Error): void;
}

/** Where a model runs, as far as that has been shown. */
export interface Execution {
  /** Execution providers that its session was offered, in their order. */
  readonly asked: readonly string[];
  /** The best of them that computes anything; where no run has shown it, the one that the session was made with. */
  readonly provider: string;
  /** Part of the graph's nodes that each provider computed in a run; absent where no run has shown it. */
  readonly shares?: Readonly<Record<string, number>>;
}

/** A model in memory. */
export interface LoadedModel {
  readonly key: string;
  /** As the runtime reports it; a shape is absent for scalars and where the file says nothing. */
  readonly signature: ModelSignature;
  /** The execution provider in use, not the one that was asked for. */
  readonly execution: Execution;
  /** What the first process that loaded it grew by. */
  readonly memoryBytes: number;
  /** What it takes at present in all processes together. */
  readonly totalBytes: number;
  readonly loadMs: number;
  /** It could not be loaded again after its process ended, and takes nothing any more: unload it, then load it anew. */
  readonly givenUp: boolean;
  /** Why `submit` would refuse a request of so many rows and bytes at once, if it would: to be asked before it is read. */
  admit(request: Pick<InferRequest, 'rows' | 'deadlineAt' | 'bulk'>, bytes: number): DomainError | undefined;
  submit(request: InferRequest, receiver: InferReceiver): void;
  /** The same with a promise. */
  infer(request: InferRequest): Promise<readonly Tensor[]>;
  statistics(): ModelStatistics;
  /** Gives up one of several processes that it has for itself; false where there is none to give up. */
  shrink(): Promise<boolean>;
  /** Answers what waits (within a limit), then gives the memory back. */
  unload(): Promise<void>;
}

export interface ModelStatistics {
  readonly requests: number;
  readonly batches: number;
  readonly failures: number;
  readonly queueDepth: number;
  /** Unix ms of the last answer; undefined before the first. */
  readonly lastUsedMs: number | undefined;
  /** What a batch takes at present, smoothed. */
  readonly batchMs: number;
  /** What a batch is expected to take, in ms: `fixed + perRow · rows`; zeros where nothing has run yet. */
  readonly batchCost: { readonly fixedMs: number; readonly perRowMs: number };
  /** Why it takes no requests at present, in words for callers; undefined while it does. */
  readonly unavailable: string | undefined;
}

export interface TrialLimits {
  /** For starting, loading and all samples together. */
  readonly limitMs?: number;
  readonly memoryBytes?: number;
  /** Ends the trial, which then rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Told what begins. */
  readonly onPhase?: (phase: TrialPhase) => void;
}

export type TrialPhase = 'load' | 'samples' | 'probes' | 'batches';

/** What a batch of one size took, once the model was warm. */
export interface BatchFigures {
  readonly rows: number;
  readonly medianMs: number;
  /** What the process grew by since the load. */
  readonly memoryBytes: number;
}

export interface TrialReport {
  readonly signature: ModelSignature;
  readonly provider: string;
  readonly loadMs: number;
  readonly loadCpuMs: number;
  readonly memoryBytes: number;
  readonly outputs: readonly (readonly Tensor[])[];
  readonly durationsMs: readonly number[];
  /** Of the probes, in their order; undefined where one failed, and for all behind one that ended the process. */
  readonly probes: readonly (readonly Tensor[] | undefined)[];
  /** Of the batches, in their order; undefined where one failed, or would have taken too long. */
  readonly batches: readonly (BatchFigures | undefined)[];
  /** Of the last run. */
  readonly last: readonly Tensor[] | undefined;
  /** Milliseconds of each phase, the start of the process among the load. */
  readonly phaseMs: Readonly<Record<TrialPhase, number>>;
}

/** What a trial runs: a sample that fails rejects the model; a probe that fails only says so. */
export interface TrialRuns {
  readonly samples: readonly (readonly Tensor[])[];
  readonly probes?: readonly (readonly Tensor[])[];
  /** Runs that are repeated and timed, the smallest first. */
  readonly batches?: readonly (readonly Tensor[])[];
  /** A probe that the process may well not survive. */
  readonly last?: readonly Tensor[];
}

/** The port behind which models run: tensors in, tensors out. Implementations pass `describeModelRuntime`. */
export abstract class ModelRuntime {
  /** `onnx`, `remote`, … */
  abstract readonly platform: string;
  /**
   * Calls with one key share one load; a loaded model stays loaded until `unload`, whatever happens to processes. Loaded `anew`
   * there are two of its key until the caller unloads the one before, whose late requests the new one then answers.
   */
  abstract load(model: ModelFile, options: LoadOptions): Promise<LoadedModel>;
  /**
   * Loads and runs a model that nobody trusts yet where it can hurt nothing: runs one by one, within limits.
   * Whatever goes wrong with the model is `model_rejected`, its faults the reasons.
   */
  abstract trial(model: ModelFile, runs: TrialRuns, limits?: TrialLimits): Promise<TrialReport>;
  /** What a load would take in all processes together. */
  abstract expectedBytes(expected: ExpectedLoad): number;
  abstract status(): RuntimeStatus;
  /** Answers what waits (within a limit) and stops; what comes later is refused with shutting_down. */
  abstract close(): Promise<void>;
}
