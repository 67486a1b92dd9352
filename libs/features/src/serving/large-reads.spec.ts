import { LargeReads } from './large-reads';

describe('LargeReads', () => {
  /** Work that ends when it is told to. */
  class Work {
    begun = false;
    end: () => void = () => undefined;
    readonly run = async (): Promise<void> => {
      this.begun = true;
      await new Promise<void>((resolve) => (this.end = resolve));
    };
  }
  const turns = async (): Promise<void> => void (await new Promise((resolve) => setImmediate(resolve)));

  it('lets four through, and then one for each that ends, in their order', async () => {
    const reads = new LargeReads();
    const works = Array.from({ length: 6 }, () => new Work());
    const ended = works.map(({ run }) => reads.run(run));
    const begun = (): number => works.filter((work) => work.begun).length;
    await turns();
    expect(begun()).toBe(4);
    works[1]?.end();
    await turns();
    expect([begun(), works[4]?.begun]).toEqual([5, true]);
    // Whoever comes now finds no seat free, and waits behind the sixth.
    works.push(new Work());
    ended.push(reads.run((works[6] as Work).run));
    await turns();
    expect(begun()).toBe(5);
    for (const work of works) {
      work.end();
      await turns();
    }
    for (const work of works) work.end();
    await Promise.all(ended);
  });

  it('asks again whether an answer is wanted when its turn comes, and gives the seat on where it is not', async () => {
    const reads = new LargeReads();
    const works = Array.from({ length: 4 }, () => new Work());
    const ended = works.map(({ run }) => reads.run(run));
    const gone = reads.run(() => Promise.resolve('read'), {
      due: false,
      next: () => Promise.reject(new Error('gone')),
    });
    const next = reads.run(() => Promise.resolve('read'));
    await turns();
    works[0]?.end();
    await expect(gone).rejects.toThrow('gone');
    await expect(next).resolves.toBe('read');
    for (const work of works) work.end();
    await Promise.all(ended);
  });

  it('gives the seat of one that failed to the next', async () => {
    const reads = new LargeReads();
    for (let i = 0; i < 10; i++) await expect(reads.run(() => Promise.reject(new Error('broken')))).rejects.toThrow();
    await expect(reads.run(() => Promise.resolve('read'))).resolves.toBe('read');
  });

  it('refuses what would wait behind too many', async () => {
    const reads = new LargeReads();
    const works = Array.from({ length: 68 }, () => new Work());
    const ended = works.map(({ run }) => reads.run(run));
    await expect(reads.run(() => Promise.resolve())).rejects.toMatchObject({ code: 'queue_full' });
    for (let i = 0; i < works.length; i++) {
      works[i]?.end();
      await turns();
    }
    await Promise.all(ended);
  });
});
