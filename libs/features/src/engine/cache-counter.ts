/** Where values are looked for: vectors and states of live reads, vectors of reads of the past. */
export type CacheTier = 'vector' | 'state' | 'as_of';

/** Tells metrics what caches come to; one call a read, tier and result. */
export interface CacheCounter {
  count(tier: CacheTier, result: 'hit' | 'miss', times: number): void;
}
