import { FakeClock } from '@sibyl/kernel/testing';
import { LogOptions } from './log-options';
import type { PendingEvent } from './pending-event';
import { PushQueue } from './push-queue';

const clock = new FakeClock();
const events = (count: number): PendingEvent[] =>
  Array.from({ length: count }, () => ({ json: '[1]', entity: 'e' }) as PendingEvent);
const queueOf = (options: Partial<LogOptions> = {}): PushQueue =>
  new PushQueue(clock, Object.assign(new LogOptions(), { queueEvents: 1000, callerEvents: 500, ...options }));

describe('the queue of pushes', () => {
  it('refuses a caller beyond its share, and everybody when it is full', async () => {
    const queue = queueOf();
    void queue.add('p', events(400));
    expect(() => queue.add('p', events(200))).toThrow(expect.objectContaining({ code: 'rate_limited' }) as Error);
    void queue.add('q', events(500));
    expect(() => queue.add('r', events(200))).toThrow(expect.objectContaining({ code: 'queue_full' }) as Error);
    const [first] = (await queue.take(100)) ?? [];
    if (first) queue.release(first);
    void queue.add('r', events(200));
    expect(queue.depth).toBe(700);
  });

  it('counts bytes as well as events', () => {
    const queue = queueOf({ queueBytes: 10_000 });
    void queue.add('p', events(20));
    expect(() => queue.add('q', events(20))).toThrow(expect.objectContaining({ code: 'queue_full' }) as Error);
  });

  it('leaves room for the bytes of others', () => {
    const queue = queueOf({ queueBytes: 20_000, callerBytes: 10_000 });
    void queue.add('p', events(20));
    expect(() => queue.add('p', events(20))).toThrow(expect.objectContaining({ code: 'rate_limited' }) as Error);
    void queue.add('q', events(20));
  });

  it('takes a push that is alone, however large it is', async () => {
    const queue = queueOf({ queueBytes: 10_000, callerBytes: 5_000 });
    void queue.add('p', events(100));
    expect(await queue.take(10, 1_000)).toHaveLength(1);
    expect(() => queue.add('q', events(1))).toThrow(expect.objectContaining({ code: 'queue_full' }) as Error);
  });

  it('gives no more bytes at one time than were asked for', async () => {
    const queue = queueOf();
    for (const count of [10, 10, 10]) void queue.add('p', events(count));
    expect(await queue.take(1000, 7_000)).toHaveLength(2);
    expect(await queue.take(1000, 7_000)).toHaveLength(1);
  });

  it('lets callers take turns, each in its own order', async () => {
    const queue = queueOf();
    for (const count of [10, 11, 12]) void queue.add('many', events(count));
    void queue.add('one', events(1));
    const taken = async (most: number): Promise<unknown> =>
      (await queue.take(most))?.map(({ caller, events: { length } }) => [caller, length]);
    expect(await taken(11)).toEqual([
      ['many', 10],
      ['one', 1],
    ]);
    void queue.add('one', events(2));
    expect(await taken(100)).toEqual([
      ['many', 11],
      ['one', 2],
      ['many', 12],
    ]);
  });

  it('gives whole pushes, the oldest first, up to about so many events', async () => {
    const queue = queueOf();
    for (const [i, count] of [200, 200, 300].entries()) void queue.add(`c${i}`, events(count));
    expect((await queue.take(450))?.map(({ caller }) => caller)).toEqual(['c0', 'c1']);
    expect((await queue.take(10))?.map(({ caller }) => caller)).toEqual(['c2']);
  });

  it('tells those that waited too long that nothing was stored', async () => {
    const queue = queueOf({ queueWaitMs: 1000 });
    const late = queue.add('p', events(1));
    clock.advance(1500);
    void queue.add('q', events(1));
    expect((await queue.take(10))?.map(({ caller }) => caller)).toEqual(['q']);
    await expect(late).rejects.toMatchObject({ code: 'queue_full' });
  });

  it('ends when it is closed and empty, and takes nothing more', async () => {
    const queue = queueOf();
    void queue.add('p', events(1));
    queue.close();
    expect(await queue.take(10)).toHaveLength(1);
    expect(await queue.take(10)).toBeUndefined();
    expect(() => queue.add('p', events(1))).toThrow(expect.objectContaining({ code: 'shutting_down' }) as Error);
  });
});
