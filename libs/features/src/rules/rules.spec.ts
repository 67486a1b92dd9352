import type { StreamDefinition, ValueRule } from '../definitions/feature-view';
import { CelEngine } from '../expressions/cel-engine';
import type { FeatureValue, ValueType } from '../feature-value';
import { compileFeatureRules, compileStreamRules } from './compile-rules';
import type { EventRules } from './event-rules';
import type { RuleOutcome, RuleSet } from './rule-set';
import { RuleTally } from './rule-tally';
import { RuleFault } from './value-rule';

const expressions = new CelEngine();
const AT = 1_000_000_000;

function onFeature(
  rules: readonly ValueRule[],
  type: ValueType = 'double',
  value?: FeatureValue,
  tally = new RuleTally(),
): RuleSet {
  return compileFeatureRules('v', rules, { name: 'f', type, default: value }, expressions, tally)!;
}

function outcome(rule: ValueRule, value: FeatureValue, type?: ValueType, moment = { at: AT }): RuleOutcome {
  return onFeature([rule], type).apply(value, moment);
}

const STREAM: StreamDefinition = {
  ...{ name: 'bars', identity: 'event_time', allowedLateness: 0, retention: 1, table: false, rules: [] },
  fields: [
    { name: 'close', type: 'double', nullable: true },
    { name: 'high', type: 'double', nullable: false },
    { name: 'low', type: 'double', nullable: true },
    { name: 'venue', type: 'string', nullable: true },
    { name: 'n', type: 'int', nullable: false },
  ],
};

function onStream(rules: readonly ValueRule[], tally = new RuleTally()): EventRules {
  return compileStreamRules('v', { ...STREAM, rules }, expressions, tally)!;
}

const EVENT: readonly FeatureValue[] = [5, 6, 4, 'NYSE', 1];
const moment = { at: AT, eventTime: AT };

describe('rules of a feature', () => {
  it.each<[string, Partial<ValueRule>, ValueType, FeatureValue, FeatureValue]>([
    ['between', { between: { min: 0, max: 100 } }, 'double', 100, 100.1],
    ['between without its bounds', { between: { min: 0, exclusiveMin: true } }, 'double', 0.1, 0],
    ['between without its upper bound', { between: { max: 1, exclusiveMax: true } }, 'int', 0, 1],
    ['in_set', { inSet: ['a', 'b'] }, 'string', 'a', 'c'],
    ['in_set of numbers', { inSet: [1, 2] }, 'int', 2, 3],
    ['length', { length: { min: 2, max: 3 } }, 'string', 'abc', 'abcd'],
    ['regex', { regex: '^[A-Z]{2}$' }, 'string', 'US', 'us'],
    ['expression', { expression: 'value * 2 > 1' }, 'double', 1, 0.5],
  ])('%s', (_kind, check, type, holds, breaks) => {
    const rule: ValueRule = { ...check, action: 'reject' };
    expect(outcome(rule, holds, type).action).toBeUndefined();
    expect(outcome(rule, breaks, type)).toMatchObject({ action: 'reject', value: null, reason: expect.any(String) });
  });

  it('max_age asks for the age of the event, where there is one', () => {
    const rules = onFeature([{ maxAge: 10, action: 'null' }]);
    expect(rules.apply(1, { at: AT, eventTime: AT - 10 }).action).toBeUndefined();
    expect(rules.apply(1, { at: AT, eventTime: AT - 11 })).toMatchObject({ action: 'null', value: null });
    expect(rules.apply(1, { at: AT }).action).toBeUndefined();
  });

  it('do what their action says', () => {
    const between = { min: 0, max: 10 };
    expect(outcome({ between, action: 'null' }, 11)).toMatchObject({ action: 'null', value: null });
    expect(outcome({ between, action: 'clamp' }, 11)).toMatchObject({ action: 'clamp', value: 10 });
    expect(outcome({ between, action: 'clamp' }, -1)).toMatchObject({ action: 'clamp', value: 0 });
    expect(outcome({ between, action: 'default', value: 5 }, 11)).toMatchObject({ action: 'default', value: 5 });
    expect(onFeature([{ between, action: 'default' }], 'double', 7).apply(11, { at: AT })).toMatchObject({ value: 7 });
    expect(outcome({ between, action: 'warn' }, 11).action).toBeUndefined();
  });

  it('are asked in their order; after clamp and warn the next one is', () => {
    const rules = onFeature([
      { between: { max: 100 }, action: 'warn' },
      { between: { max: 50 }, action: 'clamp' },
      { expression: 'value < 50', action: 'reject' },
    ]);
    expect(rules.apply(200, { at: AT })).toMatchObject({ action: 'reject' });
    expect(rules.apply(10, { at: AT }).action).toBeUndefined();
  });

  it('take patterns that count', () => {
    const rule: ValueRule = { regex: '^[a-z0-9]{1,100}$', action: 'reject' };
    expect(outcome(rule, 'a'.repeat(100), 'string').action).toBeUndefined();
    expect(outcome(rule, 'a'.repeat(101), 'string').action).toBe('reject');
  });

  it('do not search a text that is too long for their pattern', () => {
    expect(outcome({ regex: '[ab]{30}$', action: 'reject' }, 'ab'.repeat(2048), 'string').action).toBe('reject');
  });

  it.each<[string, ValueRule, ValueType]>([
    ['a text between numbers', { between: { min: 0 }, action: 'reject' }, 'string'],
    ['the length of a number', { length: { min: 0 }, action: 'reject' }, 'double'],
    ['values of another type', { inSet: ['a'], action: 'reject' }, 'int'],
    ['a fraction among whole numbers', { inSet: [1.5], action: 'reject' }, 'int'],
    ['nothing to clamp to', { regex: 'a', action: 'clamp' }, 'string'],
    ['no default', { between: { min: 0 }, action: 'default' }, 'double'],
    ['a default of another type', { between: { min: 0 }, action: 'default', value: 'a' }, 'double'],
    ['a pattern that is none', { regex: '(', action: 'reject' }, 'string'],
    ['an expression that is no condition', { expression: 'value + 1', action: 'reject' }, 'double'],
    ['the event before', { monotonic: 'increasing', action: 'reject' }, 'double'],
  ])('are refused with %s', (_what, rule, type) => {
    expect(() => onFeature([rule], type)).toThrow(RuleFault);
  });
});

