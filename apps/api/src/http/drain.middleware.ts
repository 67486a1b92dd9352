import type { ServerResponse } from 'node:http';
import type { Drain } from './drain';
import { problemOf } from './problem';
import type { ApiRequest } from './request-context';

/** While the server stops, answers end their connections; past the limit of the drain nothing is begun any more. */
export function drainMiddleware(
  drain: Drain,
): (request: ApiRequest, response: ServerResponse, next: () => void) => void {
  return (request, response, next) => {
    if (drain.closing) response.setHeader('Connection', 'close');
    try {
      if (!PROBES.test(request.path)) drain.refuseWhenStopped();
      next();
    } catch (error) {
      const problem = problemOf(error, { requestId: request.context.requestId, instance: request.originalUrl });
      request.context.problem = problem.code;
      response.writeHead(problem.status, problem.headers).end(problem.body);
    }
  };
}

/** Whoever asks how the server is gets an answer until the last moment. */
const PROBES = /^\/(health|ready)\b/;
