import type { StreamDefinition, ValueRule } from '../definitions/feature-view';
import type { ExpressionEngine, Variable } from '../expressions/expression-engine';
import type { FeatureValue, ValueType } from '../feature-value';
import { isOfType } from '../value-of-type';
import { eventRules, type EventRules } from './event-rules';
import { ruleSet, type RuleSet } from './rule-set';
import type { RuleTally } from './rule-tally';
import { RuleFault, compileRule, type CompiledRule } from './value-rule';

/** One rule of a stream. Throws `RuleFault`. */
export function compileStreamRule(
  rule: ValueRule,
  stream: StreamDefinition,
  expressions: ExpressionEngine,
): CompiledRule {
  const index = rule.field === undefined ? undefined : stream.fields.findIndex(({ name }) => name === rule.field);
  const field = index === undefined ? undefined : stream.fields[index];
  if (index !== undefined && !field) throw new RuleFault('field', `'${stream.name}' has no field '${rule.field}'`);
  if (field && !field.nullable && rule.action === 'null') {
    throw new RuleFault('action', `'null' needs '${field.name}' to be nullable`);
  }
  const subject = { type: field?.type, field: index, variables: stream.fields, stream: true, default: undefined };
  return typed(compileRule(rule, subject, expressions), field?.type);
}

/** The rules of a stream, for what is pushed; undefined where it has none. */
export function compileStreamRules(
  view: string,
  stream: StreamDefinition,
  expressions: ExpressionEngine,
  tally: RuleTally,
): EventRules | undefined {
  return eventRules(
    stream.rules.map((rule) => {
      const compiled = compileStreamRule(rule, stream, expressions);
      const target = rule.field === undefined ? stream.name : `${stream.name}.${rule.field}`;
      const name = { view, target, rule: compiled.kind, action: rule.action };
      return {
        rule: compiled,
        line: tally.line(name, 'push'),
        field: rule.field === undefined ? undefined : stream.fields.findIndex((field) => field.name === rule.field),
        fieldName: rule.field,
      };
    }),
  );
}

/** What the rules of a feature are about. */
export interface RuledFeature {
  readonly name: string;
  readonly type: ValueType;
  readonly default: FeatureValue | undefined;
}

/** One rule of a feature. Throws `RuleFault`. */
export function compileFeatureRule(
  rule: ValueRule,
  feature: RuledFeature,
  expressions: ExpressionEngine,
): CompiledRule {
  const { type } = feature;
  const variables: readonly Variable[] = [{ name: 'value', type, nullable: false }];
  const subject = { type, field: undefined, variables, stream: false, default: feature.default };
  return typed(compileRule(rule, subject, expressions), type);
}

/** The rules of a feature, for what is served and for what requests give in its stead; undefined where it has none. */
export function compileFeatureRules(
  view: string,
  rules: readonly ValueRule[],
  feature: RuledFeature,
  expressions: ExpressionEngine,
  tally: RuleTally,
): RuleSet | undefined {
  return ruleSet(
    rules.map((rule) => {
      const compiled = compileFeatureRule(rule, feature, expressions);
      const name = { view, target: feature.name, rule: compiled.kind, action: rule.action };
      return { rule: compiled, line: tally.line(name, 'serve') };
    }),
  );
}

/** With a replacement that may stand where the value does. */
function typed(rule: CompiledRule, type: ValueType | undefined): CompiledRule {
  if (rule.action === 'default' && type !== undefined && !isOfType(rule.value, type)) {
    throw new RuleFault('value', `the value must be ${type}, as what it stands in for`);
  }
  return rule;
}
