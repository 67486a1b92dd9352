/** Hot path. See docs/paths/predict.md. */
import { AuditTrail, RefusalFold, type AuditEventDraft, type CommitReceiver, type Payload } from '@sibyl/audit';
import type { Clock } from '@sibyl/kernel';
import type { Metrics } from '@sibyl/telemetry';
import type { Logger } from 'pino';
import { eventDraft, NO_DIGESTS, type Digests } from './event-draft';
import { statusOf } from './problem';
import type { RequestContext } from './request-context';

/** The one way from the end of a request to its event. */
export class EventRecorder {
  private readonly refusals: RefusalFold;

  constructor(
    private readonly trail: AuditTrail,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    private readonly log: Pick<Logger, 'warn' | 'error'>,
  ) {
    this.refusals = new RefusalFold(clock, (event) => {
      trail
        .commit(event)
        .catch((error: unknown) =>
          log.warn({ err: error }, 'the shared event of refused requests could not be recorded'),
        );
    });
  }

  /** Resolves when the event is durable; rejects with `audit_unavailable`, and then nothing may be answered but that. */
  record(context: RequestContext, status: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = { status, digests: NO_DIGESTS, payload: undefined };
      this.submit(context, ended, { durable: resolve, lost: reject });
    });
  }

  /** The same for a receiver, with what a prediction took and gave. */
  submit(context: RequestContext, { status, digests, payload }: Ended, receiver: CommitReceiver): void {
    const startedAt = this.clock.monotonic();
    const draft = eventDraft(context, status, startedAt - context.startedAt, digests);
    this.metrics.server.countEvent(draft.outcome);
    // A flood of refusals must not become a flood of events: those past the first hundred share one.
    if (isRefusal(draft, context) && !this.refusals.singly(draft, context.problem ?? '')) {
      receiver.durable();
      return;
    }
    this.trail.submit(draft, payload, new Recording(this, context, startedAt, receiver));
  }

  /** An event is durable. */
  took(startedAt: number): void {
    this.metrics.server.auditCommitSeconds.observe((this.clock.monotonic() - startedAt) / 1000);
  }

  /** An event could not be recorded. */
  missed(context: RequestContext, error: Error): void {
    this.log.warn({ requestId: context.requestId, err: error }, 'the event of a request could not be recorded');
  }

  /** An error that nobody foresaw; its cause is for the log only. */
  unexpected(context: RequestContext, error: unknown): void {
    this.log.error({ requestId: context.requestId, err: error }, 'request failed unexpectedly');
  }

  /** Writes what is counted so far; the last thing before the trail closes. */
  close(): void {
    this.refusals.close();
  }
}

/** Turned away before anything was done for it, as many a request is under an overload, when events are dearest. */
function isRefusal({ outcome, status }: AuditEventDraft, { problem }: RequestContext): boolean {
  return outcome === 'denied' || (problem === 'queue_full' && status === statusOf('queue_full'));
}

/** How a request ended. */
export interface Ended {
  readonly status: number;
  readonly digests: Digests;
  readonly payload: Payload | undefined;
}

/** Counts what becomes of an event before its request hears of it. */
class Recording implements CommitReceiver {
  constructor(
    private readonly recorder: EventRecorder,
    private readonly context: RequestContext,
    private readonly startedAt: number,
    private readonly receiver: CommitReceiver,
  ) {}

  durable(): void {
    this.recorder.took(this.startedAt);
    this.receiver.durable();
  }

  lost(error: Error): void {
    this.recorder.missed(this.context, error);
    this.receiver.lost(error);
  }
}
