import type { RuleAction } from '../definitions/feature-view';
import type { FeatureValue } from '../feature-value';
import type { RuleContext, RuleMoment } from './rule-context';
import type { CompiledRule } from './value-rule';
import type { TallyLine } from './rule-tally';

/** What became of a value. */
export interface RuleOutcome {
  /** Absent where every rule held, or only warned. */
  readonly action?: Exclude<RuleAction, 'warn'>;
  /** What stands in for the value, where there is an action; null for `reject` and `null`. */
  readonly value: FeatureValue;
  /** What the rule asks, for people: `between 0 and 100`. Names no value. */
  readonly reason?: string;
}

/** The rules of one feature, compiled. */
export interface RuleSet {
  /**
   * Applies them in their order to a value that is not null, and tallies those that do not hold. The first that refuses, nulls or
   * replaces the value ends the matter; after `clamp` and `warn` the next is asked.
   */
  apply(value: FeatureValue, moment: RuleMoment): RuleOutcome;
}

const HELD: RuleOutcome = Object.freeze({ value: null });

/** `values` are those of the whole event, for rules on a stream. */
export function applyRules(rules: readonly TalliedRule[], value: FeatureValue, context: RuleContext): RuleOutcome {
  let present = value;
  let clamped: RuleOutcome | undefined;
  for (const { rule, line } of rules) {
    if (rule.holds(present, context)) continue;
    line.add(present, context);
    if (rule.action === 'warn') continue;
    const { action, text: reason } = rule;
    if (action !== 'clamp') return { action, value: action === 'default' ? rule.value : null, reason };
    present = rule.clamp(present as number);
    clamped = { action, value: present, reason };
  }
  return clamped ?? HELD;
}

export interface TalliedRule {
  readonly rule: CompiledRule;
  readonly line: TallyLine;
}

/** The rules of a feature; undefined where it has none. */
export function ruleSet(rules: readonly TalliedRule[]): RuleSet | undefined {
  return rules.length === 0 ? undefined : { apply: (value, moment) => applyRules(rules, value, moment) };
}
