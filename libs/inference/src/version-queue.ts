/** Hot path. See docs/paths/predict.md. */
import { DomainError } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';
import type { Suspected } from './blame';
import type { InferReceiver, InferRequest } from './model-runtime';

/** A request that waits or runs, and who waits for it. */
export class WaitingRequest {
  settled = false;
  /** It lost a runner by itself to what may have come from outside; the second such loss is its last. */
  retried = false;
  /** 1, or 0 for a piece of a request. */
  counts = 1;
  /** Those who lost a runner with it last. */
  suspects: Suspected | undefined = undefined;

  constructor(
    readonly request: InferRequest,
    readonly bytes: number,
    readonly waitsSince: number,
    private readonly receiver: InferReceiver,
  ) {}

  /** As they count for the time of a batch: a request whose inputs share no dimension is one. */
  get rows(): number {
    return this.request.rows || 1;
  }

  answer(outputs: readonly Tensor[]): void {
    this.settled = true;
    this.receiver.answered(outputs);
  }

  fail(error: Error): void {
    this.settled = true;
    this.receiver.failed(error);
  }
}

export interface QueueLimits {
  readonly maxRequests: number;
  readonly maxBytes: number;
}

export interface BatchLimits {
  /** Whether rows of several requests run together. */
  readonly batchable: boolean;
  readonly maxRows: number;
}

export type DropReason = 'expired' | 'aborted';

/** What waits for one model version, first come first served. Rows of different versions never meet. */
export class VersionQueue {
  /** Requests that wait, those that run again included. */
  depth = 0;
  /** Rows of what waits. */
  rows = 0;
  private waiting: WaitingRequest[] = [];
  private head = 0;
  private again: WaitingRequest[][] = [];
  private bytes = 0;
  private soonestDeadline = Number.POSITIVE_INFINITY;

  constructor(
    private readonly limits: QueueLimits,
    private readonly onDropped: (reason: DropReason) => void,
  ) {}

  /** Whether a request of this size may wait; one that finds nothing before it may in any case. */
  admits(bytes: number): boolean {
    if (this.depth === 0) return true;
    return this.depth < this.limits.maxRequests && this.bytes + bytes <= this.limits.maxBytes;
  }

  add(entry: WaitingRequest): void {
    this.waiting.push(entry);
    this.count(entry);
  }

  /** Counts the bytes of a request that runs in pieces, which have none of their own; negative when it is done with. */
  hold(bytes: number): void {
    this.bytes += bytes;
  }

  /** Puts a part of a failed batch before all others, to run without them: nobody else shall suffer for it again. */
  addAgain(part: WaitingRequest[]): void {
    this.again.push(part);
    for (const entry of part) this.count(entry);
  }

  /** The next batch: whatever waits, as far as it fits together. Empty where nothing is left to do. */
  take(now: number, limits: BatchLimits): WaitingRequest[] {
    while (this.again.length > 0) {
      const part = this.takePart(limits.batchable).filter((entry) => this.leaves(entry, now));
      if (part.length > 0) return part;
    }
    const batch: WaitingRequest[] = [];
    let rows = 0;
    while (this.head < this.waiting.length) {
      const entry = this.waiting[this.head];
      if (entry === undefined) break;
      const first = batch[0];
      if (first !== undefined) {
        const joins = limits.batchable && rows + entry.request.rows <= limits.maxRows && fits(first, entry);
        if (!joins) break;
      }
      this.head++;
      if (!this.leaves(entry, now)) continue;
      batch.push(entry);
      rows += entry.rows;
    }
    this.compact();
    return batch;
  }

  /** Answers what waits past its deadline. */
  expire(now: number): void {
    if (this.depth === 0 || now < this.soonestDeadline) return;
    this.soonestDeadline = Number.POSITIVE_INFINITY;
    this.again = this.again
      .map((part) => part.filter((entry) => this.stays(entry, now)))
      .filter((part) => part.length > 0);
    this.waiting = this.waiting.slice(this.head).filter((entry) => this.stays(entry, now));
    this.head = 0;
  }

  /** Refuses all that waits. */
  refuseAll(error: Error): void {
    const entries = [...this.again.flat(), ...this.waiting.slice(this.head)];
    this.again = [];
    this.waiting = [];
    this.head = 0;
    for (const entry of entries) {
      this.uncount(entry);
      entry.fail(error);
    }
  }

  /** The part that is next; of a model that has turned out not to take batches, one request of it. */
  private takePart(batchable: boolean): WaitingRequest[] {
    const [part] = this.again;
    if (part !== undefined && part.length > 1 && !batchable) return part.splice(0, 1);
    this.again.shift();
    return part ?? [];
  }

  private count(entry: WaitingRequest): void {
    this.bytes += entry.bytes;
    this.rows += entry.rows;
    this.depth++;
    this.soonestDeadline = Math.min(this.soonestDeadline, entry.request.deadlineAt);
  }

  private uncount(entry: WaitingRequest): void {
    this.bytes -= entry.bytes;
    this.rows -= entry.rows;
    this.depth--;
  }

  private stays(entry: WaitingRequest, now: number): boolean {
    if (entry.request.deadlineAt <= now) return this.leaves(entry, now);
    this.soonestDeadline = Math.min(this.soonestDeadline, entry.request.deadlineAt);
    return true;
  }

  /** Takes an entry out of the count; false where it is not to be run any more. */
  private leaves(entry: WaitingRequest, now: number): boolean {
    this.uncount(entry);
    const { aborted, deadlineAt } = entry.request;
    if (!aborted && deadlineAt > now) return true;
    if (entry.counts > 0) this.onDropped(aborted ? 'aborted' : 'expired');
    entry.fail(aborted ? hungUp() : expired());
    return false;
  }

  private compact(): void {
    if (this.head === this.waiting.length) {
      this.waiting.length = 0;
      this.head = 0;
    } else if (this.head > this.limits.maxRequests) {
      this.waiting = this.waiting.slice(this.head);
      this.head = 0;
    }
  }
}

/** Whether two requests can be rows of one batch: the same inputs, alike but for the number of rows. */
function fits(first: WaitingRequest, entry: WaitingRequest): boolean {
  const a = first.request;
  const b = entry.request;
  if (a.rows === 0 || b.rows === 0) return false;
  const count = a.inputs.length;
  if (b.inputs.length !== count) return false;
  for (let i = 0; i < count; i++) {
    const x = a.inputs[i];
    const y = b.inputs[i];
    if (x === undefined || y === undefined || x.name !== y.name || x.datatype !== y.datatype) return false;
    const rank = x.shape.length;
    if (y.shape.length !== rank) return false;
    for (let d = 1; d < rank; d++) if (x.shape[d] !== y.shape[d]) return false;
  }
  return true;
}

/** What inputs take in memory. */
export function bytesOf(inputs: readonly Tensor[]): number {
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

export function expired(): DomainError {
  return new DomainError('deadline_exceeded', 'The model did not answer before the deadline of the request.');
}

function hungUp(): DomainError {
  return new DomainError('deadline_exceeded', 'The caller hung up before the model began.');
}
