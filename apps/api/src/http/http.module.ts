import { Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, DiscoveryModule } from '@nestjs/core';
import { ThrottlerModule } from '@nestjs/throttler';
import { Gate, GcraThrottlerStorage } from '@sibyl/auth';
import { AcceptGuard } from './accept.guard';
import { BodyInterceptor } from './body.interceptor';
import { IdempotencyInterceptor } from './idempotency.interceptor';
import { ProblemFilter } from './problem.filter';
import { QueryGuard } from './query.guard';
import { RouteTable } from './route-table';
import { ScopeGuard } from './scope.guard';
import { ThrottleGuard } from './throttle.guard';
import { UnmatchedRequests } from './unmatched';
import { RequestValidationPipe } from './validation.pipe';

/** What every request of a controller passes, in this order: scope, limit, Accept, query, body, idempotency, validation. */
@Module({
  imports: [
    DiscoveryModule,
    ThrottlerModule.forRootAsync({
      inject: [Gate],
      // The numbers belong to keys; the guard asks the gate for them, so that these are never used.
      useFactory: (gate: Gate) => ({
        throttlers: [{ name: 'key', limit: 1, ttl: 1000 }],
        storage: new GcraThrottlerStorage(gate.keyLimits),
      }),
    }),
  ],
  providers: [
    RouteTable,
    UnmatchedRequests,
    { provide: APP_GUARD, useClass: ScopeGuard },
    { provide: APP_GUARD, useClass: ThrottleGuard },
    { provide: APP_GUARD, useClass: AcceptGuard },
    { provide: APP_GUARD, useClass: QueryGuard },
    { provide: APP_INTERCEPTOR, useClass: BodyInterceptor },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
    { provide: APP_PIPE, useClass: RequestValidationPipe },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
  exports: [RouteTable],
})
export class HttpModule {}