describe('rules of a stream', () => {
  it('refuse an event and name the field, not the value', () => {
    const rules = onStream([{ field: 'close', between: { min: 10 }, action: 'reject' }]);
    expect(rules.check(EVENT, moment)).toEqual({ values: EVENT, refusal: 'close: at least 10' });
  });

  it('leave the very values that came where they change nothing', () => {
    const rules = onStream([
      { field: 'close', between: { min: 0 }, action: 'reject' },
      { expression: 'high >= low', action: 'reject' },
    ]);
    expect(rules.check(EVENT, moment).values).toBe(EVENT);
  });

  it('null, clamp and replace in a copy', () => {
    const rules = onStream([
      { field: 'close', between: { max: 1 }, action: 'null' },
      { field: 'low', between: { max: 1 }, action: 'clamp' },
      { field: 'venue', inSet: ['LSE'], action: 'default', value: 'none' },
    ]);
    expect(rules.check(EVENT, moment).values).toEqual([null, 6, 1, 'none', 1]);
    expect(EVENT[0]).toBe(5);
  });

  it('look at whole events, with what earlier rules made of them', () => {
    const rules = onStream([
      { field: 'low', between: { max: 1 }, action: 'clamp' },
      { expression: 'low > 3', action: 'reject' },
    ]);
    expect(rules.check(EVENT, moment).refusal).toBe('low > 3');
    expect(onStream([{ expression: 'high >= low', action: 'reject' }]).check([5, 3, 4, 'a', 1], moment).refusal).toBe(
      'high >= low',
    );
  });

  it('hold where a value that they need is null', () => {
    const rules = onStream([
      { expression: 'close > 100', action: 'reject' },
      { field: 'close', between: { min: 100 }, action: 'reject' },
    ]);
    expect(rules.check([null, 6, 4, 'a', 1], moment).refusal).toBeUndefined();
  });

  it.each<[string, Partial<ValueRule>, number, number, number]>([
    ['increasing', { monotonic: 'increasing' }, 1, 2, 1],
    ['non_decreasing', { monotonic: 'non_decreasing' }, 2, 2, 1],
    ['max_change', { maxChange: 3 }, 5, 2, 1],
    ['unique', { unique: true }, 5, 2, 5],
  ])('compare with the event before: %s', (_kind, check, before, holds, breaks) => {
    const rules = onStream([{ field: 'n', ...check, action: 'reject' }]);
    const event = (n: number): readonly FeatureValue[] => [5, 6, 4, 'a', n];
    expect(rules.check(event(holds), { ...moment, before: event(before) }).refusal).toBeUndefined();
    expect(rules.check(event(breaks), { ...moment, before: event(before) }).refusal).toMatch(/^n: /);
    expect(rules.check(event(breaks), moment).refusal).toBeUndefined();
  });
});

