/** Hot path. See docs/paths/predict.md. */
import type { InferRequest } from '@sibyl/inference';
import { DomainError, TURNS, type Pace } from '@sibyl/kernel';
import type { Tensor } from '@sibyl/protocol';

/** The work of one call: its deadline, and a way to drop what still waits when the caller hangs up. */
export class PredictCall implements Pace {
  /** So long that whatever is done with it is done in slices. */
  long = false;
  /** Hears of it when the caller hangs up or the deadline passes. */
  whenAborted: (() => void) | undefined = undefined;
  private readonly requests: InferRequest[] = [];
  private aborted = false;

  /** `deadlineAt` is a time of the monotonic clock in milliseconds. */
  constructor(
    readonly deadlineAt: number,
    readonly bulk = false,
  ) {}

  request(inputs: readonly Tensor[], rows: number): InferRequest {
    const request: InferRequest = { inputs, rows, deadlineAt: this.deadlineAt, bulk: this.bulk, aborted: this.aborted };
    this.requests.push(request);
    return request;
  }

  get due(): boolean {
    return TURNS.due;
  }

  /** The next slice of a long call; its work ends when nobody waits for it any more. */
  async next(): Promise<void> {
    await TURNS.next();
    if (this.aborted) throw new DomainError('request_timeout', 'Nobody waits for the answer any more.');
  }

  abort(): void {
    this.aborted = true;
    for (const request of this.requests) request.aborted = true;
    this.whenAborted?.();
  }
}
