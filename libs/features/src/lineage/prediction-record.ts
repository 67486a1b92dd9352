import type { ValueStatus } from '../feature-value';

/** What a prediction was made from, as its record says, told by those who keep it. */
export interface PredictionRecord {
  readonly id: string;
  readonly occurredAt: string;
  readonly model: RecordedModel;
  /** Of its row; absent where the request gave them all. */
  readonly features?: RecordedFeatures | undefined;
  /** `name@` and the hash of the set, where that is all that is kept. */
  readonly set?: string | undefined;
  /** What the request gave, by name. */
  readonly given: Readonly<Record<string, unknown>>;
  /** Features for which a default stood in, or a value that was too old. */
  readonly substituted: readonly string[];
}

export interface RecordedModel {
  readonly name: string;
  readonly version?: string | undefined;
  readonly digest?: string | undefined;
  /** By which it was asked for. */
  readonly alias?: string | undefined;
}

/** The features of one row of a prediction. */
export interface RecordedFeatures {
  /** `name@` and the hash. */
  readonly set: string;
  readonly at: string;
  readonly knownAt?: string | undefined;
  /** By the names of members; null is missing. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Those other than PRESENT. */
  readonly statuses: Readonly<Record<string, ValueStatus>>;
  /** What the request gave, by `view:feature`. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly streams: readonly RecordedStream[];
}

export interface RecordedStream {
  readonly stream: string;
  readonly entity: string;
  readonly eventId?: string | undefined;
  readonly eventTime?: string | undefined;
  readonly ingestedAt?: string | undefined;
}
