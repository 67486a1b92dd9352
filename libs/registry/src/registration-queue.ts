import { DomainError, Permits } from '@sibyl/kernel';

export interface QueueLimits {
  readonly atOnce: number;
  readonly waiting: number;
}

/** Lets a few registrations run at once, and never two of the same version. Those that are cancelled wait no longer. */
export class RegistrationQueue {
  private readonly permits: Permits;
  private readonly tails = new Map<string, Promise<unknown>>();

  constructor(limits: QueueLimits) {
    const full = (): DomainError =>
      new DomainError('queue_full', 'Too many models are being registered at once.', { retryAfterSeconds: 10 });
    this.permits = new Permits({ ...limits, full });
  }

  /** Runs `work` when there is room; queue_full when too many wait already. */
  turn<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.permits.run(work, signal);
  }

  /** Runs `work` after all earlier work of the same key. Only those who have a turn come here, so few ever wait. */
  async alone<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.tails.get(key) ?? Promise.resolve();
    let begun = false;
    const mine = before.then(() => {
      signal?.throwIfAborted();
      begun = true;
      return work();
    });
    const tail = mine.catch(() => undefined);
    this.tails.set(key, tail);
    void tail.then(() => this.tails.get(key) === tail && this.tails.delete(key));
    if (signal === undefined) return mine;
    // What has begun ends by itself, in its own time: only waiting is given up.
    const gaveUp = new Promise<never>((_, reject) => {
      const leave = (): void => void (begun || reject(signal.reason as Error));
      signal.addEventListener('abort', leave, { once: true });
      void tail.then(() => signal.removeEventListener('abort', leave));
      if (signal.aborted) leave();
    });
    return Promise.race([mine, gaveUp]);
  }
}
