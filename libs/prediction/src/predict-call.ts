/** Hot path. See docs/paths/predict.md. */
import type { InferRequest } from '@sibyl/inference';
import type { Tensor } from '@sibyl/protocol';

/** The work of one call: its deadline, and a way to drop what still waits when the caller hangs up. */
export class PredictCall {
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

  abort(): void {
    this.aborted = true;
    for (const request of this.requests) request.aborted = true;
  }
}
