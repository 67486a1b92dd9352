import type { ThrottlerStorage } from '@nestjs/throttler';
import type { RateLimiter } from './rate-limiter';

/** Lets @nestjs/throttler count with our limiter: under the same id a controller and the hot path share one limit. */
export class GcraThrottlerStorage implements ThrottlerStorage {
  constructor(private readonly limiter: RateLimiter) {}

  increment(key: string, ttl: number, limit: number): ReturnType<ThrottlerStorage['increment']> {
    const state = this.limiter.take(key, { requests: limit, seconds: Math.max(1, Math.round(ttl / 1_000)) });
    return Promise.resolve({
      totalHits: state.allowed ? state.limit - state.remaining : state.limit + 1,
      timeToExpire: state.resetSeconds,
      isBlocked: !state.allowed,
      timeToBlockExpire: state.retryAfterSeconds,
    });
  }
}