describe('whether an event is the one that lies in the log', () => {
  it('is known of every field where rules only refuse or warn, whatever they compare with', () => {
    const rules = onStream([
      { field: 'n', monotonic: 'increasing', action: 'reject' },
      { field: 'close', maxAge: 1, action: 'warn' },
    ]);
    expect(rules.mayBe(EVENT, EVENT)).toBe(true);
    EVENT.forEach((value, i) =>
      expect(rules.mayBe(EVENT.with(i, typeof value === 'number' ? value + 1 : 'x'), EVENT)).toBe(false),
    );
  });

  it('is known by what rules make of it, and tallied nowhere', () => {
    const tally = new RuleTally();
    const rules = onStream(
      [
        { field: 'low', between: { max: 1 }, action: 'clamp' },
        { field: 'close', expression: 'close < low', action: 'null' },
      ],
      tally,
    );
    const { values } = rules.check(EVENT, moment);
    const counts = JSON.stringify(tally.lines());
    expect(values).toEqual([null, 6, 1, 'NYSE', 1]);
    expect(rules.mayBe(EVENT, values)).toBe(true);
    expect(rules.mayBe(EVENT.with(1, 7), values)).toBe(false);
    expect(JSON.stringify(tally.lines())).toBe(counts);
  });

  it('is not known of a field that a rule may have changed by what was before, or by its age, and of all others it is', () => {
    for (const check of [{ maxChange: 1 }, { maxAge: 1 }]) {
      const rules = onStream([{ field: 'n', ...check, action: 'default', value: 0 }]);
      expect(rules.mayBe(EVENT, EVENT.with(4, 0))).toBe(true);
      expect(rules.mayBe(EVENT.with(0, 50), EVENT.with(4, 0))).toBe(false);
    }
  });

  it('is known of an event from before the stream had a field', () => {
    const rules = onStream([{ field: 'n', monotonic: 'increasing', action: 'reject' }]);
    expect(rules.mayBe(EVENT.with(4, null), EVENT.slice(0, 4))).toBe(true);
    expect(rules.mayBe(EVENT, EVENT.slice(0, 4))).toBe(false);
  });
});

describe('the tally', () => {
  it('counts what did not hold, by view, target, rule and action, over all versions of a view', () => {
    const tally = new RuleTally();
    for (let version = 0; version < 2; version++) {
      const rules = onFeature([{ between: { max: 1 }, action: 'warn' }], 'double', undefined, tally);
      for (const value of [0, 2, 3]) rules.apply(value, { at: AT });
    }
    onStream(
      [
        { field: 'close', between: { min: 100 }, action: 'reject' },
        { expression: 'low > 100', action: 'warn' },
      ],
      tally,
    ).check(EVENT, moment);
    expect(tally.lines().map(({ name, violations }) => ({ ...name, violations }))).toEqual([
      { view: 'v', target: 'f', rule: 'between', action: 'warn', violations: 4 },
      { view: 'v', target: 'bars.close', rule: 'between', action: 'reject', violations: 1 },
    ]);
  });

  it('keeps the last 20 samples, which say what kind and how large and not what', () => {
    const tally = new RuleTally();
    const numbers = onFeature([{ between: { max: 1 }, action: 'warn' }], 'double', undefined, tally);
    for (let i = 1; i <= 30; i++) numbers.apply(1000 + i, { at: i });
    numbers.apply(4711.5, { at: 31, given: true });
    const [line] = tally.lines();
    expect(line!.violations).toBe(31);
    expect(line!.samples).toHaveLength(20);
    expect(line!.samples[0]).toEqual({ at: 31, phase: 'request', type: 'number', magnitude: '1e3' });
    expect(line!.samples[19]).toEqual({ at: 12, phase: 'serve', type: 'number', magnitude: '1e3' });
    const texts = onStream([{ field: 'venue', inSet: ['LSE'], action: 'warn' }], tally);
    texts.check([5, 6, 4, 'Jane Doe, 4 Privet Drive', 1], moment);
    expect(tally.lines()[1]!.samples).toEqual([{ at: AT, phase: 'push', type: 'string', length: 24 }]);
    expect(JSON.stringify(tally.lines())).not.toMatch(/Jane|4711/);
  });

  it.each([
    [0, '0'],
    [-4711, '-1e3'],
    [0.002, '1e-3'],
    [1, '1e0'],
  ])('shows %p as %s', (value, magnitude) => {
    const tally = new RuleTally();
    onFeature([{ expression: 'value > 1000000.0', action: 'warn' }], 'double', undefined, tally).apply(value, {
      at: AT,
    });
    expect(tally.lines()[0]!.samples[0]).toMatchObject({ magnitude });
  });
});
