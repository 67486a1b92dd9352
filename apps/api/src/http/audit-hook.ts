import type { ServerResponse } from 'node:http';
import { CLIENT_CLOSED } from './event-draft';
import type { EventRecorder } from './event-recorder';
import { problemOf } from './problem';
import type { ApiRequest } from './request-context';

/** Work without a caller that has not ended by then is recorded as hung up. */
const ABANDONED_MS = 60_000;

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
    let hungUp: NodeJS.Timeout | undefined;
    response.end = ((...parameters: unknown[]) => {
      if (held) return response;
      held = true;
      clearTimeout(hungUp);
      // A change that was committed brought its own event, in its transaction; public routes leave none.
      if (context.isPublic || context.written?.settle(context.requestId, response.statusCode) === true)
        return end(...parameters);
      this.recorder.record(context, hungUp === undefined ? response.statusCode : CLIENT_CLOSED).then(
        () => end(...parameters),
        (error: unknown) => this.refuse(request, response, end, error),
      );
      return response;
    }) as End;
    response.once('close', () => {
      if (held || context.isPublic) return;
      // What the caller began goes on, and may yet commit with an event of its own; its end is waited for.
      hungUp = setTimeout(() => response.end(), ABANDONED_MS).unref();
    });
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
