import type { FeatureValue } from '../feature-value';
import { CelEngine } from './cel-engine';
import { ExpressionFault, type Variable } from './expression-engine';

// Everything that a stranger might try in an expression. Each is refused when it is published, or comes to a plain value.

const engine = new CelEngine();

const VARIABLES: readonly Variable[] = [
  { name: 'x', type: 'double', nullable: true },
  { name: 'n', type: 'int', nullable: true },
  { name: 's', type: 'string', nullable: true },
  { name: 'ok', type: 'bool', nullable: true },
  { name: 'xs', type: 'double', nullable: true, list: true },
  { name: 'ws', type: 'string', nullable: true, list: true },
];

const LONG = 'a'.repeat(4096);
const VALUES: Readonly<Record<string, FeatureValue>> = {
  ...{ x: 1.5, n: 3, s: LONG, ok: true },
  xs: Array.from({ length: 64 }, (_, i) => i / 3),
  ws: Array.from({ length: 64 }, () => LONG),
};

/** What JavaScript objects have and no expression may reach. */
const MEMBERS = [
  ...[
    'constructor',
    '__proto__',
    'prototype',
    'toString',
    'valueOf',
    'hasOwnProperty',
    'isPrototypeOf',
    'toLocaleString',
  ],
  ...['__defineGetter__', '__lookupGetter__', 'call', 'apply', 'bind', 'length', 'name', 'caller', 'arguments', 'then'],
];

const GLOBALS = [
  ...[
    'globalThis',
    'global',
    'window',
    'process',
    'require',
    'module',
    'exports',
    'Function',
    'eval',
    'Object',
    'Reflect',
  ],
  ...[
    'Proxy',
    'Promise',
    'Symbol',
    'console',
    'fetch',
    'Buffer',
    'setTimeout',
    'constructor',
    'toString',
    'hasOwnProperty',
  ],
  ...['this', 'undefined', 'NaN', 'Infinity', 'google', 'cel', 'optional', '__dirname', 'valueOf', '__defineGetter__'],
];

