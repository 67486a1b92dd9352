import type { ServerResponse } from 'node:http';
import { CLIENT_CLOSED } from './event-draft';
import type { EventRecorder } from './event-recorder';
import { problemOf } from './problem';
import type { ApiRequest, RequestContext } from './request-context';

type End = ServerResponse['end'];

/**
 * Writes exactly one event for each request of the ordinary stack, however it ends: the answer is held until its event is
 * durable. It hooks the response itself, because guards refuse requests that no interceptor ever sees.
 */
export class AuditHook {
  constructor(private readonly recorder: EventRecorder) {}

  watch(request: ApiRequest, response: ServerResponse): void {
    const { context } = request;
    const end = response.end.bind(response) as (...parameters: unknown[]) => ServerResponse;
    let held = false;
    response.end = ((...parameters: unknown[]) => {
      if (held) return response;
      held = true;
      if (this.settled(context, response.statusCode)) return end(...parameters);
      this.recorder.record(context, response.statusCode).then(
        () => end(...parameters),
        (error: unknown) => this.refuse(request, response, end, error),
      );
      return response;
    }) as End;
    response.once('close', () => {
      if (held || context.isPublic) return;
      held = true;
      // Nobody is left to tell; the recorder has logged what went wrong.
      this.recorder.record(context, CLIENT_CLOSED).catch(() => undefined);
    });
  }

  /** Public routes leave no event; a change that succeeded brought its own, in its transaction. */
  private settled(context: RequestContext, status: number): boolean {
    return context.isPublic || (context.recorded && status < 400);
  }

  /** Nothing is answered that cannot be recorded. */
  private refuse(
    request: ApiRequest,
    response: ServerResponse,
    end: (...parameters: unknown[]) => ServerResponse,
    error: unknown,
  ): void {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const problem = problemOf(error, { requestId: request.context.requestId, instance: request.originalUrl });
    for (const name of ['content-type', 'content-encoding', 'etag', 'location', 'transfer-encoding'])
      response.removeHeader(name);
    response.statusCode = problem.status;
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    response.setHeader('Content-Length', Buffer.byteLength(problem.body));
    end(request.method === 'HEAD' ? undefined : problem.body);
  }
}
