import { Module, type DynamicModule } from '@nestjs/common';
import type { ApiConfig } from '../../config';
import { ReadAccount } from '../features/read-account';
import { ReadHandler } from '../features/read.handler';
import { corsHeaders } from '../http/cors';
import { Drain } from '../http/drain';
import { EventRecorder } from '../http/event-recorder';
import { securityHeaders } from '../http/security-headers';
import type { Platform } from '../platform';
import { LongBodies } from '../predict/long-bodies';
import { PredictController } from '../predict/predict.controller';
import { PredictHandler } from '../predict/predict.handler';
import { PredictReplies } from '../predict/predict-replies';
import { FrontDesk } from './front-desk';
import { Lanes } from './lanes';
import { Replies, type ReplyParts } from './replies';

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

/** Makes what answers in front of the ordinary stack. */
class FrontParts {
  private readonly parts: ReplyParts;

  constructor(
    private readonly platform: Platform,
    private readonly config: ApiConfig,
    recorder: EventRecorder,
    drain: Drain,
  ) {
    const { gate, metrics, clock, underway } = platform;
    const { strictTransport, corsOrigins } = config.http;
    const headers = answerHeaders(strictTransport);
    const cors = (origin: string | undefined): Record<string, string> => corsHeaders(corsOrigins, origin);
    this.parts = { gate, recorder, metrics, drain, clock, underway, headers, cors };
  }

  predict(): PredictHandler {
    const { clock, ids, gate, predictions, payloadDigest: digest } = this.platform;
    const { predict: options, http, audit } = this.config;
    const kept = { recordedBytes: options.recordedBytes, payloadBytes: audit.payloadBytes };
    const replies = new PredictReplies({ ...this.parts, ...kept, digest });
    const long = new LongBodies({ digest, clock, options, http });
    return new PredictHandler({ gate, service: predictions, replies, long, clock, ids, options, http });
  }

  reads(): ReadHandler {
    const { clock, ids, gate, metrics, featureReads: reads, feastFacade: feast, payloadDigest: digest } = this.platform;
    const { http } = this.config;
    const account = new ReadAccount(metrics.features);
    return new ReadHandler({ gate, replies: new Replies(this.parts), clock, ids, reads, feast, account, digest, http });
  }
}

/** What is answered in front of the ordinary stack: predictions, and reads of features. */
@Module({})
export class FrontModule {
  static of(platform: Platform, config: ApiConfig): DynamicModule {
    return {
      module: FrontModule,
      controllers: [PredictController],
      providers: [
        {
          provide: FrontDesk,
          inject: [EventRecorder, Drain],
          useFactory: (recorder: EventRecorder, drain: Drain) => {
            const parts = new FrontParts(platform, config, recorder, drain);
            return new FrontDesk([parts.predict(), parts.reads()], config.http.bodyTimeoutMs);
          },
        },
        { provide: Lanes, inject: [FrontDesk], useFactory: (desk: FrontDesk) => new Lanes(desk, config.http) },
      ],
      exports: [FrontDesk, Lanes],
    };
  }
}
