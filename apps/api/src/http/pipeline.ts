import type { NestExpressApplication } from '@nestjs/platform-express';
import type { ApiConfig } from '../../config';
import type { Platform } from '../platform';
import { AuditHook } from './audit-hook';
import { corsMiddleware } from './cors';
import { Drain } from './drain';
import { drainMiddleware } from './drain.middleware';
import { gateMiddleware } from './gate.middleware';
import { httpMetricsMiddleware } from './http-metrics.middleware';
import { securityMiddleware } from './security-headers';
import { answerBrokenRequests } from './server-limits';

/** What every request of the ordinary stack passes before it reaches a route, in this order. */
export function layPipeline(app: NestExpressApplication, platform: Platform, config: ApiConfig): void {
  const { gate, clock, ids, metrics, trail } = platform;
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(gateMiddleware(gate, app.get(AuditHook), clock, ids));
  app.use(httpMetricsMiddleware(metrics, clock));
  app.use(drainMiddleware(app.get(Drain)));
  app.use(securityMiddleware(config.http.strictTransport));
  app.use(corsMiddleware(config.http.corsOrigins));
  answerBrokenRequests(app.getHttpServer(), { trail, clock, ids, metrics, options: config.http });
}
