import { DomainError } from '@sibyl/kernel';

export interface AtOnceLimits {
  /** What the work is called in an answer: `backfills`. */
  readonly what: string;
  readonly inAll: number;
  /** Of one key: fewer, so that another one finds room. */
  readonly ofOne: number;
  readonly retryAfterSeconds: number;
}

/** Work of which this process does only so much at once. */
export class AtOnce {
  private running = 0;
  private readonly keys = new Map<string, number>();

  constructor(private readonly limits: AtOnceLimits) {}

  /** Takes a place, or throws rate_limited or queue_full; what it answers gives the place back, once. */
  enter(key: string): () => void {
    const { what, inAll, ofOne, retryAfterSeconds } = this.limits;
    const own = this.keys.get(key) ?? 0;
    if (own >= ofOne)
      throw new DomainError('rate_limited', `${own} of your ${what} are under way.`, { retryAfterSeconds });
    if (this.running >= inAll)
      throw new DomainError('queue_full', `${this.running} ${what} are under way.`, { retryAfterSeconds });
    this.keys.set(key, own + 1);
    this.running++;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.leave(key);
    };
  }

  private leave(key: string): void {
    this.running--;
    const left = (this.keys.get(key) ?? 0) - 1;
    if (left > 0) this.keys.set(key, left);
    else this.keys.delete(key);
  }
}
