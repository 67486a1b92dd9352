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

export interface EventMoment {
  readonly at: Micros;
  readonly eventTime: Micros;
  readonly before?: readonly FeatureValue[] | undefined;
  readonly after?: readonly FeatureValue[] | undefined;
}

/** The rules of a stream, applied to events as they are pushed. */
export interface EventRules {
  /** Some rule compares with the event before: they are asked with what stands beside the event. */
  readonly comparing: boolean;
  /** `before`: the values of the event that the new one follows. `after`: of the one that follows it, which it must let follow. */
  check(values: readonly FeatureValue[], moment: EventMoment): EventVerdict;
  /** Whether what lies in the log as `stored` may have come as `given`: all fields but those of which that cannot be known. */
  mayBe(given: readonly FeatureValue[], stored: readonly FeatureValue[]): boolean;
}

/** Rules on one field each, or on whole events (`field` undefined), in the order of the definition. */
export interface StreamRule extends TalliedRule {
  readonly field: number | undefined;
  readonly fieldName: string | undefined;
}

export function eventRules(rules: readonly StreamRule[]): EventRules | undefined {
  if (rules.length === 0) return undefined;
  const steps = rules.map((rule) => ({ ...rule, rules: [rule] }));
  const strict = rules.filter(({ rule }) => rule.comparing && rule.action === 'reject');
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
      const refusal = moment.after && refusedByNext(strict, values, moment.after, moment);
      return refusal === undefined ? { values } : { values, refusal };
    },
    mayBe: (given, stored) => {
      const { values, unknown } = changed(rules, given);
      return isSame(values, stored, unknown);
    },
  };
}

/** Why the event after it, which is there already, could not follow these values. */
function refusedByNext(
  rules: readonly StreamRule[],
  before: readonly FeatureValue[],
  after: readonly FeatureValue[],
  { at }: EventMoment,
): string | undefined {
  for (const { rule, line, field = 0, fieldName } of rules) {
    const value = after[field] ?? null;
    if (value === null || rule.holds(value, { at, values: after, before })) continue;
    line.add(before[field], { at });
    return `${fieldName}: ${rule.text}, also for the event after it`;
  }
  return undefined;
}

/** Fields that the log does not have came before the stream got them. */
export function isSame(
  given: readonly FeatureValue[],
  stored: readonly FeatureValue[],
  except?: ReadonlySet<number>,
): boolean {
  return given.every((value, field) => except?.has(field) === true || value === (stored[field] ?? null));
}

/** What rules make of values that are stored, as far as that depends on the values alone; tallies nothing. */
function changed(
  rules: readonly StreamRule[],
  given: readonly FeatureValue[],
): { values: readonly FeatureValue[]; unknown: ReadonlySet<number> } {
  const values = [...given];
  const unknown = new Set<number>();
  for (const { rule, field } of rules) {
    // The others refuse the event, which was not, or change nothing.
    if (field === undefined || rule.action === 'reject' || rule.action === 'warn') continue;
    const value = values[field] ?? null;
    if (value === null || unknown.has(field)) continue;
    if (rule.momentary || (rule.kind === 'expression' && unknown.size > 0)) unknown.add(field);
    else if (!rule.holds(value, { at: 0, values }))
      values[field] = rule.action === 'clamp' ? rule.clamp(value as number) : rule.value;
  }
  return { values, unknown };
}
