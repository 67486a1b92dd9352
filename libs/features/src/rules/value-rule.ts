import type { RuleAction, ValueRule } from '../definitions/feature-view';
import type { ExpressionEngine, Variable } from '../expressions/expression-engine';
import { ExpressionFault } from '../expressions/expression-engine';
import { compileRegex } from '../expressions/regex';
import type { FeatureValue, ValueType } from '../feature-value';
import { isOfType } from '../value-of-type';
import type { RuleContext } from './rule-context';

/** A text longer than this over the steps of its pattern is not searched, and does not hold. */
const REGEX_STEPS_MAX = 1 << 16;
const SET_MAX = 1000;

export class RuleFault extends Error {
  constructor(
    /** The member of the rule that is wrong. */
    readonly member: string,
    message: string,
    /** Characters from the beginning of the expression. */
    readonly position?: number,
  ) {
    super(message);
  }
}

/** What a rule is about. */
export interface RuleSubject {
  /** Of the value; undefined for rules on whole events. */
  readonly type: ValueType | undefined;
  /** Index of the field in its stream; undefined for features. */
  readonly field: number | undefined;
  /** What an expression may name: `value` of a feature, or the fields of the stream. */
  readonly variables: readonly Variable[];
  /** A rule of a stream, which sees the event before. */
  readonly stream: boolean;
  /** The default of the feature, for the action of this name. */
  readonly default: FeatureValue | undefined;
}

/** One rule, checked. */
export interface CompiledRule {
  /** The word of the definition. */
  readonly kind: string;
  /** What it asks, for people. */
  readonly text: string;
  readonly action: RuleAction;
  /** For `default`. */
  readonly value: FeatureValue;
  /** What it says depends on more than the event: on the one before it, or on when it is asked. */
  readonly momentary: boolean;
  /** Compares with the event before. */
  readonly comparing: boolean;
  holds(value: FeatureValue, context: RuleContext): boolean;
  /** The nearest value that would hold. */
  clamp(value: number): number;
}

type Check = Pick<CompiledRule, 'kind' | 'text' | 'holds'> & {
  readonly momentary?: boolean;
  readonly comparing?: boolean;
};

/** Throws `RuleFault` where the rule does not fit what it is about. */
export function compileRule(rule: ValueRule, subject: RuleSubject, expressions: ExpressionEngine): CompiledRule {
  const check = checkOf(rule, subject, expressions);
  const { action } = rule;
  if (subject.type === undefined && action !== 'reject' && action !== 'warn') {
    throw new RuleFault('action', 'a rule on whole events can only reject or warn');
  }
  const bounds = rule.between;
  if (action === 'clamp' && (!bounds || bounds.exclusiveMin === true || bounds.exclusiveMax === true)) {
    throw new RuleFault('action', "'clamp' needs 'between' with bounds that the value may have");
  }
  const value = action === 'default' ? (rule.value ?? subject.default) : null;
  if (value === undefined) throw new RuleFault('value', "'default' needs a value");
  const { min = -Infinity, max = Infinity } = bounds ?? {};
  return {
    momentary: false,
    comparing: false,
    ...check,
    action,
    value,
    clamp: (from) => Math.min(Math.max(from, min), max),
  };
}

function checkOf(rule: ValueRule, subject: RuleSubject, expressions: ExpressionEngine): Check {
  if (rule.expression !== undefined) return expression(rule.expression, subject, expressions);
  const { type } = subject;
  if (type === undefined) throw new RuleFault('field', 'this rule is about a field: name it');
  if (rule.between) return between(rule.between, type);
  if (rule.inSet) return inSet(rule.inSet, type);
  if (rule.length) return length(rule.length, type);
  if (rule.regex !== undefined) return regex(rule.regex, type);
  if (rule.maxAge !== undefined) return maxAge(rule.maxAge);
  return comparing(rule, subject, type);
}

function between(bounds: NonNullable<ValueRule['between']>, type: ValueType): Check {
  needNumber(type, 'between');
  const { min = -Infinity, max = Infinity, exclusiveMin = false, exclusiveMax = false } = bounds;
  if (min > max || (min === max && (exclusiveMin || exclusiveMax))) {
    throw new RuleFault('between', 'no value lies between these');
  }
  const low = min === -Infinity ? [] : [`${exclusiveMin ? 'more than' : 'at least'} ${min}`];
  const high = max === Infinity ? [] : [`${exclusiveMax ? 'less than' : 'at most'} ${max}`];
  if (low.length + high.length === 0) throw new RuleFault('between', "'between' needs min or max");
  return {
    kind: 'between',
    text: [...low, ...high].join(' and '),
    holds: (value) => {
      const number = value as number;
      return (exclusiveMin ? number > min : number >= min) && (exclusiveMax ? number < max : number <= max);
    },
  };
}

