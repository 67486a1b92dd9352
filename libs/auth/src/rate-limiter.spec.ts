import { FakeClock } from '@sibyl/kernel/testing';
import { RateLimiter } from './rate-limiter';

const LIMIT = { requests: 100, seconds: 60 };

describe('RateLimiter', () => {
  let clock: FakeClock;
  let limiter: RateLimiter;

  beforeEach(() => {
    clock = new FakeClock(1_000_000);
    limiter = new RateLimiter(clock, 1_000);
  });

  it.each([
    { requests: 1, seconds: 1 },
    { requests: 7, seconds: 3 },
    { requests: 100, seconds: 60 },
    { requests: 999_983, seconds: 86_399 },
    { requests: 3, seconds: 86_400 },
  ])('lets exactly $requests through at once', (limit) => {
    for (let i = 0; i < Math.min(limit.requests, 2_000); i++) expect(limiter.take('k', limit).allowed).toBe(true);
    const rest = limit.requests - 2_000;
    if (rest > 0) expect(limiter.take('k', limit, rest).allowed).toBe(true);
    expect(limiter.take('k', limit).allowed).toBe(false);
  });

  it.each([
    { requests: 7, seconds: 3 },
    { requests: 100, seconds: 60 },
    { requests: 1_000, seconds: 1 },
    { requests: 13, seconds: 17 },
  ])('lets exactly burst plus pace through over a long time ($requests in $seconds s)', (limit) => {
    const durationMs = 100_000;
    let allowed = 0;
    for (let ms = 0; ms <= durationMs; ms++) {
      while (limiter.take('k', limit).allowed) allowed++;
      clock.advance(1);
    }
    expect(allowed).toBe(limit.requests + Math.floor((durationMs * limit.requests) / (limit.seconds * 1_000)));
  });

  it('says how long to wait, and that is enough and not a second too much', () => {
    const limit = { requests: 10, seconds: 100 };
    for (let i = 0; i < 10; i++) limiter.take('k', limit);
    const refused = limiter.take('k', limit);
    expect(refused).toMatchObject({ allowed: false, retryAfterSeconds: 10, remaining: 0 });
    clock.advance(refused.retryAfterSeconds * 1_000 - 1);
    expect(limiter.take('k', limit)).toMatchObject({ allowed: false, retryAfterSeconds: 1 });
    clock.advance(1);
    expect(limiter.take('k', limit).allowed).toBe(true);
  });

  it('counts down what remains and when all of it is back', () => {
    expect(limiter.take('k', LIMIT)).toEqual({
      allowed: true,
      policy: 'key',
      limit: 100,
      seconds: 60,
      remaining: 99,
      resetSeconds: 1,
      retryAfterSeconds: 0,
    });
    for (let i = 0; i < 99; i++) limiter.take('k', LIMIT);
    expect(limiter.peek('k', LIMIT)).toMatchObject({ remaining: 0, resetSeconds: 60 });
    clock.advance(30_000);
    expect(limiter.peek('k', LIMIT)).toMatchObject({ remaining: 50, resetSeconds: 30 });
  });

  it('takes nothing by looking, and nothing when it refuses', () => {
    expect(limiter.peek('new', LIMIT)).toMatchObject({ remaining: 100, resetSeconds: 0 });
    expect(limiter.size).toBe(0);
    limiter.take('k', LIMIT, 99);
    expect(limiter.take('k', LIMIT, 2).allowed).toBe(false);
    expect(limiter.peek('k', LIMIT).remaining).toBe(1);
  });

  it('keeps keys apart', () => {
    limiter.take('a', LIMIT, 100);
    expect(limiter.take('a', LIMIT).allowed).toBe(false);
    expect(limiter.take('b', LIMIT).allowed).toBe(true);
  });

  it('stays exact when time has fractions, stands still or a key sleeps for years', () => {
    const limit = { requests: 3, seconds: 1 };
    for (let i = 0; i < 3; i++) {
      clock.advance(0.3);
      expect(limiter.take('k', limit).allowed).toBe(true);
    }
    expect(limiter.take('k', limit).allowed).toBe(false);
    clock.advance(1e12);
    for (let i = 0; i < 3; i++) expect(limiter.take('k', limit).allowed).toBe(true);
    expect(limiter.take('k', limit).allowed).toBe(false);
  });

  it('remembers what was taken when a limit changes', () => {
    limiter.take('k', LIMIT, 60);
    expect(limiter.peek('k', { requests: 200, seconds: 10 }).remaining).toBe(140);
    expect(limiter.peek('k', { requests: 50, seconds: 60 }).remaining).toBe(0);
  });

  it('never holds more buckets than it may, and keeps the one in use', () => {
    const limit = { requests: 5, seconds: 3_600 };
    for (let i = 0; i < 5; i++) limiter.take('busy', limit);
    for (let i = 0; i < 50_000; i++) {
      limiter.take(`passer-by ${i}`, limit);
      if (i % 100 === 0) expect(limiter.take('busy', limit).allowed).toBe(false);
      if (limiter.size > 1_000) throw new Error(`${limiter.size} buckets`);
    }
    expect(limiter.size).toBeGreaterThan(400);
  });
});
