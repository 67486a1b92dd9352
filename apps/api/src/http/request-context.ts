import type { AuditedModel } from '@sibyl/audit';
import type { Actor, DomainError, ErrorCode } from '@sibyl/kernel';
import type { LimitState, Principal } from '@sibyl/auth';
import type { Request } from 'express';
import type { WrittenEvent } from './written-event';

/** What came with the request and never changes. */
export interface Arrival {
  readonly requestId: string;
  /** Address of the client as the server sees it. */
  readonly ip: string;
  /** `Clock.monotonic()` at the first byte of the handler; durations count from here. */
  readonly startedAt: number;
  readonly occurredAtMs: number;
  readonly traceId?: string | undefined;
}

/** What one HTTP request has come to be known for on its way in; the audit hook writes its event from it at the end. */
export class RequestContext implements Arrival {
  readonly requestId: string;
  readonly ip: string;
  readonly startedAt: number;
  readonly occurredAtMs: number;
  readonly traceId: string | undefined;

  principal: Principal | undefined = undefined;
  /** Why authentication failed; thrown by the scope guard where the route is not public. */
  refusal: DomainError | undefined = undefined;
  /** Whose key it was that is refused: revoked, expired or from a wrong address. For the record only. */
  holder: Actor | undefined = undefined;
  limitState: LimitState | undefined = undefined;

  /** The pattern of the route that answers, for metrics: `/v1/keys/{id}`. */
  route: string | undefined = undefined;
  /** Answers without a key, and leaves no event. */
  isPublic = false;
  action: string | undefined = undefined;
  resource: { readonly type: string; readonly id: string } | undefined = undefined;
  model: AuditedModel | undefined = undefined;
  predictionId: string | undefined = undefined;
  reason: string | undefined = undefined;
  changes: Record<string, unknown> | undefined = undefined;
  /** Keyed digest of the body of a read, of requests of the ordinary stack. */
  inputsDigest: string | undefined = undefined;
  /** Code of the problem that was answered. */
  problem: ErrorCode | undefined = undefined;

  /** The event that a change wrote into its transaction; where that was committed, the audit hook writes no second one. */
  written: WrittenEvent | undefined = undefined;
  /** Where changes are recorded, once that is decided: under the id of the request, or of its operation. */
  private changesId: string | undefined = undefined;

  constructor(arrival: Arrival) {
    this.requestId = arrival.requestId;
    this.ip = arrival.ip;
    this.startedAt = arrival.startedAt;
    this.occurredAtMs = arrival.occurredAtMs;
    this.traceId = arrival.traceId;
  }

  /**
   * Decides under which id changes are recorded, and answers it: the first who asks decides for all, be it a change that
   * is about to be written or the answer 202, after which the request has an event of its own.
   */
  recordChangesUnder(id: string): string {
    this.changesId ??= id;
    return this.changesId;
  }
}

/** A request after the first middleware has given it its context. */
export interface ApiRequest extends Request {
  context: RequestContext;
}
