import { Environment } from '@marcbachmann/cel-js';
import type { FeatureValue } from '../feature-value';
import { CelEngine } from './cel-engine';
import { ExpressionFault, type Variable } from './expression-engine';

const engine = new CelEngine();

const VARIABLES: readonly Variable[] = [
  ...(['x', 'y', 'macd.hist'] as const).map((name) => ({ name, type: 'double' as const, nullable: true })),
  ...(['n', 'm', 'ms'] as const).map((name) => ({ name, type: 'int' as const, nullable: true })),
  ...(['s', 'u'] as const).map((name) => ({ name, type: 'string' as const, nullable: true })),
  ...(['ok', 'no'] as const).map((name) => ({ name, type: 'bool' as const, nullable: true })),
  { name: 'xs', type: 'double', nullable: true, list: true },
  { name: 'ws', type: 'string', nullable: true, list: true },
];

const VALUES: Readonly<Record<string, FeatureValue>> = {
  ...{ x: 7, y: 2, 'macd.hist': -0.5, n: 7, m: 2, ms: Date.UTC(2026, 10, 22, 23, 5), s: 'BTC/USDT', u: 'naïve 😀' },
  ...{ ok: true, no: false, xs: [1, 2.5, -3], ws: ['a', null, 'b'] },
};

function value(source: string, values: Readonly<Record<string, FeatureValue>> = {}): FeatureValue {
  const { variables, evaluate } = engine.compile(source, VARIABLES);
  const all: Readonly<Record<string, FeatureValue>> = { ...VALUES, ...values };
  return evaluate(variables.map((name) => all[name] ?? null));
}

function fault(source: string, expected?: 'double' | 'int' | 'string' | 'bool'): ExpressionFault {
  try {
    engine.compile(source, VARIABLES, expected);
  } catch (error) {
    if (error instanceof ExpressionFault) return error;
    throw error;
  }
  throw new Error(`'${source}' compiles`);
}

