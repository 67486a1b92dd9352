import { createParamDecorator, Injectable, type ExecutionContext } from '@nestjs/common';
import { AuditTrail } from '@sibyl/audit';
import type { OnProgress } from '@sibyl/registry';
import type { Logger } from '@sibyl/telemetry';
import { DomainError } from '@sibyl/kernel';
import { CLIENT_CLOSED, eventDraft } from '../http/event-draft';
import { HttpOptions } from '../http/http-options';
import { InjectLog } from '../http/log';
import { internalError, statusOf } from '../http/problem';
import type { ApiRequest, RequestContext } from '../http/request-context';
import { toOperationView } from './operation.view';
import type { Operation } from './operation';
import { OperationRecords } from './operation-records';
import { failureOf, OperationCancelled, Operations } from './operations';
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
    private readonly records: OperationRecords,
    @InjectLog() private readonly log: Logger,
  ) {}

  /** `work` is told when to stop, the id of its operation, and whom to tell how far it is. */
  async run(
    call: LongCall,
    kind: string,
    work: (signal: AbortSignal, id: string, onProgress: OnProgress) => Promise<Reply>,
  ): Promise<Reply> {
    const keyId = call.context.principal?.keyId ?? '';
    let reply: Reply | undefined;
    const begun = this.operations.begin({
      kind,
      keyId,
      work: async (signal, id, onProgress) => {
        reply = await work(signal, id, onProgress);
        call.context.written?.settle(id, reply.status);
        return reply.body;
      },
    });
    const ended = begun.ended.then(() => true);
    try {
      const inTime = await Promise.race([ended, after(call.respondAsync ? 0 : this.options.syncWaitMs)]);
      // A change that is being recorded as the request's own is about to be committed: the request waits for that.
      if (!inTime && call.context.recordChangesUnder(begun.id) !== begun.id) await ended;
    } catch (error) {
      this.operations.forget(begun.id);
      call.context.written?.settle(begun.id, statusOf(asDomainError(error).code));
      throw error;
    }
    if (reply !== undefined) {
      this.operations.forget(begun.id);
      return reply;
    }
    return this.detach(call, begun.id, kind, keyId, ended);
  }

  /** Always an operation: what the work made is fetched by its id, and how it ended is known after a restart too. */
  begin(
    call: LongCall,
    kind: string,
    work: (signal: AbortSignal, id: string, onProgress: OnProgress) => Promise<unknown>,
  ): Reply {
    const keyId = call.context.principal?.keyId ?? '';
    const recorded: typeof work = async (signal, id, onProgress) => {
      const find = (): Operation => this.operations.find(id, keyId, false);
      await this.records.keep(find());
      const end = (outcome: Partial<Operation>): Promise<void> =>
        this.records.keep({ ...find(), ...outcome, endedAtMs: Date.now() });
      try {
        const result = await work(signal, id, onProgress);
        const { total } = find().progress;
        await end({ status: 'succeeded', progress: { done: total, total }, result });
        return result;
      } catch (error) {
        await end(failureOf(error));
        throw error;
      }
    };
    const { id, ended } = this.operations.begin({ kind, keyId, work: recorded });
    return this.detach(call, id, kind, keyId, ended);
  }

  /** From here on the work is recorded under the id of its operation, because the request has an event of its own. */
  private detach(call: LongCall, id: string, kind: string, keyId: string, ended: Promise<unknown>): Reply {
    ended.catch((error: unknown) => this.recordFailure(call.context, id, kind, error));
    const headers = {
      Location: `/v1/operations/${id}`,
      'Retry-After': '1',
      ...(call.respondAsync ? { 'Preference-Applied': 'respond-async' } : {}),
    };
    return { status: 202, headers, body: toOperationView(this.operations.find(id, keyId, false)) };
  }

  private endOf(id: string, thrown: unknown): { readonly status: number; readonly reason: string } {
    if (thrown instanceof OperationCancelled) return { status: CLIENT_CLOSED, reason: 'cancelled' };
    const error = asDomainError(thrown);
    this.log.warn({ operationId: id, code: error.code, err: error }, 'an operation failed');
    return { status: statusOf(error.code), reason: error.code };
  }

  private async recordFailure(context: RequestContext, id: string, kind: string, thrown: unknown): Promise<void> {
    const { status, reason } = this.endOf(id, thrown);
    // A version that failed its validation is on record already, with what it was refused for.
    if (context.written?.settle(id, status) === true) return;
    const draft = eventDraft(context, status, 0);
    try {
      await this.trail.commit({
        ...draft,
        action: kind,
        requestId: id,
        reason,
        resource: { type: 'operation', id },
      });
    } catch (cause) {
      this.log.error({ operationId: id, err: cause }, 'the failure of an operation could not be recorded');
    }
  }
}

function asDomainError(thrown: unknown): DomainError {
  return thrown instanceof DomainError ? thrown : internalError(thrown);
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(false), ms).unref();
  });
}
