import { DomainError } from '@sibyl/kernel';

interface Waiter {
  readonly go: () => void;
  readonly reject: (error: Error) => void;
}

/** So many trials at once, and so many that may wait. */
export class TrialPermits {
  private running = 0;
  private waiting: Waiter[] = [];
  private closed: Error | undefined;

  constructor(
    private readonly most: number,
    private readonly mostWaiting: number,
  ) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.acquire();
    try {
      return await work();
    } finally {
      // The permit goes to the next in line, or back.
      const next = this.waiting.shift();
      if (next === undefined) this.running--;
      else next.go();
    }
  }

  /** Refuses those that wait and all that come. */
  close(error: Error): void {
    this.closed = error;
    for (const waiter of this.waiting.splice(0)) waiter.reject(error);
  }

  private acquire(): Promise<void> {
    if (this.closed !== undefined) return Promise.reject(this.closed);
    if (this.running < this.most) {
      this.running++;
      return Promise.resolve();
    }
    if (this.waiting.length >= this.mostWaiting) {
      return Promise.reject(
        new DomainError('queue_full', `${this.waiting.length} models wait for their trial already.`),
      );
    }
    return new Promise((go, reject) => this.waiting.push({ go, reject }));
  }
}