function inSet(allowed: NonNullable<ValueRule['inSet']>, type: ValueType): Check {
  if (allowed.length === 0 || allowed.length > SET_MAX) throw new RuleFault('in_set', `1 to ${SET_MAX} values`);
  if (!allowed.every((value) => isOfType(value, type))) {
    throw new RuleFault('in_set', `its values are ${type}, as what it is about`);
  }
  const known = new Set<FeatureValue>(allowed);
  return { kind: 'in_set', text: `one of ${known.size} values`, holds: (value) => known.has(value) };
}

function length({ min = 0, max = Infinity }: NonNullable<ValueRule['length']>, type: ValueType): Check {
  needText(type, 'length');
  if (min > max) throw new RuleFault('length', 'no text is as long');
  const text = `${min}${max === Infinity ? ' or more' : ` to ${max}`} characters`;
  return { kind: 'length', text, holds: (value) => isBetween((value as string).length, min, max) };
}

function isBetween(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

function regex(pattern: string, type: ValueType): Check {
  needText(type, 'regex');
  let compiled;
  try {
    compiled = compileRegex(pattern);
  } catch (error) {
    throw new RuleFault('regex', error instanceof Error ? error.message : 'it cannot be read');
  }
  const { size, test } = compiled;
  const holds = (value: FeatureValue): boolean =>
    (value as string).length * size <= REGEX_STEPS_MAX && test(value as string);
  return { kind: 'regex', text: `text like ${pattern}`, holds };
}

function maxAge(age: number): Check {
  const holds = (_value: FeatureValue, { at, eventTime }: RuleContext): boolean =>
    eventTime === undefined || at - eventTime <= age;
  return { kind: 'max_age', text: `not older than ${age / 1_000_000} s`, holds, momentary: true };
}

/** Of rules that compare a field with the same field of the event before; they hold where there is none. */
function comparing(
  { monotonic, maxChange, unique }: ValueRule,
  { field, stream }: RuleSubject,
  type: ValueType,
): Check {
  const kind = unique === undefined ? (monotonic ? 'monotonic' : 'max_change') : 'unique';
  if (!stream || field === undefined) throw new RuleFault(kind, `'${kind}' is about fields of streams`);
  if (kind !== 'unique') needNumber(type, kind);
  const check = (text: string, compare: (value: never, before: never) => boolean): Check => ({
    ...{ kind, text, momentary: true, comparing: true },
    holds: (value, { before }) => {
      const old = before?.[field] ?? null;
      return old === null || compare(value as never, old as never);
    },
  });
  if (kind === 'unique') return check('another value than the event before', (value, before) => value !== before);
  if (monotonic === 'increasing') return check('more than before', (value: number, before: number) => value > before);
  if (monotonic) return check('not less than before', (value: number, before: number) => value >= before);
  if (maxChange === undefined) throw new RuleFault('', 'a rule has exactly one check');
  return check(
    `within ${maxChange} of before`,
    (value: number, before: number) => Math.abs(value - before) <= maxChange,
  );
}

/** As a check constraint of SQL: where a value that it needs is null, it holds. */
function expression(source: string, { variables, field, stream }: RuleSubject, engine: ExpressionEngine): Check {
  let compiled;
  try {
    compiled = engine.compile(source, variables, 'bool');
  } catch (error) {
    if (error instanceof ExpressionFault) throw new RuleFault('expression', error.message, error.position);
    throw error;
  }
  const slots = compiled.variables.map((name) => variables.findIndex((variable) => variable.name === name));
  const frame: FeatureValue[] = slots.map(() => null);
  const holds = (value: FeatureValue, { values }: RuleContext): boolean => {
    slots.forEach((slot, i) => {
      frame[i] = !stream || slot === field ? value : (values?.[slot] ?? null);
    });
    return compiled.evaluate(frame) !== false;
  };
  return { kind: 'expression', text: source, holds };
}

function needNumber(type: ValueType, kind: string): void {
  if (type !== 'double' && type !== 'int') throw new RuleFault(kind, `'${kind}' is about numbers, not ${type}`);
}

function needText(type: ValueType, kind: string): void {
  if (type !== 'string') throw new RuleFault(kind, `'${kind}' is about text, not ${type}`);
}
