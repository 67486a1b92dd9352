import { DomainError, type Pace } from '@sibyl/kernel';

/** Reads that take megabytes each: so many are at work. */
const AT_ONCE = 4;
/** And so many wait for their turn. */
const WAITING = 64;

/** Lets large reads through a few at a time, in the order in which they came. */
export class LargeReads {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  /** Throws queue_full where too many wait, and what the pace throws where nobody wants the answer any more when its turn comes. */
  async run<T>(work: () => Promise<T>, pace?: Pace): Promise<T> {
    const waits = this.running >= AT_ONCE;
    if (waits) await this.turn();
    else this.running += 1;
    try {
      if (waits) await pace?.next();
      return await work();
    } finally {
      const next = this.waiting.shift();
      // Whoever comes next has the seat of who goes.
      if (next) next();
      else this.running -= 1;
    }
  }

  private turn(): Promise<void> {
    if (this.waiting.length >= WAITING)
      throw new DomainError('queue_full', 'Too many large reads are waiting.', { retryAfterSeconds: 1 });
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}
