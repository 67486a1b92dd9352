import type { FeatureValue } from '../feature-value';
import type { RuleAction } from '../definitions/feature-view';
import type { Micros } from '../time';

/** What a rule may know beside the value itself. */
export interface RuleMoment {
  /** Now on push, the time that is asked about on serve and request. */
  readonly at: Micros;
  /** Of the event that the value came with, or of the newest event behind a computed one; absent: `max_age` does not ask. */
  readonly eventTime?: Micros;
  /** Values that came before it, oldest first: what `monotonic`, `max_change` and `unique` compare with. */
  readonly before?: readonly FeatureValue[];
}

/** What became of a value. `action` is absent where every rule held. */
export interface RuleOutcome {
  readonly value: FeatureValue;
  /** The action of the last rule that did not hold and is no warning; `reject` ends the matter. */
  readonly action?: Exclude<RuleAction, 'warn'>;
  /** What the rule that refused or changed it asks, for people: `between 0 and 100`. Names no value. */
  readonly reason?: string;
  readonly warned: boolean;
}

/** The rules of one feature or field, compiled. */
export interface RuleSet {
  /** Applies them in their order; tallies those that do not hold. An outcome without an action is one shared object a value type. */
  apply(value: FeatureValue, moment: RuleMoment): RuleOutcome;
}
