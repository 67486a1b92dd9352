/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import {
  FRAME_TYPES,
  frameMessage,
  frameTensors,
  type FailedMessage,
  type FrameEncoder,
  type FramedTensor,
  type RunnerFrame,
  type Tensor,
  type TensorData,
} from '@sibyl/protocol';
import { blamed, mayComeFromOutside, partsOf, Suspects, type Suspected } from './blame';
import type { RunnerEnd, RunnerWork } from './runner';
import type { ServedVersion, VersionFlow } from './served-version';
import { expired, type WaitingRequest } from './version-queue';

/** What becomes of requests whose batch failed. */
export interface BatchListener {
  /** The part shall run once more, without others. */
  onAgain(flow: VersionFlow, part: WaitingRequest[]): void;
  /** The version, or one more of its requests, is to blame for the end of a runner. */
  onBlamed(version: ServedVersion): void;
  /** The runner is done with it; `runMs` is undefined where it gave no outputs. */
  onEnded(batch: Batch, runMs: number | undefined): void;
  onNotBatchable(version: ServedVersion): void;
  /** Monotonic ms. */
  now(): number;
}

/** Requests that run together: their rows one after another under one leading dimension. */
export class Batch implements RunnerWork {
  readonly version: ServedVersion;
  readonly limitAt: number;
  readonly rows: number;
  /** Requests that callers made: a piece of one counts when all of it is answered. */
  readonly requests: number;
  readonly expectedMs: number;

  constructor(
    readonly flow: VersionFlow,
    readonly entries: readonly WaitingRequest[],
    readonly startedAt: number,
    private readonly listener: BatchListener,
  ) {
    let rows = 0;
    let requests = 0;
    for (const entry of entries) {
      rows += entry.rows;
      requests += entry.counts;
    }
    this.requests = requests;
    this.version = flow.version;
    this.rows = rows;
    this.expectedMs = this.version.speed.cost.expect(rows);
    this.limitAt = startedAt + this.version.speed.runLimitMs(this.expectedMs);
  }

  /** The frame that asks for all of it. Valid until the encoder is used again. */
  encode(encoder: FrameEncoder, request: number): Uint8Array {
    const { entries, version } = this;
    const first = entries[0]?.request.inputs ?? [];
    const leading = entries.length > 1 ? this.rows : -1;
    encoder.begin(FRAME_TYPES.run, version.session, request);
    for (let i = 0; i < first.length; i++) {
      const tensor = first[i];
      if (tensor === undefined) continue;
      encoder.openTensor(version.inputIndex(tensor.name, i), tensor.datatype, tensor.shape, leading);
      for (const entry of entries) {
        const part = entry.request.inputs[i];
        if (part !== undefined) encoder.append(part.data);
      }
      encoder.closeTensor();
    }
    return encoder.end();
  }

  /** Answers requests whose deadline has passed while they run; the run itself cannot be ended. */
  expire(now: number): void {
    for (const entry of this.entries) {
      if (!entry.settled && entry.request.deadlineAt <= now) this.fail(entry, expired());
    }
  }

  answered(frame: RunnerFrame): void {
    // Read first: what cannot be read is no answer, and the runner is lost.
    const outputs = frame.type === FRAME_TYPES.outputs ? frameTensors(frame) : undefined;
    const failure = outputs === undefined ? (frameMessage(frame) as FailedMessage) : undefined;
    this.version.survived();
    this.listener.onEnded(this, outputs && this.listener.now() - this.startedAt);
    if (outputs !== undefined) this.distribute(outputs);
    else if (failure !== undefined) this.failed(failure);
  }

  lost(end: RunnerEnd): void {
    const now = this.listener.now();
    this.listener.onEnded(this, undefined);
    const [only] = this.entries;
    if (only === undefined) return;
    if (this.entries.length === 1) this.lostAlone(only, end, now);
    else this.lostTogether(only.suspects, end, now);
  }

  /** Rejects every request that has no answer yet. */
  refuse(error: Error): void {
    for (const entry of this.entries) if (!entry.settled) this.fail(entry, error);
  }

