/** Hot path. See docs/paths/predict.md. */
import type { Clock } from '@sibyl/kernel';
import type { LimitExchange } from './limit-exchange';

/** So many requests in so many seconds; the burst is the limit itself. */
export interface RateLimit {
  readonly requests: number;
  readonly seconds: number;
}

/** What a caller is told about a limit, in the words of the RateLimit header. */
export interface LimitState {
  /** Which limit: the key's own, its quota, or that on failures of an address. */
  readonly policy: 'key' | 'quota' | 'address';
  readonly limit: number;
  readonly seconds: number;
  readonly remaining: number;
  /** Seconds until all of the limit is there again. */
  readonly resetSeconds: number;
}

/** The answer to one try. */
export interface LimitDecision extends LimitState {
  readonly allowed: boolean;
  /** Seconds until the same try would be allowed; 0 when it was. */
  readonly retryAfterSeconds: number;
}

/** Fill is counted in units of 1/requests ms, so that all of it stays in whole numbers, exactly. */
interface Bucket {
  requests: number;
  seconds: number;
  fill: number;
  atMs: number;
}

/**
 * GCRA in its leaky-bucket form: each request pours in 1/limit of the bucket, which drains evenly. One small object a
 * key, no timers. Buckets live in two generations: when the young one is full it becomes the old one and what was not
 * touched since is forgotten, so at most `entries` are kept, and always the most recently used half of that.
 */
export class RateLimiter {
  private young = new Map<string, Bucket>();
  private old = new Map<string, Bucket>();
  private readonly generation: number;
  private exchange: LimitExchange | undefined = undefined;

  constructor(
    private readonly clock: Clock,
    entries: number,
    private readonly policy: 'key' | 'address' = 'key',
  ) {
    this.generation = Math.max(1, Math.floor(entries / 2));
  }

  /** Takes `cost` requests if they are there. */
  take(id: string, limit: RateLimit, cost = 1): LimitDecision {
    const bucket = this.bucketOf(id, limit) ?? this.addBucket(id, limit);
    const poured = bucket.fill + cost * 1_000 * bucket.seconds;
    const allowed = poured <= capacity(bucket);
    if (allowed) bucket.fill = poured;
    const decision = this.decision(bucket, allowed ? 0 : poured - capacity(bucket));
    if (allowed && this.exchange !== undefined)
      this.exchange.note({ policy: this.policy, id, ...limit, cost }, decision.remaining);
    return decision;
  }

  /** From here on other processes are told what is taken here. */
  shareWith(exchange: LimitExchange): void {
    this.exchange = exchange;
  }

  /** What another process has taken. It may be more than was left: then nothing is, until that has drained. */
  hear(id: string, limit: RateLimit, cost: number): void {
    const bucket = this.bucketOf(id, limit) ?? this.addBucket(id, limit);
    bucket.fill += cost * 1_000 * bucket.seconds;
    this.exchange?.review(this.policy, id, this.decision(bucket, 0).remaining);
  }

  /** The same without taking anything. */
  peek(id: string, limit: RateLimit): LimitState {
    return this.decision(this.bucketOf(id, limit) ?? { ...limit, fill: 0, atMs: 0 }, 0);
  }

  /** Buckets held now. */
  get size(): number {
    return this.young.size + this.old.size;
  }

  private decision(bucket: Bucket, excess: number): LimitDecision {
    return {
      allowed: excess === 0,
      policy: this.policy,
      limit: bucket.requests,
      seconds: bucket.seconds,
      remaining: Math.max(0, Math.floor((capacity(bucket) - bucket.fill) / (1_000 * bucket.seconds))),
      resetSeconds: Math.ceil(bucket.fill / bucket.requests / 1_000),
      retryAfterSeconds: Math.ceil(Math.ceil(excess / bucket.requests) / 1_000),
    };
  }

  private bucketOf(id: string, limit: RateLimit): Bucket | undefined {
    const bucket = this.young.get(id) ?? this.revive(id);
    if (bucket === undefined) return undefined;
    const now = Math.floor(this.clock.monotonic());
    bucket.fill = Math.max(0, bucket.fill - (now - bucket.atMs) * bucket.requests);
    bucket.atMs = now;
    if (bucket.requests !== limit.requests || bucket.seconds !== limit.seconds) resize(bucket, limit);
    return bucket;
  }

  private revive(id: string): Bucket | undefined {
    const bucket = this.old.get(id);
    if (bucket === undefined) return undefined;
    this.old.delete(id);
    this.keep(id, bucket);
    return bucket;
  }

  private addBucket(id: string, limit: RateLimit): Bucket {
    const bucket = {
      requests: limit.requests,
      seconds: limit.seconds,
      fill: 0,
      atMs: Math.floor(this.clock.monotonic()),
    };
    this.keep(id, bucket);
    return bucket;
  }

  private keep(id: string, bucket: Bucket): void {
    if (this.young.size >= this.generation) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(id, bucket);
  }
}

function capacity(bucket: Bucket): number {
  return bucket.requests * bucket.seconds * 1_000;
}

/** A changed limit keeps the requests that were already taken, so that changing it back and forth gains nothing. */
function resize(bucket: Bucket, limit: RateLimit): void {
  const taken = Math.ceil(bucket.fill / (1_000 * bucket.seconds));
  bucket.requests = limit.requests;
  bucket.seconds = limit.seconds;
  bucket.fill = Math.min(taken, limit.requests) * 1_000 * limit.seconds;
}
