import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import type { RuleContext } from './rule-context';
import { applyRules, type TalliedRule } from './rule-set';

/** What the rules of a stream say of one event. */
export interface EventVerdict {
  /** The values to keep: the very ones that came, unless a rule nulled, clamped or replaced one. */
  readonly values: readonly FeatureValue[];
  /** Why the event is refused, for people; names no value. */
  readonly refusal?: string;
}

/** The rules of a stream, applied to events as they are pushed. */
export interface EventRules {
  /** Some rule compares with the event before: they can only be asked where that is known. */
  readonly comparing: boolean;
  /** `before`: the values of the newest event that the new one follows. */
  check(
    values: readonly FeatureValue[],
    moment: { readonly at: Micros; readonly eventTime: Micros; readonly before?: readonly FeatureValue[] },
  ): EventVerdict;
}

/** Rules on one field each, or on whole events (`field` undefined), in the order of the definition. */
export interface StreamRule extends TalliedRule {
  readonly field: number | undefined;
  readonly fieldName: string | undefined;
}

export function eventRules(rules: readonly StreamRule[]): EventRules | undefined {
  if (rules.length === 0) return undefined;
  const steps = rules.map((rule) => ({ ...rule, rules: [rule] }));
  return {
    comparing: rules.some(({ rule }) => rule.comparing),
    check: (given, moment) => {
      let values = given;
      for (const { field, fieldName, rules: one } of steps) {
        const value = field === undefined ? undefined : (values[field] ?? null);
        if (value === null) continue;
        const context: RuleContext = { ...moment, values };
        const { action, value: instead, reason } = applyRules(one, value as FeatureValue, context);
        if (action === 'reject')
          return { values, refusal: fieldName === undefined ? (reason ?? '') : `${fieldName}: ${reason}` };
        if (action === undefined || field === undefined) continue;
        if (values === given) values = [...given];
        (values as FeatureValue[])[field] = instead;
      }
      return { values };
    },
  };
}
