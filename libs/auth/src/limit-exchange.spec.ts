import { FakeClock } from '@sibyl/kernel/testing';
import { LimitExchange, type Taking } from './limit-exchange';
import { RateLimiter, type RateLimit } from './rate-limiter';

/** Limiters of several processes whose takings reach each other when the test says so. */
class Processes {
  readonly limiters: RateLimiter[];
  /** What is on its way: from which process, and what. */
  readonly sent: { readonly from: number; readonly takings: readonly Taking[] }[] = [];

  constructor(count: number, clock = new FakeClock()) {
    this.limiters = Array.from({ length: count }, (_, from) => {
      const limiter = new RateLimiter(clock, 1_000);
      limiter.shareWith(new LimitExchange(count, (takings) => this.sent.push({ from, takings })));
      return limiter;
    });
  }

  /** Everything that was sent arrives. */
  deliver(): void {
    for (const { from, takings } of this.sent.splice(0))
      for (const limiter of this.limiters.filter((_, to) => to !== from))
        for (const taking of takings) if (taking.policy !== 'quota') limiter.hear(taking.id, taking, taking.cost);
  }

  allowed(process: number, limit: RateLimit, tries: number): number {
    let count = 0;
    for (let i = 0; i < tries; i++) if (this.limiters[process]!.take('k', limit).allowed) count++;
    return count;
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('limits that processes share', () => {
  it('are one limit when takings arrive before the next request', async () => {
    const processes = new Processes(3);
    let allowed = 0;
    for (let i = 0; i < 60; i++) {
      allowed += processes.allowed(i % 3, { requests: 20, seconds: 3600 }, 1);
      await nextTurn();
      processes.deliver();
    }
    expect(allowed).toBe(20);
  });

  it('tell at once when what is untold everywhere might not fit into what is left, and not before', async () => {
    const processes = new Processes(2);
    const limit = { requests: 100, seconds: 3600 };
    // 20 here and as many there are half of what is left.
    expect(processes.allowed(0, limit, 20)).toBe(20);
    await nextTurn();
    expect(processes.sent).toEqual([]);
    expect(processes.allowed(0, limit, 1)).toBe(1);
    await nextTurn();
    expect(processes.sent).toEqual([{ from: 0, takings: [{ policy: 'key', id: 'k', ...limit, cost: 21 }] }]);
    // Told is told.
    await nextTurn();
    expect(processes.sent).toHaveLength(1);
  });

  it('tell the rest in a moment', async () => {
    const processes = new Processes(2);
    processes.allowed(0, { requests: 1000, seconds: 1 }, 3);
    while (processes.sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(processes.sent[0]?.takings).toMatchObject([{ id: 'k', cost: 3 }]);
  });

  it('are missing afterwards what was granted too much at the same moment', async () => {
    const clock = new FakeClock();
    const processes = new Processes(2, clock);
    const limit = { requests: 10, seconds: 10 };
    expect(processes.allowed(0, limit, 20) + processes.allowed(1, limit, 20)).toBe(20);
    await nextTurn();
    processes.deliver();
    let allowed = 20;
    for (let second = 1; second <= 30; second++) {
      clock.advance(1_000);
      for (const process of [0, 1]) {
        allowed += processes.allowed(process, limit, 5);
        await nextTurn();
        processes.deliver();
      }
    }
    // A burst of 10 and 30 more in 30 seconds, as if there were one process.
    expect(allowed).toBe(40);
  });

  it('say that nothing is left, never less', async () => {
    const processes = new Processes(2);
    const limit = { requests: 5, seconds: 3600 };
    processes.allowed(0, limit, 5);
    processes.allowed(1, limit, 5);
    await nextTurn();
    processes.deliver();
    expect(processes.limiters[0]!.peek('k', limit).remaining).toBe(0);
    expect(processes.limiters[0]!.take('k', limit)).toMatchObject({ allowed: false, remaining: 0 });
  });
});
