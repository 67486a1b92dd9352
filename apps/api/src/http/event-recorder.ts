/** Hot path. See docs/paths/predict.md. */
import { AuditTrail, RefusalFold } from '@sibyl/audit';
import type { Clock } from '@sibyl/kernel';
import type { Metrics } from '@sibyl/telemetry';
import type { Logger } from 'pino';
import { eventDraft, type Digests } from './event-draft';
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
  async record(
    context: RequestContext,
    status: number,
    digests?: Digests,
    payload?: string | readonly string[],
  ): Promise<void> {
    const startedAt = this.clock.monotonic();
    const draft = eventDraft(context, status, startedAt - context.startedAt, digests);
    const { server } = this.metrics;
    server.countEvent(draft.outcome);
    // A flood of refusals must not become a flood of events: those past the first hundred share one.
    if (draft.outcome === 'denied' && !this.refusals.singly(draft, context.problem ?? '')) return;
    try {
      await this.trail.commit(draft, payload);
    } catch (error) {
      this.log.warn({ requestId: context.requestId, err: error }, 'the event of a request could not be recorded');
      throw error;
    }
    server.auditCommitSeconds.observe((this.clock.monotonic() - startedAt) / 1000);
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