  /** One alone has shown what it does, unless somebody else may have ended the runner. */
  private lostAlone(entry: WaitingRequest, end: RunnerEnd, now: number): void {
    const certain = !mayComeFromOutside(end) && end.reason !== 'protocol';
    if (!certain && !entry.retried) {
      entry.retried = end.reason !== 'stopped';
      if (entry.settled) return;
      if (entry.request.deadlineAt <= now) this.fail(entry, expired());
      else this.listener.onAgain(this.flow, [entry]);
      return;
    }
    if (!entry.settled) this.fail(entry, blamed(end));
    if (entry.suspects?.showsAnother() ?? true) this.listener.onBlamed(this.version);
  }

  /** Of several, any may be to blame: they run again in parts, until the culprit is alone. */
  private lostTogether(suspects: Suspected | undefined, end: RunnerEnd, now: number): void {
    const certain = !mayComeFromOutside(end);
    if (certain && (suspects?.showsAnother() ?? true)) this.listener.onBlamed(this.version);
    const next = new Suspects(certain);
    const left: WaitingRequest[] = [];
    let soonest = Number.POSITIVE_INFINITY;
    for (const entry of this.entries) {
      if (entry.settled) continue;
      if (entry.request.deadlineAt <= now) {
        this.fail(entry, expired());
        continue;
      }
      entry.suspects = next;
      soonest = Math.min(soonest, entry.request.deadlineAt);
      left.push(entry);
    }
    // An overrun takes its whole limit: of a part and of the culprit in it, before the neighbours get their turn.
    const limitMs = end.reason === 'overran' ? this.limitAt - this.startedAt : 0;
    const parts = partsOf(left, now + 2 * limitMs < soonest);
    for (const part of parts) this.listener.onAgain(this.flow, part);
  }

  private distribute(outputs: readonly FramedTensor[]): void {
    const { entries, version, rows } = this;
    const names = version.outputNames;
    const only = entries.length === 1 ? entries[0] : undefined;
    if (only !== undefined) {
      if (!only.settled) only.answer(outputs.map((output) => named(output, names, output.shape, output.data)));
      return;
    }
    if (outputs.some((output) => output.shape[0] !== rows)) {
      // The model was said to take batches and answers with something else than a row for a row.
      this.listener.onNotBatchable(version);
      this.separate();
      return;
    }
    let at = 0;
    for (const entry of entries) {
      const end = at + entry.request.rows;
      if (!entry.settled) entry.answer(sliceOutputs(outputs, names, at, end, rows));
      at = end;
    }
  }

  private failed(failure: FailedMessage): void {
    const only = this.entries.length === 1 ? this.entries[0] : undefined;
    if (only === undefined) this.separate();
    else if (!only.settled) this.fail(only, runFailed(failure));
  }

  private separate(): void {
    for (const entry of this.entries) if (!entry.settled) this.listener.onAgain(this.flow, [entry]);
  }

  private fail(entry: WaitingRequest, error: Error): void {
    this.version.failures += entry.counts;
    entry.fail(error);
  }
}

function sliceOutputs(
  outputs: readonly FramedTensor[],
  names: readonly string[],
  from: number,
  end: number,
  rows: number,
): Tensor[] {
  const tensors: Tensor[] = [];
  for (const output of outputs) {
    const { shape, data } = output;
    const stride = data.length / rows;
    const ownShape = shape.slice();
    ownShape[0] = end - from;
    tensors.push(named(output, names, ownShape, slice(data, from * stride, end * stride)));
  }
  return tensors;
}

function named(output: FramedTensor, names: readonly string[], shape: readonly number[], data: TensorData): Tensor {
  return { name: names[output.index] ?? '', datatype: output.datatype, shape, data };
}

function slice(data: TensorData, from: number, end: number): TensorData {
  return Array.isArray(data) ? data.slice(from, end) : data.subarray(from, end);
}

function runFailed(failure: FailedMessage): DomainError {
  const cause = new Error(failure.message);
  if (failure.reason === 'unknown_session')
    return new DomainError('model_not_ready', 'The model is not loaded.', { cause });
  if (failure.reason === 'too_large') {
    return new DomainError('model_run_failed', 'The answer of the model is larger than the limit.', { cause });
  }
  return new DomainError('model_run_failed', 'The model cannot compute these inputs.', { cause });
}