describe('CelEngine', () => {
  it.each<[string, FeatureValue]>([
    ['(x - y) / 2', 2.5],
    ['2 / x', 2 / 7],
    ['n / m', 3],
    ['-n / m', -3],
    ['n % m', 1],
    ['-n % m', -1],
    ['x == 7', true],
    ['n == 7.0', true],
    ['x > 6 && n < 7.5', true],
    ['n >= 7.5 || x <= 7', true],
    ['macd.hist < 0', true],
    ['1 + 2 * 3', 7],
    ['x != y', true],
    ['ok ? x : y', 7],
    ['no ? 1 : 2.5', 2.5],
    ['!ok', false],
    ['s == "BTC/USDT"', true],
    ['s < "C"', true],
    ['s + "!"', 'BTC/USDT!'],
    ['s in ["ETH/USDT", "BTC/USDT"]', true],
    ['n in [1, 7]', true],
    ['x in [n, m]', true],
    ['x in [y, 3.0]', false],
    ['xs[1]', 2.5],
    ['size(xs)', 3],
    ['size(u)', 7],
    ['u.size()', 7],
    ['xs.all(v, v > -4)', true],
    ['xs.exists(v, v > 2 && v < x)', true],
    ['xs.exists_one(v, v < 0)', true],
    ['size(xs.filter(v, v > 0))', 2],
    ['xs.map(v, v * 2)[2]', -6],
    ['xs.map(v, v > 0, v * 2)[1]', 5],
    ['xs.map(v, v * 2).filter(v, v > 0)[0]', 2],
    ['abs(-n)', 7],
    ['abs(macd.hist)', 0.5],
    ['sqrt(x + y)', 3],
    ['log(exp(1))', 1],
    ['pow(2, 10)', 1024],
    ['min(n, m)', 2],
    ['max(n, 7.5)', 7.5],
    ['clamp(x, 0, 5)', 5],
    ['round(2.5)', 3],
    ['round(-2.5)', -3],
    ['isnan(x / 0.0 - x / 0.0)', true],
    ['int(2.9) + 1', 3],
    ['double(n) / 2', 3.5],
    ['int("-12")', -12],
    ['double("1.5e3")', 1500],
    ['string(n) + "/" + string(ok)', '7/true'],
    ['s.startsWith("BTC")', true],
    ['s.endsWith("USDT")', true],
    ['s.contains("C/U")', true],
    ['s.lowerAscii()', 'btc/usdt'],
    ['u.upperAscii()', 'NAïVE 😀'],
    ['re2_matches(s, "^[A-Z]+/[A-Z]+$")', true],
    ['hour(ms)', 23],
    ['weekday(ms)', 0],
    ['hour(-1)', 23],
    ['weekday(-1)', 3],
  ])('%s is %p', (source, expected) => {
    expect(value(source)).toEqual(expected);
  });

  it('keeps two whole numbers whole and widens one beside a double', () => {
    expect(engine.compile('n / m', VARIABLES).type).toBe('int');
    expect(engine.compile('n / x', VARIABLES).type).toBe('double');
    expect(engine.compile('max(n, m)', VARIABLES).type).toBe('int');
    expect(engine.compile('max(n, x)', VARIABLES).type).toBe('double');
    expect(engine.compile('n + m', VARIABLES, 'double').type).toBe('double');
    expect(engine.compile('ok ? n : x', VARIABLES).type).toBe('double');
  });

  it('names the variables that it reads, once each, in the order of the frame', () => {
    const { variables, evaluate } = engine.compile('y + macd.hist * y', VARIABLES);
    expect(variables).toEqual(['y', 'macd.hist']);
    expect(evaluate([3, 2])).toBe(9);
  });

  describe('arithmetic that has no answer', () => {
    it.each([
      'n % 0',
      'n / 0',
      'n / (m - 2)',
      '9007199254740991 + 1',
      '9007199254740991 * 2',
      'int(1e300)',
      'int("x")',
      'double("1_0")',
    ])('%s is NaN', (source) => expect(value(source)).toBeNaN());

    it('gives infinities and NaN of doubles as they are', () => {
      expect(value('x / 0.0')).toBe(Infinity);
      expect(value('-x / 0.0')).toBe(-Infinity);
      expect(value('exp(1000)')).toBe(Infinity);
      expect(value('log(-1.0)')).toBeNaN();
      expect(value('sqrt(-1.0)')).toBeNaN();
    });

    it('has no -0 where numbers are whole', () => {
      expect(value('-n * 0')).toBe(0);
      expect(value('-(n - 7)')).toBe(0);
      expect(value('-1 / 2')).toBe(0);
    });
  });

  describe('null', () => {
    const nothing = { x: null, ok: null, s: null, xs: null };

    it.each([
      'x + 1',
      'n * x',
      '-x',
      'x > 1',
      'x == y',
      'x in [1.0]',
      '!ok',
      'ok ? 1 : 2',
      's + "a"',
      's.contains("a")',
      'max(x, y)',
      'clamp(y, x, 3)',
      'xs[0]',
      'size(xs)',
      'xs.all(v, true)',
      'isnan(x)',
      'string(n) + s',
      're2_matches(s, "a")',
      'ok && true',
      'x in [y]',
    ])('%s is null where what it needs is', (source) => expect(value(source, nothing)).toBeNull());

    it.each<[string, FeatureValue]>([
      ['coalesce(x, y)', 2],
      ['coalesce(x + 1, y, n)', 2],
      ['coalesce(s, "none")', 'none'],
      ['ok && false', false],
      ['false && ok', false],
      ['ok || true', true],
      ['true || ok', true],
      ['no ? x : y', 2],
      ['x == null', true],
      ['null != s', false],
      ['has(macd.hist)', true],
      ['x == null ? 0.0 : x', 0],
      ['size(ws)', 3],
      ['ws.exists(w, w == "b")', true],
      ['ws.exists_one(w, w == null)', true],
      ['"a" in ws', true],
    ])('%s is %p', (source, expected) => expect(value(source, nothing)).toBe(expected));

    it('is what a list with a gap comes to where the gap decides', () => {
      expect(value('ws.all(w, w != "z")')).toBeNull();
      expect(value('"z" in ws')).toBeNull();
      expect(value('ws.all(w, w == "b")')).toBe(false);
    });

    it('is the answer beyond the end of a list', () => {
      expect(value('xs[3]')).toBeNull();
      expect(value('xs[-1]')).toBeNull();
    });
  });

  describe('faults have a code and the position', () => {
    it.each<[string, ExpressionFault['code'], number, RegExp]>([
      ['x +', 'syntax', 3, /Unexpected token/],
      ['x + (y', 'syntax', 6, /Expected RPAREN/],
      ['1 + pri', 'unknown_variable', 4, /there is no 'pri'/],
      ['x + macd.hits', 'unknown_variable', 4, /did you mean 'macd.hist'/],
      ['y + (x - s)', 'type', 5, /'-' does not take double and string/],
      ['x % y', 'type', 0, /whole numbers/],
      ['ok + 1', 'type', 0, /'\+' does not take bool and int/],
      ['ok && x', 'type', 6, /takes bool, not double/],
      ['x == s', 'type', 0, /'==' does not take double and string/],
      ['x ? 1 : 2', 'type', 0, /takes bool/],
      ['ok ? 1 : "a"', 'type', 0, /int and string/],
      ['[1, "a"][0]', 'type', 4, /list of int does not take string/],
      ['xs', 'type', 0, /gives list<double> and not one value/],
      ['null', 'type', 0, /gives null/],
      ['max(1, s)', 'type', 7, /a number is expected/],
      ['pow(1)', 'type', 0, /takes 2 values, not 1/],
      ['x[0]', 'type', 0, /double has no elements/],
      ['xs[x]', 'type', 3, /an index is int/],
      ['xs.all(v, v)', 'type', 10, /the test of 'all' is double/],
      ['x.all(v, true)', 'type', 0, /goes through a list/],
      ['re2_matches(s, s)', 'type', 15, /literal/],
      ['re2_matches(s, "a(")', 'type', 15, /not a regular expression/],
      ['9007199254740992', 'type', 0, /2\^53/],
      ['s.matches("(a+)+$")', 'forbidden', 0, /re2_matches/],
      ['absolute(x)', 'forbidden', 0, /no function 'absolute'/],
      ['sqr(x)', 'forbidden', 0, /did you mean 'sqrt'/],
    ])('%s', (source, code, position, message) => {
      const { code: actual, position: at, message: text } = fault(source);
      expect({ actual, at }).toEqual({ actual: code, at: position });
      expect(text).toMatch(message);
    });

    it('of the whole where it gives another type than is expected', () => {
      expect(fault('x > 1', 'double').message).toBe('the expression gives bool and not double');
      expect(fault('x * 2', 'int').message).toMatch(/see int\(\)/);
      expect(fault('n', 'bool').code).toBe('type');
    });
  });

  // What both know must mean the same; the library's own evaluator has BigInt for int and no null.
  it('agrees with the evaluator of the library on what both have', () => {
    const theirs = new Environment({ homogeneousAggregateLiterals: true });
    for (const name of ['x', 'y']) theirs.registerVariable(name, 'double');
    for (const name of ['n', 'm']) theirs.registerVariable(name, 'int');
    theirs.registerVariable('s', 'string').registerVariable('ok', 'bool').registerVariable('xs', 'list<double>');
    const corpus = [
      ...[
        'x + y',
        'x - y * 2.0',
        'x / y',
        '(x + 1.0) / (y - 1.0)',
        '-x',
        'n + m',
        'n - 9',
        'n * m',
        'n / m',
        'n % m',
        '-n / m',
      ],
      ...['x > y', 'x <= 7.0', 'n < m', 'n >= 7', 'x > n', 'n == m', 'x != y', 's == "a"', 's < "C"', 'ok == true'],
      ...[
        'ok && x > 1.0',
        '!ok || n > 3',
        'ok ? x : y',
        'n in [1, 2, 7]',
        's in ["a", "b"]',
        's + "x"',
        'size(s)',
        'size(xs)',
      ],
      ...[
        'xs[0]',
        'xs.all(v, v > 0.0)',
        'xs.exists(v, v > 2.0)',
        'xs.exists_one(v, v < 0.0)',
        'size(xs.filter(v, v > 0.0))',
      ],
      ...[
        'xs.map(v, v * 2.0)[1]',
        's.startsWith("B")',
        's.endsWith("T")',
        's.contains("/")',
        's.lowerAscii()',
        'int(x)',
        'double(n)',
      ],
      ...[
        'string(n)',
        's.size()',
        '1 + 2 * 3 - 4 / 2',
        '"a" + \'b\' + r"\\d"',
        'x > 1.0 && (y < 1.0 || n > 1) && !(m == 3)',
      ],
    ];
    for (const [x, y, n, m] of [
      [7, 2, 7, 2],
      [-1.5, 0, -7, 3],
      [0, -0.25, 0, -1],
    ] as const) {
      for (const source of corpus) {
        const context = { x, y, n: BigInt(n), m: BigInt(m), s: 'BTC/USDT', ok: true, xs: [1, 2.5, -3] };
        const answer: unknown = theirs.parse(source)(context);
        expect([source, value(source, { x, y, n, m })]).toEqual([
          source,
          typeof answer === 'bigint' ? Number(answer) : answer,
        ]);
      }
    }
  });
});
