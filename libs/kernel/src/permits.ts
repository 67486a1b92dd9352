import type { DomainError } from './domain-error';

interface Waiter {
  readonly go: () => void;
  readonly reject: (error: unknown) => void;
}

export interface PermitLimits {
  readonly atOnce: number;
  readonly waiting: number;
  /** What those are told for whom there is no room to wait. */
  readonly full: (waiting: number) => DomainError;
}

/** So much work at once, and so many that may wait for it. */
export class Permits {
  private running = 0;
  private readonly waiting: Waiter[] = [];
  private closed: Error | undefined;

  constructor(private readonly limits: PermitLimits) {}

  /** Runs `work` when there is room. Whoever gives up waiting, by the signal, takes no turn. */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.acquire(signal);
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

  private async acquire(signal: AbortSignal | undefined): Promise<void> {
    if (this.closed !== undefined) throw this.closed;
    signal?.throwIfAborted();
    const { atOnce, waiting, full } = this.limits;
    if (this.running < atOnce) {
      this.running++;
      return;
    }
    if (this.waiting.length >= waiting) throw full(this.waiting.length);
    await this.wait(signal);
  }

  private wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.waiting.splice(this.waiting.indexOf(waiter), 1);
        reject(signal?.reason as Error);
      };
      const end =
        <A extends unknown[]>(settle: (...args: A) => void) =>
        (...args: A): void => {
          signal?.removeEventListener('abort', leave);
          settle(...args);
        };
      const waiter: Waiter = { go: end(resolve), reject: end(reject) };
      this.waiting.push(waiter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }
}
