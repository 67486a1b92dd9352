import { DomainError } from '@sibyl/kernel';

/** The fields of InferenceOptions that say when a version has ended too many runners. */
export interface BreakerLimits {
  readonly crashesInARow: number;
  readonly crashesMost: number;
  readonly crashWindowMs: number;
  readonly crashCoolDownMs: number;
}

/**
 * Keeps a version that ends its runners away from them: after too many losses that are to be blamed on it, its requests are
 * refused for a while; then one may try, and its answer opens the way for all. What a single request is to blame for counts
 * too, but an answer in between shows that it was that request: only losses in a row, or very many, are the version's.
 */
export class CrashBreaker {
  /** Read for each request. */
  open = false;
  private trying = false;
  private tryAt = 0;
  /** Monotonic ms of the losses in the window, the oldest first: at most as many as are allowed. */
  private losses: number[] = [];
  private inARow = 0;
  /** The last time that it was loaded somewhere, that runner ended, and perhaps for another reason. */
  private suspected = false;

  constructor(private readonly limits: BreakerLimits) {}

  /** Whether runners may load and run it. */
  get blocks(): boolean {
    return this.open && !this.trying;
  }

  /** Why a request is refused while it is open; undefined for the one that tries. */
  admit(now: number): DomainError | undefined {
    if (now < this.tryAt) return this.refusal(now);
    // If nothing comes of it, for it may hang up, the next one tries after another cool-down.
    this.tryAt = now + this.limits.crashCoolDownMs;
    this.trying = true;
    return undefined;
  }

  refusal(now: number): DomainError {
    const retryAfterSeconds = Math.max(1, Math.ceil((this.tryAt - now) / 1000));
    return new DomainError('model_not_ready', this.reason, { retryAfterSeconds });
  }

  /** In words for callers. */
  get reason(): string {
    return 'The model has ended the processes that ran it several times; it is tried again in a while.';
  }

  /** A loss that is to be blamed on the version or on one of its requests; true where that opens it. */
  lost(now: number): boolean {
    const { crashesInARow, crashesMost, crashWindowMs, crashCoolDownMs } = this.limits;
    this.losses.push(now);
    this.losses = this.losses.filter((at) => at > now - crashWindowMs);
    this.inARow = Math.min(this.inARow + 1, this.losses.length);
    const failed = this.open ? this.trying : this.inARow >= crashesInARow || this.losses.length >= crashesMost;
    if (!failed) return false;
    this.open = true;
    this.trying = false;
    this.tryAt = now + crashCoolDownMs;
    return true;
  }

  /** A runner ended while it loaded the version. Once may be by chance if `mayBeChance`, twice in a row is not. */
  lostInLoad(now: number, mayBeChance: boolean): boolean {
    const chance = mayBeChance && !this.suspected;
    this.suspected = chance;
    return !chance && this.lost(now);
  }

  loaded(): void {
    this.suspected = false;
  }

  /** Hot: a runner has answered a batch of it; true where that closes it. */
  survived(): boolean {
    if (this.inARow === 0) return false;
    // What still ran when it opened says nothing about the attempt.
    if (this.blocks) return false;
    this.inARow = 0;
    if (!this.open) return false;
    this.open = false;
    this.trying = false;
    this.losses = [];
    return true;
  }
}
