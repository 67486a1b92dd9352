import type { OnlineRow } from '@sibyl/features';
import type { DomainError } from '@sibyl/kernel';
import type { FeatureAsk, FeatureCall } from '@sibyl/prediction';

/** A row as it is asked of the feature service. */
export interface Asked {
  readonly index: number;
  readonly ask: FeatureAsk;
  readonly row: OnlineRow;
  /** Undefined: now. */
  readonly at: number | undefined;
  /** The log does not reach back to the moment: what is said where the policy of the set does not do without values. */
  readonly beforeRetention: DomainError | undefined;
}

/** Rows of one call by the moment that they ask about. */
export interface Moments {
  readonly now: readonly Asked[];
  readonly past: ReadonlyMap<number, readonly Asked[]>;
  /** Those that give all themselves, by their index. */
  readonly whole: ReadonlyMap<number, FeatureAsk>;
  readonly call: FeatureCall;
}

export function rowsOf(asked: readonly Asked[]): readonly OnlineRow[] {
  return asked.map(({ row }) => row);
}
