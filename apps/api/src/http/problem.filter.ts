import { Catch, HttpException, Injectable, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { DomainError, type ErrorCode } from '@sibyl/kernel';
import { Metrics, type Logger } from '@sibyl/telemetry';
import { Gate } from '@sibyl/auth';
import type { Response } from 'express';
import { InjectLog } from './log';
import { internalError, problemOf } from './problem';
import { countRefusal, refusalHeaders } from './refusal';
import type { ApiRequest } from './request-context';
import { UnmatchedRequests, type Unmatched } from './unmatched';

/** How long the rest of a refused body is read, so that its sender gets the answer instead of a reset connection. */
const LINGER_MS = 30_000;

/** Turns every error of the HTTP surface into application/problem+json. The only place that answers errors. */
@Catch()
@Injectable()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly unmatched: UnmatchedRequests,
    private readonly gate: Gate,
    private readonly metrics: Metrics,
    @InjectLog() private readonly log: Logger,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<ApiRequest>();
    const response = http.getResponse<Response>();
    const { error, ...extra } = this.explain(thrown, request);
    this.report(error, request);
    request.context.problem = error.code;
    countRefusal(this.metrics.server, error);
    // Half an answer cannot be taken back; a cut connection at least cannot be mistaken for a whole one.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const { requestId, principal: caller } = request.context;
    const problem = problemOf(error, { requestId, caller, instance: request.originalUrl, ...extra });
    response.removeHeader('ETag');
    response.set(refusalHeaders(this.gate, error, request.context));
    response.status(problem.status).set(problem.headers).end(problem.body);
    if (!request.complete) lingerFor(request);
  }

  private explain(thrown: unknown, request: ApiRequest): Unmatched {
    if (thrown instanceof DomainError) return { error: thrown };
    if (!(thrown instanceof HttpException)) return { error: internalError(thrown) };
    if (thrown.getStatus() === 404) return this.unmatched.explain(request);
    const code = CODES[thrown.getStatus()];
    if (code === undefined) return { error: internalError(thrown) };
    const error = new DomainError(code, DETAILS[code] ?? 'The request cannot be served.', { cause: thrown });
    // A path that cannot even be decoded is refused before any guard has looked for a key.
    return { error: request.context.isPublic ? error : (request.context.refusal ?? error) };
  }

  private report(error: DomainError, request: ApiRequest): void {
    const fields = { requestId: request.context.requestId, route: request.context.route, code: error.code, err: error };
    if (error.kind === 'internal') this.log.error(fields, 'a request failed inside');
    else if (error.kind === 'unavailable' && error.cause !== undefined)
      this.log.warn(fields, 'a request could not be served');
  }
}

/** Codes of what Nest and Express throw by themselves. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_parameter',
  406: 'not_acceptable',
  408: 'request_timeout',
  413: 'body_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  503: 'shutting_down',
};

const DETAILS: Partial<Record<ErrorCode, string>> = {
  invalid_parameter: 'The path or its query cannot be decoded.',
  shutting_down: 'The server is shutting down.',
};

function lingerFor(request: ApiRequest): void {
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
  request.once('close', () => clearTimeout(timer));
  request.resume();
}
