import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { IdempotencyStore, requestFingerprint, type IdempotencyLease, type StoredAnswer } from '@sibyl/auth';
import type { Logger } from '@sibyl/telemetry';
import type { Response } from 'express';
import { catchError, from, mergeMap, of, throwError, type Observable } from 'rxjs';
import type { BodyRequest } from './body.interceptor';
import { ENDPOINT, type EndpointFacts } from './endpoint.decorator';
import { InjectLog } from './log';
import { problemOf } from './problem';

/** Headers that belong to the answer itself and are given again with it. */
const KEPT_HEADERS = ['Content-Type', 'Location', 'ETag', 'Retry-After'];

/** Gives a repeated creating request the answer of the first one. Runs after the body was read, which it compares. */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly store: IdempotencyStore,
    @InjectLog() private readonly log: Logger,
  ) {}

  async intercept(execution: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const http = execution.switchToHttp();
    const request = http.getRequest<BodyRequest>();
    const { creates } = this.reflector.get<EndpointFacts>(ENDPOINT, execution.getHandler());
    const { principal } = request.context;
    const key = request.headers['idempotency-key'];
    if (creates !== true || key === undefined || principal === undefined) return next.handle();
    const fingerprint = requestFingerprint(
      request.method,
      request.path.replace(/\/+$/, ''),
      request.bodyFingerprint ?? '',
    );
    const start = await this.store.begin(principal.keyId, String(key), fingerprint);
    const response = http.getResponse<Response>();
    if (start.kind === 'stored') return of(replay(start.answer, request, response));
    return this.run(start.lease, next, request, response);
  }

  private run(
    lease: IdempotencyLease,
    next: CallHandler,
    request: BodyRequest,
    response: Response,
  ): Observable<unknown> {
    return next.handle().pipe(
      mergeMap((value: unknown) => from(this.keep(lease, answerOf(value, response)).then(() => value))),
      catchError((error: unknown) => {
        const { status, headers, body } = problemOf(error, {
          requestId: request.context.requestId,
          caller: request.context.principal,
          instance: request.originalUrl,
        });
        return from(this.keep(lease, { status, headers: kept(headers), body })).pipe(
          mergeMap(() => throwError(() => error)),
        );
      }),
    );
  }

  /** What was done is done: when its answer cannot be kept, the caller gets it all the same. */
  private async keep(lease: IdempotencyLease, answer: StoredAnswer): Promise<void> {
    try {
      await this.store.finish(lease, answer);
    } catch (error) {
      this.log.warn({ keyId: lease.keyId, err: error }, 'the answer of an Idempotency-Key could not be kept');
    }
  }
}

function answerOf(value: unknown, response: Response): StoredAnswer {
  const headers = kept(response.getHeaders());
  return {
    status: response.statusCode,
    headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

function kept(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const found = KEPT_HEADERS.map((name) => [name, headers[name] ?? headers[name.toLowerCase()]] as const);
  return Object.fromEntries(
    found.filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)]),
  );
}

function replay(answer: StoredAnswer, request: BodyRequest, response: Response): unknown {
  request.context.reason = 'answered from the Idempotency-Key';
  response.status(answer.status).set(answer.headers);
  return answer.body === undefined ? undefined : JSON.parse(answer.body);
}
