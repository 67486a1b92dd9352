import { DomainError } from './domain-error';
import { Permits } from './permits';

const permitsFor = (atOnce: number, waiting: number): Permits =>
  new Permits({ atOnce, waiting, full: (many) => new DomainError('queue_full', `${many} wait`) });

describe('Permits', () => {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('lets so many run at once, and the next when one ends, however it ends', async () => {
    const permits = permitsFor(1, 5);
    const log: string[] = [];
    const gates: (() => void)[] = [];
    const work = (name: string) => async (): Promise<void> => {
      log.push(name);
      await new Promise<void>((resolve) => gates.push(resolve));
      if (name === 'a') throw new Error('a failed');
    };
    const a = permits.run(work('a')).catch((error: Error) => error.message);
    const b = permits.run(work('b'));
    await turn();
    expect(log).toEqual(['a']);
    gates.shift()!();
    expect(await a).toBe('a failed');
    await turn();
    expect(log).toEqual(['a', 'b']);
    gates.shift()!();
    await b;
    await permits.run(() => Promise.resolve());
  });

  it('refuses those for whom there is no room to wait, and all once it is closed', async () => {
    const permits = permitsFor(1, 1);
    let end: () => void = () => undefined;
    const running = permits.run(() => new Promise<void>((resolve) => (end = resolve)));
    const waiting = permits.run(() => Promise.resolve());
    await expect(permits.run(() => Promise.resolve())).rejects.toMatchObject({ code: 'queue_full' });
    permits.close(new Error('closing'));
    await expect(waiting).rejects.toThrow('closing');
    await expect(permits.run(() => Promise.resolve())).rejects.toThrow('closing');
    end();
    await running;
  });
  it('lets whoever gives up waiting go at once, and its turn to the next', async () => {
    const permits = permitsFor(1, 2);
    let end: () => void = () => undefined;
    const running = permits.run(() => new Promise<void>((resolve) => (end = resolve)));
    const impatient = new AbortController();
    const done: string[] = [];
    const first = permits.run(() => Promise.resolve(void done.push('first')), impatient.signal);
    const second = permits.run(() => Promise.resolve(void done.push('second')), new AbortController().signal);
    impatient.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    // Its place to wait is free again.
    const third = permits.run(() => Promise.resolve(void done.push('third')));
    end();
    await Promise.all([running, second, third]);
    expect(done).toEqual(['second', 'third']);
    await expect(permits.run(() => Promise.resolve(), impatient.signal)).rejects.toThrow('enough');
    await permits.run(() => Promise.resolve());
  });
});
