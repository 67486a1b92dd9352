import { RegistrationQueue } from './registration-queue';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('RegistrationQueue', () => {
  it('lets one of the same key work at a time, in the order in which they came, whatever comes of them', async () => {
    const queue = new RegistrationQueue({ atOnce: 5, waiting: 5 });
    const log: string[] = [];
    let end: () => void = () => undefined;
    const first = queue.alone('a', async () => {
      await new Promise<void>((resolve) => (end = resolve));
      throw new Error('first failed');
    });
    const second = queue.alone('a', () => Promise.resolve(void log.push('second')));
    const other = queue.alone('b', () => Promise.resolve(void log.push('other')));
    first.catch(() => undefined);
    await other;
    expect(log).toEqual(['other']);
    end();
    await second;
    await expect(first).rejects.toThrow('first failed');
    expect(log).toEqual(['other', 'second']);
  });

  it('keeps nobody who was cancelled waiting, and does nothing for them; what has begun ends itself', async () => {
    const queue = new RegistrationQueue({ atOnce: 1, waiting: 5 });
    const cancelled = new AbortController();
    const log: string[] = [];
    let end: () => void = () => undefined;
    const begun = queue.alone('a', () => new Promise<void>((resolve) => (end = resolve)), cancelled.signal);
    const waiting = queue.alone('a', () => Promise.resolve(void log.push('waiting')), cancelled.signal);
    const after = queue.alone('a', () => Promise.resolve(void log.push('after')));
    await turn();
    const reason = new Error('cancelled');
    cancelled.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(log).toEqual([]);
    end();
    await Promise.all([begun, after]);
    expect(log).toEqual(['after']);
    const late = queue.alone('a', () => Promise.resolve(void log.push('late')), cancelled.signal);
    await expect(late).rejects.toBe(reason);
    await expect(queue.turn(() => Promise.resolve(), cancelled.signal)).rejects.toBe(reason);
    expect(log).toEqual(['after']);
  });
});