const PROBES: readonly string[] = [
  ...MEMBERS.map((name) => `s.${name}`),
  ...MEMBERS.map((name) => `s.${name}()`),
  ...MEMBERS.map((name) => `x.${name} == null`),
  ...MEMBERS.map((name) => `(x + 1).${name}`),
  ...MEMBERS.map((name) => `xs["${name}"]`),
  ...MEMBERS.map((name) => `"a".${name}.${name}("return process")()`),
  ...GLOBALS,
  ...GLOBALS.map((name) => `${name}("1")`),
  ...GLOBALS.map((name) => `${name}.constructor("return process")()`),
  // Out of results: of functions, lists, macros, choices, literals.
  ...[
    'max(1, 2).constructor',
    'coalesce(s, "a").__proto__',
    '[1].constructor',
    '[].map(v, v).constructor',
    '(ok ? s : s).constructor',
  ],
  ...[
    'xs.map(constructor, constructor)[0].constructor',
    'xs.map(__proto__, 1)',
    'xs.all(v, v.constructor == null)',
    '"".sub.constructor',
  ],
  ...[
    '[[1]][0].constructor',
    'xs[0].__proto__.polluted',
    'has(s.constructor)',
    'has(xs.length)',
    'has(constructor)',
    'size.call(s)',
  ],
  // Members and calls by computed names.
  ...[
    's["length"]',
    'x["constructor"]',
    'ok["a" + "b"]',
    '{"a": 1}.a',
    '{"__proto__": x}',
    '{}',
    '{"constructor": 1}.constructor',
    '{1: 2}[1]',
  ],
  // Types that are found while it runs, and other values of the library.
  ...[
    'dyn(x)',
    'dyn(s).constructor',
    'type(x)',
    'type(x) == double',
    'type(type(x))',
    'google.protobuf.Timestamp',
    'optional.of(x)',
  ],
  ...[
    'optional.none()',
    'x.?y',
    'xs[?0]',
    'cel.bind(v, x, v)',
    'cel.constructor',
    'b"abc"',
    'b"{}".json()',
    'bytes(s)',
    'bytes("{}").json()',
  ],
  ...[
    '1u',
    'uint(1)',
    'timestamp("2026-01-01T00:00:00Z")',
    'timestamp(0).constructor',
    'timestamp(0).getFullYear("America/New_York")',
  ],
  ...[
    'duration("1h")',
    'duration("1h").seconds',
    'timestamp("2026-01-01T00:00:00Z") - timestamp("2025-01-01T00:00:00Z")',
    'string(b"a")',
  ],
  // Methods of text and lists that the library has and that nobody bounded.
  ...[
    's.matches("(a+)+$")',
    's.matches(s)',
    'matches(s, "a")',
    's.split("")',
    's.split("").size()',
    'ws.join("")',
    's.replace("a", s)',
  ],
  ...[
    's.substring(0, 1)',
    's.indexOf("a")',
    's.trim()',
    's.repeat(1000000000)',
    's.padStart(100000000)',
    's.concat(s)',
    's.at(0)',
  ],
  ...[
    's.charCodeAt(0)',
    's.normalize()',
    's.localeCompare(s)',
    'xs.sort()',
    'xs.reduce(a, b, a + b)',
    'xs.push(1)',
    'xs.concat(xs)',
    'xs + xs',
  ],
  // Words of other languages.
  ...[
    'x = 1',
    'x++',
    'x => x',
    'function() {}',
    '`${x}`',
    'new Date()',
    'x; y',
    'let v = 1',
    'while (true) {}',
    'import("fs")',
    'x ?? 1',
  ],
  ...[
    'x?.y',
    '...xs',
    '/a/.test(s)',
    '@x',
    '#x',
    '$x',
    '\\u0041',
    'ok and ok',
    '1 if ok else 2',
    "__import__('os').system('id')",
  ],
  // Characters.
  ...[
    '\0',
    '\u202e x',
    '“x”',
    'ｘ',
    '1_000',
    '0b1',
    '0x',
    '1e',
    '1e999',
    '.5',
    '5.',
    '"\\x"',
    '"\\ud800"',
    '"',
    "'''",
    '//',
    '/* */ x',
    '',
  ],
  // Depth, width, length.
  ...[
    '('.repeat(4096),
    '['.repeat(4096),
    '!'.repeat(4095),
    '-'.repeat(4095),
    `${'('.repeat(2000)}x${')'.repeat(2000)}`,
  ],
  ...[
    `${'-'.repeat(2000)}x`,
    `${'!'.repeat(2000)}ok`,
    `${'x+'.repeat(2047)}x`,
    `${'ok?'.repeat(1000)}x`,
    `${'[1]'.repeat(1000)}`,
  ],
  ...[
    `[${'1,'.repeat(64)}1]`,
    `max(${'1,'.repeat(8)}1)`,
    `${'x.'.repeat(2000)}x`,
    `${'f('.repeat(1000)}x`,
    `"${'a'.repeat(5000)}"`,
  ],
  ...[
    '9'.repeat(4000),
    `0x${'f'.repeat(4000)}`,
    `1${'0'.repeat(400)}.0`,
    `s${'+s'.repeat(200)}`,
    `x${' '.repeat(4096)}`,
  ],
  // Macros in macros, over what is too long, over text.
  ...[
    'xs.all(a, xs.all(b, true))',
    'xs.map(a, xs.map(b, xs.map(c, a * b * c)))',
    's.all(c, true)',
    'x.map(v, v)',
    'xs.map(v)',
  ],
  ...[
    'xs.map(1, 2)',
    'xs.map(v, [v])',
    'xs.map(x.y, 1)',
    'xs.exists(v, xs.filter(w, w > v).size() > 0)',
    'xs.all()',
    'all(xs, true)',
  ],
];

/** Refused with a fault, or a plain value of the type that it has. */
function outcome(source: string): FeatureValue | ExpressionFault {
  try {
    const { variables, evaluate } = engine.compile(source, VARIABLES);
    return evaluate(variables.map((name) => VALUES[name] ?? null));
  } catch (error) {
    if (error instanceof ExpressionFault) return error;
    throw error;
  }
}

