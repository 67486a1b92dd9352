import { createParamDecorator, Injectable, type ExecutionContext } from '@nestjs/common';
import { AuditTrail } from '@sibyl/audit';
import type { Logger } from '@sibyl/telemetry';
import { DomainError } from '@sibyl/kernel';
import { eventDraft } from '../http/event-draft';
import { HttpOptions } from '../http/http-options';
import { InjectLog } from '../http/log';
import { internalError, statusOf } from '../http/problem';
import type { ApiRequest, RequestContext } from '../http/request-context';
import { toOperationView } from './operation.view';
import { Operations } from './operations';
import type { Reply } from './reply';

/** A request that may end as an operation. */
export interface LongCall {
  readonly context: RequestContext;
  /** The caller said `Prefer: respond-async`: it does not want to wait at all. */
  readonly respondAsync: boolean;
}

/** Parameter of a controller method that begins long work. */
export const Waiting = createParamDecorator((_: unknown, execution: ExecutionContext): LongCall => {
  const request = execution.switchToHttp().getRequest<ApiRequest>();
  const preferences = String(request.headers.prefer ?? '').split(',');
  return {
    context: request.context,
    respondAsync: preferences.some((text) => text.trim().toLowerCase() === 'respond-async'),
  };
});

/** Answers with the result of work where it comes in time, and else with an operation that goes on without its caller. */
@Injectable()
export class LongWork {
  constructor(
    private readonly operations: Operations,
    private readonly trail: AuditTrail,
    private readonly options: HttpOptions,
    @InjectLog() private readonly log: Logger,
  ) {}

  async run(call: LongCall, kind: string, work: (signal: AbortSignal) => Promise<Reply>): Promise<Reply> {
    const keyId = call.context.principal?.keyId ?? '';
    let reply: Reply | undefined;
    const begun = this.operations.begin({
      kind,
      keyId,
      work: async (signal) => {
        reply = await work(signal);
        return reply.body;
      },
    });
    const ended = begun.ended.then(() => true);
    const inTime = await Promise.race([ended, after(call.respondAsync ? 0 : this.options.syncWaitMs)]).catch(
      (error: unknown) => {
        this.operations.forget(begun.id);
        throw error;
      },
    );
    if (inTime && reply !== undefined) {
      this.operations.forget(begun.id);
      return reply;
    }
    return this.detach(call, begun.id, kind, keyId, ended);
  }

  /** From here on the work is recorded under the id of its operation, because the request has an event of its own. */
  private detach(call: LongCall, id: string, kind: string, keyId: string, ended: Promise<unknown>): Reply {
    call.context.operationId = id;
    ended.catch((error: unknown) => this.recordFailure(call.context, id, kind, error));
    const headers = {
      Location: `/v1/operations/${id}`,
      'Retry-After': '1',
      ...(call.respondAsync ? { 'Preference-Applied': 'respond-async' } : {}),
    };
    return { status: 202, headers, body: toOperationView(this.operations.find(id, keyId, false)) };
  }

  private async recordFailure(context: RequestContext, id: string, kind: string, thrown: unknown): Promise<void> {
    const error = thrown instanceof DomainError ? thrown : internalError(thrown);
    this.log.warn({ operationId: id, code: error.code, err: error }, 'an operation failed');
    const draft = eventDraft(context, statusOf(error.code), 0);
    try {
      await this.trail.commit({
        ...draft,
        action: kind,
        requestId: id,
        reason: error.code,
        resource: { type: 'operation', id },
      });
    } catch (cause) {
      this.log.error({ operationId: id, err: cause }, 'the failure of an operation could not be recorded');
    }
  }
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), ms).unref();
  });
}
