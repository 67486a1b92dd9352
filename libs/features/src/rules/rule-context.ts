import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';

/** What a rule may know beside the value itself. */
export interface RuleMoment {
  /** Now on push, the time that is asked about on serve and request. */
  readonly at: Micros;
  /** Of the event that the value came with, or of the newest event behind a computed one; absent: `max_age` does not ask. */
  readonly eventTime?: Micros;
  /** The value came with a request, in the stead of what would be served. */
  readonly given?: boolean;
}

/** What the checks of a rule look at beside the value. */
export interface RuleContext extends RuleMoment {
  /** All values of the event, in the order of the fields of its stream. */
  readonly values?: readonly FeatureValue[];
  /** Those of the event before it. */
  readonly before?: readonly FeatureValue[] | undefined;
}
