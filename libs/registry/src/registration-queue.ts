import { DomainError } from '@sibyl/kernel';

export interface QueueLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

/** Lets a few registrations run at once, and never two of the same version. */
export class RegistrationQueue {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly tails = new Map<string, Promise<unknown>>();

  constructor(private readonly limits: QueueLimits) {}

  /** Runs `work` when there is room; queue_full when too many wait already. */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    await this.enter();
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  /** Runs `work` after all earlier work of the same key. Only those who have a turn come here, so few ever wait. */
  async alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    const mine = before.then(work);
    const tail = mine.catch(() => undefined);
    this.tails.set(key, tail);
    try {
      return await mine;
    } finally {
      if (this.tails.get(key) === tail) this.tails.delete(key);
    }
  }

  private enter(): Promise<void> {
    if (this.running < this.limits.atOnce) {
      this.running++;
      return Promise.resolve();
    }
    if (this.waiting.length >= this.limits.waiting) {
      throw new DomainError('queue_full', 'Too many models are being registered at once.', { retryAfterSeconds: 10 });
    }
    return new Promise((start) => this.waiting.push(start));
  }
}