describe('an expression does not get out', () => {
  it('has a corpus that is worth the name', () => expect(new Set(PROBES).size).toBeGreaterThan(250));

  it.each(PROBES.map((probe) => [shown(probe), probe]))('%s', (_name, probe) => {
    expect(outcome(probe)).toBeInstanceOf(ExpressionFault);
  });

  it('leaves the objects of the process as they were', () => {
    const before = Reflect.ownKeys(Object.prototype);
    PROBES.forEach(outcome);
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('takes values for values, whatever they say', () => {
    for (const text of ['__proto__', 'constructor', '${x}', '"); process.exit(1); ("', '\0', '\ud800']) {
      const { evaluate } = engine.compile('s + s', VARIABLES);
      expect(evaluate([text])).toBe(text + text);
    }
    // A caller that breaks its word about types gets no answer of another type than the expression has.
    const { evaluate } = engine.compile('x + 1', VARIABLES);
    expect(evaluate(['1'])).toBeNull();
    expect(evaluate([{ valueOf: () => 1, toString: () => 'x' } as never])).not.toEqual(expect.any(String));
  });
});

/** Dear ones that compile: what they may spend is counted, and beyond it there is no answer, on every machine. */
const BOMBS: readonly (readonly [string, FeatureValue])[] = [
  [`s${' + s'.repeat(199)}`, null],
  ['size(ws.map(w, w + w).filter(w, w != null))', 0],
  ['ws.all(w, w.contains(w + ""))', null],
  [`ws.all(w, ${'w.contains(s) && '.repeat(30)}true)`, null],
  [`ws.all(w, ${'re2_matches(w, "(a|b|ab)*c") || '.repeat(20)}true)`, true],
  ['ws.all(w, re2_matches(w, "(a?){25}a{25}"))', null],
  ['re2_matches(s, "(a+)+$")', null],
  ['re2_matches(s, "((a*)*)*b")', null],
  [`ws.exists(w, ${'w.lowerAscii() == w.upperAscii() || '.repeat(20)}false)`, null],
  [`xs.all(v, ${'string(v * 0.1) != "a" && '.repeat(15)}true)`, null],
  [`xs.all(v, ${'size(s) > 1 && '.repeat(20)}true)`, false],
  [`ws.all(w, ${'!(s + "" in ws) && '.repeat(15)}true)`, false],
];

describe('what costs too much has no answer', () => {
  it.each(BOMBS.map(([source, expected]) => [shown(source), source, expected] as const))(
    '%s',
    (_name, source, expected) => {
      expect(outcome(source)).toEqual(expected);
    },
  );

  it('is refused when it is published where its pattern unrolls too far', () => {
    for (const pattern of ['(a{100}){100}', 'a{1000}', '((a{30}){30}){30}', '\\p{L}{500}']) {
      expect(outcome(`re2_matches(s, "${pattern}")`)).toBeInstanceOf(ExpressionFault);
    }
  });

  it('is refused when it is published where its macros have long bodies', () => {
    expect(outcome(`xs.all(v, ${'pow(v, x) >= 0 && '.repeat(60)}true)`)).toMatchObject({ code: 'too_complex' });
    expect(outcome(`xs${'.map(v, v * 2 + 1)'.repeat(30)}[0]`)).toMatchObject({ code: 'too_complex' });
  });

  it('does not take from the next one', () => {
    outcome(BOMBS[3]![0]);
    expect(outcome('size(s)')).toBe(4096);
  });

  it('goes through lists of 64 at most', () => {
    const all = engine.compile('xs.all(v, v >= 0)', VARIABLES);
    expect(all.evaluate([Array.from({ length: 64 }, () => 1)])).toBe(true);
    expect(all.evaluate([Array.from({ length: 65 }, () => 1)])).toBeNull();
  });
});

function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}… (${text.length})` : JSON.stringify(text);
}
