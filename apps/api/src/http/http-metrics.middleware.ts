import type { ServerResponse } from 'node:http';
import type { Clock } from '@sibyl/kernel';
import type { Metrics } from '@sibyl/telemetry';
import type { ApiRequest } from './request-context';

/** Counts every request of the ordinary stack when its answer has left, or its caller has. Comes after the gate. */
export function httpMetricsMiddleware(
  metrics: Metrics,
  clock: Clock,
): (request: ApiRequest, response: ServerResponse, next: () => void) => void {
  return (request, response, next) => {
    response.once('close', () => {
      const { context } = request;
      const status = response.writableFinished ? response.statusCode : CLIENT_CLOSED;
      metrics.http.of(context.route, request.method).record(status, (clock.monotonic() - context.startedAt) / 1000);
      if (context.isPublic) metrics.server.publicRequests.inc();
    });
    next();
  };
}

const CLIENT_CLOSED = 499;
