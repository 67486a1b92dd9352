import { fixed, present, type CelFunction } from './cel-call';
import { whole } from './cel-operators';
import { BOOL, DOUBLE, INT, STRING, isNumber, typeFault, typeName, type Term } from './cel-term';
import { spend } from './fuel';
import { compileRegex, type Regex } from './regex';

/** What a search may cost at worst, by measurement; the search of the platform is quadratic on some texts. */
const UNITS_PER_COMPARISON = 0.25;
const UNITS_PER_REGEX_STEP = 50;
const UNITS_PER_CONVERSION = 300;
/** What a program may be so that its first search, which makes its tables, is short too. */
const PROGRAM_MAX = 128;

/** The pattern is a literal, compiled once; one that values choose could not be checked beforehand. */
const re2Matches: CelFunction = {
  min: 2,
  max: 2,
  compile: (args) => {
    const [text, pattern] = args as readonly [Term, Term];
    if (text.type.kind !== 'string' || text.type.list) {
      throw typeFault(text.node, `string is expected, not ${typeName(text.type)}`);
    }
    if (typeof pattern.literal !== 'string') throw typeFault(pattern.node, 'the pattern is a literal text');
    const regex = compiled(pattern, pattern.literal);
    const search = (value: string): boolean | null =>
      spend(value.length * regex.size * UNITS_PER_REGEX_STEP) ? regex.test(value) : null;
    return { type: BOOL, run: present([text], search) };
  },
};

function compiled({ node }: Term, pattern: string): Regex {
  try {
    return compileRegex(pattern, PROGRAM_MAX);
  } catch (error) {
    throw typeFault(node, error instanceof Error ? error.message : 'the pattern cannot be read');
  }
}

/** Characters of a text, as CEL counts them, and items of a list. */
const size: CelFunction = {
  min: 1,
  max: 1,
  compile: (args) => {
    const [{ node, type }] = args as readonly [Term];
    if (type.list) return { type: INT, run: present(args, (items: readonly unknown[]) => items.length) };
    if (type.kind !== 'string') throw typeFault(node, `a string or a list is expected, not ${typeName(type)}`);
    return { type: INT, run: present(args, characters) };
  },
};

function characters(text: string): number {
  if (!spend(text.length * 2)) return Number.NaN;
  let count = text.length;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >> 10 === 0x37) count--;
  return count;
}

function contains(text: string, part: string): boolean | null {
  return spend(text.length + text.length * part.length * UNITS_PER_COMPARISON) ? text.includes(part) : null;
}

/** A conversion; `of` says how each type is converted, and what is not there is not. */
function conversion(
  type: typeof INT,
  of: Partial<Record<string, (value: never) => number | string | null>>,
): CelFunction {
  return {
    min: 1,
    max: 1,
    compile: (args) => {
      const [arg] = args as readonly [Term];
      const convert = arg.type.list ? undefined : of[arg.type.kind];
      if (!convert) throw typeFault(arg.node, `'${type.kind}' does not take ${typeName(arg.type)}`);
      if (arg.type.kind === type.kind) return { type, run: arg.run };
      const free = isNumber(type) && isNumber(arg.type);
      return { type, run: present(args, free ? convert : (value: never) => charged(value, convert, type)) };
    },
  };
}

function charged<T>(value: never, convert: (value: never) => T, type: typeof INT): T | number | null {
  const length = typeof value === 'string' ? (value as string).length : 0;
  return spend(UNITS_PER_CONVERSION + length) ? convert(value) : isNumber(type) ? Number.NaN : null;
}

const NUMERAL = /^[+-]?(\d{1,25}(\.\d{0,25})?|\.\d{1,25})([eE][+-]?\d{1,4})?$/;

function parseDouble(text: string): number {
  return NUMERAL.test(text) ? Number(text) : Number.NaN;
}

const INTEGER = /^[+-]?\d{1,16}$/;

function parseInteger(text: string): number {
  return INTEGER.test(text) ? whole(Number(text)) : Number.NaN;
}

function itself(value: never): never {
  return value;
}

export const TEXT_FUNCTIONS: Readonly<Record<string, CelFunction>> = {
  re2_matches: re2Matches,
  size,
  // A number becomes whole by losing its fraction.
  int: conversion(INT, { int: itself, double: (value: number) => whole(Math.trunc(value)), string: parseInteger }),
  double: conversion(DOUBLE, { int: itself, double: itself, string: parseDouble }),
  string: conversion(STRING, { int: String, double: String, bool: String, string: itself }),
};

function lettersOnly(text: string, pattern: RegExp, change: (part: string) => string): string | null {
  return spend(text.length * 20) ? text.replace(pattern, change) : null;
}

export const TEXT_METHODS: Readonly<Record<string, CelFunction>> = {
  size,
  startsWith: fixed([STRING, STRING], BOOL, (text: string, part: string) => text.startsWith(part)),
  endsWith: fixed([STRING, STRING], BOOL, (text: string, part: string) => text.endsWith(part)),
  contains: fixed([STRING, STRING], BOOL, contains),
  lowerAscii: fixed([STRING], STRING, (text: string) => lettersOnly(text, /[A-Z]+/g, (part) => part.toLowerCase())),
  upperAscii: fixed([STRING], STRING, (text: string) => lettersOnly(text, /[a-z]+/g, (part) => part.toUpperCase())),
};
