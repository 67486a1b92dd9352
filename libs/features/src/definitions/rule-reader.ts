import type { FeatureValue } from '../feature-value';
import type { RuleAction, ValueRule } from './feature-view';
import type { ObjectReader } from './object-reader';
import { PATTERN_MAX } from '../expressions/regex';

const RULES_MAX = 64;
const SET_MAX = 1000;
const EXPRESSION_MAX = 4096;
const CHECKS = ['between', 'in_set', 'length', 'regex', 'monotonic', 'max_change', 'max_age', 'unique', 'expression'];
/** What checks are called elsewhere, and what is so without one. */
const CHECKS_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['re2_regex', "did you mean 'regex'?"],
  ['matches', "did you mean 'regex'?"],
  ['max_abs_change', "did you mean 'max_change'?"],
  ['not_older_than', "did you mean 'max_age'?"],
  ['unique_id', "an event_id is stored once anyway; did you mean 'unique'?"],
  ['dtype', 'the type stands with the field of the stream, or as dtype of the feature'],
  ['not_null', "a field takes null only where its type ends in '?', and 'required' is for features"],
  ['mostly', "a rule is about one value: 'min_completeness' of a set is a share, and statistics have that of nulls"],
  ['finite', 'nothing else is stored, and what is computed says NON_FINITE'],
]);
const BOUNDS_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['strict', "did you mean 'strict_min' or 'strict_max'?"],
]);
const ACTIONS: readonly RuleAction[] = ['reject', 'null', 'clamp', 'default', 'warn'];

/** The rules of a stream or a feature with their pointers, as they are written; whether they fit is seen when they are compiled. */
export function readRules(
  of: ObjectReader,
  withField: boolean,
): readonly { readonly rule: ValueRule; readonly at: ObjectReader }[] {
  return of.entries('rules', RULES_MAX).flatMap((reader) => {
    const rule = reader && readRule(reader, withField);
    return rule ? [{ rule, at: reader }] : [];
  });
}

function readRule(reader: ObjectReader, withField: boolean): ValueRule | undefined {
  const field = withField ? reader.name('field') : undefined;
  const checks = { ...bounds(reader), ...comparisons(reader) };
  const action = reader.choice('action', ACTIONS) ?? 'reject';
  const value = scalar(reader, 'value');
  const given = CHECKS.filter((name) => reader.has(name));
  reader.done(CHECKS_ELSEWHERE);
  if (given.length === 0 && [...CHECKS_ELSEWHERE.keys()].some((name) => reader.has(name))) return undefined;
  if (given.length !== 1) return reader.fault(given[1] ?? 'between', `exactly one of ${CHECKS.join(', ')}`);
  if (Object.keys(checks).length === 0) return undefined;
  return { ...(field === undefined ? {} : { field }), ...checks, action, ...(value === undefined ? {} : { value }) };
}

function bounds(reader: ObjectReader): Partial<ValueRule> {
  const between = reader.inner('between');
  const length = reader.inner('length');
  const made = {
    ...(between && {
      between: defined({
        min: between.number('min'),
        max: between.number('max'),
        exclusiveMin: between.flag('strict_min') || undefined,
        exclusiveMax: between.flag('strict_max') || undefined,
      }),
    }),
    ...(length && {
      length: defined({
        min: length.number('min', { min: 0, max: 4096, whole: true }),
        max: length.number('max', { min: 0, max: 4096, whole: true }),
      }),
    }),
  };
  between?.done(BOUNDS_ELSEWHERE);
  length?.done();
  return made;
}

function comparisons(reader: ObjectReader): Partial<ValueRule> {
  return defined({
    inSet: reader.list('in_set', SET_MAX)?.filter((value): value is string | number | boolean => isScalar(value)),
    regex: reader.text('regex', PATTERN_MAX),
    monotonic: reader.choice('monotonic', ['increasing', 'non_decreasing']),
    maxChange: reader.number('max_change', { min: 0 }),
    maxAge: reader.duration('max_age'),
    // `unique: false` asks nothing.
    unique: reader.flag('unique') || undefined,
    expression: reader.text('expression', EXPRESSION_MAX),
  });
}

function isScalar(value: unknown): boolean {
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  );
}

/** A number, a text or a truth value; its type is compared where the type that it must have is known. */
export function scalar(reader: ObjectReader, name: string): FeatureValue | undefined {
  const value = reader.value(name);
  if (value === undefined || isScalar(value)) return value as FeatureValue | undefined;
  return reader.fault(name, 'a number, a text, true or false');
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without the members that are undefined. */
export function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>;
}
