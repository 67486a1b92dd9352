import type { EntityRule, StreamDefinition } from '../definitions/feature-view';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';

/** What the rules of a stream say of one event. */
export interface EventVerdict {
  /** The values to keep: rules may null, clamp or replace one. */
  readonly values: readonly FeatureValue[];
  /** Why the event is refused, for people; names no value. */
  readonly refusal?: string;
}

/** The rules of a stream on push, compiled. */
export interface EventChecks {
  /** Some rule compares with the event before: they can only be asked where that is known. */
  readonly comparing: boolean;
  /** `before`: the newest event that the new one follows. */
  check(
    values: readonly FeatureValue[],
    moment: { readonly at: Micros; readonly eventTime: Micros; readonly before?: readonly FeatureValue[] },
  ): EventVerdict;
}

/** A stream as the log knows it. */
export interface LoggedStream {
  /** Under which its events lie. */
  readonly id: number;
  readonly retentionClass: number;
  readonly definition: StreamDefinition;
  readonly entity: EntityRule;
  readonly checks?: EventChecks;
}

/** Streams by name, as the current versions of their views say them; in memory. */
export interface StreamCatalog {
  stream(name: string): LoggedStream | undefined;
  streamOfId(id: number): LoggedStream | undefined;
  streamNames(): readonly string[];
}
