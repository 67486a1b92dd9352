import { createParamDecorator, Injectable, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import { AuditTrail, type AuditEventDraft, type ChangeRecord, type RecordChange } from '@sibyl/audit';
import { Clock, type Actor } from '@sibyl/kernel';
import { Metrics } from '@sibyl/telemetry';
import { outcomeOf } from './event-draft';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';
import type { ApiRequest, RequestContext } from './request-context';
import { WrittenEvent } from './written-event';

/** Status that the event of a change carries when the library names none: that of the route. */
interface ChangeRequest {
  readonly context: RequestContext;
  readonly status: number;
}

/** Who an event names when no key was given or accepted. */
export function actorOf(context: RequestContext): Actor {
  return context.principal?.actor ?? { type: 'anonymous', id: context.ip, name: 'anonymous' };
}

/** Makes the callback with which a library writes the event of this request into the transaction of its change. */
@Injectable()
export class RecordChangePipe implements PipeTransform<ChangeRequest, RecordChange> {
  constructor(
    private readonly trail: AuditTrail,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  transform({ context, status }: ChangeRequest): RecordChange {
    return async (tx, change) => {
      const draft = this.draftOf(context, change, status);
      await this.trail.commitInTransaction(tx, draft);
      context.written = new WrittenEvent(draft.requestId, draft.status, draft.outcome, (outcome) =>
        this.metrics.server.countEvent(outcome),
      );
    };
  }

  private draftOf(context: RequestContext, change: ChangeRecord, status: number): AuditEventDraft {
    const ended = change.status ?? status;
    return {
      ...change,
      outcome: outcomeOf(ended),
      status: ended,
      actor: actorOf(context),
      ip: context.ip,
      requestId: context.recordChangesUnder(context.requestId),
      occurredAtMs: context.occurredAtMs,
      durationMs: this.clock.monotonic() - context.startedAt,
      traceId: context.traceId,
    };
  }
}

const ChangeOf = createParamDecorator((_: unknown, execution: ExecutionContext): ChangeRequest => {
  const { context } = execution.switchToHttp().getRequest<ApiRequest>();
  const facts = Reflect.getMetadata(ENDPOINT, execution.getHandler()) as EndpointFacts;
  return { context, status: facts.status ?? 200 };
});

/** Parameter of a controller method: the `RecordChange` of its request. */
export const Recorded = (): ParameterDecorator => ChangeOf(RecordChangePipe);
