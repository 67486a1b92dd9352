import type { DomainError } from '@sibyl/kernel';

export type OperationStatus = 'running' | 'succeeded' | 'failed' | 'cancelled';

/** Work that outlives the request that began it. */
export interface Operation {
  readonly id: string;
  /** `noun.verb`, like the event of the request. */
  readonly kind: string;
  /** Id of the key that began it; others need `ops:read`. */
  readonly keyId: string;
  readonly startedAtMs: number;
  readonly status: OperationStatus;
  /** Steps done, of how many, and the one that is under way. */
  readonly progress: { readonly done: number; readonly total: number; readonly what?: string };
  readonly endedAtMs?: number;
  readonly result?: unknown;
  readonly error?: DomainError;
}
