import { FakeClock } from '@sibyl/kernel/testing';
import { RateLimiter } from './rate-limiter';
import { GcraThrottlerStorage } from './throttler-storage';

describe('GcraThrottlerStorage', () => {
  it('counts in the words of @nestjs/throttler', async () => {
    const storage = new GcraThrottlerStorage(new RateLimiter(new FakeClock(), 10));
    expect(await storage.increment('k', 60_000, 2)).toEqual({
      totalHits: 1,
      timeToExpire: 30,
      isBlocked: false,
      timeToBlockExpire: 0,
    });
    expect(await storage.increment('k', 60_000, 2)).toMatchObject({ totalHits: 2, isBlocked: false });
    expect(await storage.increment('k', 60_000, 2)).toMatchObject({
      totalHits: 3,
      isBlocked: true,
      timeToBlockExpire: 30,
    });
  });

  it('shares its limit with whoever else counts under the same id', async () => {
    const limiter = new RateLimiter(new FakeClock(), 10);
    limiter.take('k', { requests: 1, seconds: 60 });
    expect((await new GcraThrottlerStorage(limiter).increment('k', 60_000, 1)).isBlocked).toBe(true);
  });
});
