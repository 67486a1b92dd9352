import type { FeatureSet } from '../definitions/feature-view';

/** A version of a model that names a set, told by those who know models. */
export interface ConsumerRow {
  readonly model: string;
  readonly version: string;
  /** `name`, or `name@` and the first hexadecimal digits of its hash. */
  readonly set: string;
  /** Aliases that mean this version. */
  readonly aliases: readonly string[];
}

/** The same with the set that the name means. */
export interface SetConsumer extends Omit<ConsumerRow, 'set'> {
  readonly set: FeatureSet;
}
