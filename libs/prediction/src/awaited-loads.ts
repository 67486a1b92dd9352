import { DomainError } from '@sibyl/kernel';
import { bytesOf, type InferReceiver, type InferRequest } from '@sibyl/inference';
import type { ModelReconciler } from './model-reconciler';
import type { PredictionOptions } from './prediction-options';
import { asDomainError } from './row-inference';
import type { ServedVersion } from './served-version';

export type AwaitedLoadLimits = Pick<PredictionOptions, 'awaitingRequests' | 'awaitingBytes'>;

/** Requests that wait for their version to be loaded: no more of them than may wait for one that is. */
export class AwaitedLoads {
  private readonly waiting = new WeakMap<ServedVersion, { requests: number; bytes: number }>();

  constructor(
    private readonly reconciler: Pick<ModelReconciler, 'ready'>,
    private readonly limits: AwaitedLoadLimits,
  ) {}

  /** Why a request of so many bytes may not wait; one that finds nobody before it always may. */
  refusal(served: ServedVersion, bytes: number): DomainError | undefined {
    const before = this.waiting.get(served);
    if (before === undefined || before.requests === 0) return undefined;
    const { awaitingRequests, awaitingBytes } = this.limits;
    if (before.requests < awaitingRequests && before.bytes + bytes <= awaitingBytes) return undefined;
    const detail = `${before.requests} requests wait for this model to be loaded already.`;
    return new DomainError('queue_full', detail, { retryAfterSeconds: 1 });
  }

  submit(served: ServedVersion, request: InferRequest, receiver: InferReceiver): void {
    const bytes = bytesOf(request.inputs);
    const refusal = this.refusal(served, bytes);
    if (refusal !== undefined) {
      receiver.failed(refusal);
      return;
    }
    this.count(served, 1, bytes);
    this.reconciler.ready(served, request.deadlineAt).then(
      (loaded) => {
        this.count(served, -1, -bytes);
        loaded.submit(request, receiver);
      },
      (error: unknown) => {
        this.count(served, -1, -bytes);
        receiver.failed(asDomainError(error));
      },
    );
  }

  private count(served: ServedVersion, requests: number, bytes: number): void {
    const before = this.waiting.get(served) ?? { requests: 0, bytes: 0 };
    this.waiting.set(served, { requests: before.requests + requests, bytes: before.bytes + bytes });
  }
}
