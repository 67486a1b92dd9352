import type { FieldFault } from '@sibyl/kernel';
import type { ValueType } from '../feature-value';
import { compileFeatureRule, compileFeatureRules, type RuledFeature } from '../rules/compile-rules';
import type { RuleSet } from '../rules/rule-set';
import { RuleFault } from '../rules/value-rule';
import { isOfType } from '../value-of-type';
import type { LinkerParts } from './definition-parts';
import { ofRule } from './expression-faults';
import type { FeatureDraft } from './feature-draft';

/**
 * Rules and default of a feature, checked against its type, which is undefined where it is not one value: a list, or outputs of
 * several types.
 */
export function linkRules(
  view: string,
  draft: FeatureDraft,
  type: ValueType | undefined,
  { expressions, tally }: LinkerParts,
  fault: (member: string, fault: Omit<FieldFault, 'pointer'>) => void,
): { readonly rules?: RuleSet } {
  const { name, rules, default: value } = draft;
  if (value !== undefined && (type === undefined || !isOfType(value, type))) {
    fault('default', {
      expected: type === undefined ? 'no default: the feature is not one value' : `a value of type ${type}`,
    });
  }
  if (rules.length === 0) return {};
  if (type === undefined) {
    fault('rules', { expected: 'no rules: the feature is not one value' });
    return {};
  }
  const feature: RuledFeature = { name, type, default: value };
  let sound = true;
  rules.forEach((rule, i) => {
    try {
      compileFeatureRule(rule, feature, expressions);
    } catch (error) {
      if (!(error instanceof RuleFault)) throw error;
      sound = false;
      fault(`rules/${i}${error.member === '' ? '' : `/${error.member}`}`, ofRule(error));
    }
  });
  const compiled = sound ? compileFeatureRules(view, rules, feature, expressions, tally) : undefined;
  return compiled ? { rules: compiled } : {};
}
