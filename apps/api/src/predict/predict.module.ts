import { Module, type DynamicModule } from '@nestjs/common';
import type { ApiConfig } from '../../config';
import { corsHeaders } from '../http/cors';
import { Drain } from '../http/drain';
import { EventRecorder } from '../http/event-recorder';
import { securityHeaders } from '../http/security-headers';
import type { Platform } from '../platform';
import { Lanes } from './lanes';
import { LongBodies } from './long-bodies';
import { PredictController } from './predict.controller';
import { PredictHandler } from './predict.handler';
import { PredictReplies } from './predict-replies';

/** Of the headers that every answer has, those that mean something for JSON: each costs a prediction a microsecond. */
function answerHeaders(strictTransport: boolean): Record<string, string> {
  const all = Object.entries(securityHeaders('api', strictTransport));
  return Object.fromEntries(all.filter(([name]) => JSON_HEADERS.has(name)));
}

const JSON_HEADERS = new Set([
  'Cache-Control',
  'Content-Security-Policy',
  'Strict-Transport-Security',
  'X-Content-Type-Options',
]);

/** The predict handler and the routes that it declares. */
@Module({})
export class PredictModule {
  static of(platform: Platform, config: ApiConfig): DynamicModule {
    const { clock, ids, gate, metrics, predictions, payloadDigest, underway } = platform;
    const { http } = config;
    return {
      module: PredictModule,
      controllers: [PredictController],
      providers: [
        {
          provide: PredictHandler,
          inject: [EventRecorder, Drain],
          useFactory: (recorder: EventRecorder, drain: Drain) => {
            const headers = answerHeaders(http.strictTransport);
            const cors = (origin: string | undefined): Record<string, string> => corsHeaders(http.corsOrigins, origin);
            const replies = new PredictReplies({
              gate,
              recorder,
              digest: payloadDigest,
              metrics,
              drain,
              clock,
              headers,
              cors,
              underway,
              recordedBytes: config.predict.recordedBytes,
              payloadBytes: config.audit.payloadBytes,
            });
            return new PredictHandler({
              gate,
              service: predictions,
              replies,
              long: new LongBodies({ digest: payloadDigest, clock, options: config.predict, http }),
              clock,
              ids,
              options: config.predict,
              http,
            });
          },
        },
        {
          provide: Lanes,
          inject: [PredictHandler],
          useFactory: (handler: PredictHandler) => new Lanes(handler, http),
        },
      ],
      exports: [PredictHandler, Lanes],
    };
  }
}
