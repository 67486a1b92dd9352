import type { ASTNode } from '@marcbachmann/cel-js';
import type { FeatureValue } from '../feature-value';
import { BOOL, DOUBLE, INT, STRING, isNumber, typeFault, typeName, unify, type Run, type Term } from './cel-term';
import { TEXT_MAX, spend } from './fuel';

/** A whole number that a double still holds exactly; others have no answer. */
export function whole(value: number): number {
  // Adding zero turns -0, which a whole number is not, into 0.
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value + 0 : Number.NaN;
}

type Arithmetic = (a: number, b: number) => number;

const DOUBLES: Readonly<Record<string, Arithmetic>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
};

const INTS: Readonly<Record<string, Arithmetic>> = {
  '+': (a, b) => whole(a + b),
  '-': (a, b) => whole(a - b),
  '*': (a, b) => whole(a * b),
  '/': (a, b) => (b === 0 ? Number.NaN : whole(Math.trunc(a / b))),
  '%': (a, b) => (b === 0 ? Number.NaN : whole(a % b)),
};

/** `+ - * / %`. Two whole numbers stay whole, as CEL has it; a whole number and a double are doubles. */
export function arithmetic(node: ASTNode, op: string, a: Term, b: Term): Term {
  const text = op === '+' && a.type.kind === 'string' && b.type.kind === 'string' && !a.type.list && !b.type.list;
  if (text) return { node, type: STRING, run: concatenation(a.run, b.run) };
  const ints = a.type.kind === 'int' && b.type.kind === 'int';
  const compute = (ints ? INTS : DOUBLES)[op];
  if (!isNumber(a.type) || !isNumber(b.type) || !compute) {
    throw typeFault(node, `'${op}' does not take ${typeName(a.type)} and ${typeName(b.type)}${hint(op, a, b)}`);
  }
  return { node, type: ints ? INT : DOUBLE, run: strict(a.run, b.run, compute) };
}

function hint(op: string, a: Term, b: Term): string {
  if (op === '%' && isNumber(a.type) && isNumber(b.type)) return ': a modulus is of whole numbers, see int()';
  return op === '+' && (a.type.kind === 'string' || b.type.kind === 'string') ? ': see string()' : '';
}

function strict(left: Run, right: Run, compute: Arithmetic): Run {
  return (frame) => {
    const a = left(frame);
    if (a === null) return null;
    const b = right(frame);
    return b === null ? null : compute(a as number, b as number);
  };
}

function concatenation(left: Run, right: Run): Run {
  return (frame) => {
    const a = left(frame) as string | null;
    const b = right(frame) as string | null;
    if (a === null || b === null || a.length + b.length > TEXT_MAX) return null;
    return spend(a.length + b.length) ? a + b : null;
  };
}

export function negation(node: ASTNode, a: Term): Term {
  if (!isNumber(a.type)) throw typeFault(node, `'-' does not take ${typeName(a.type)}`);
  const { run } = a;
  // A whole number knows no -0.
  const zero = a.type.kind === 'int' ? 0 : -0;
  return {
    node,
    type: a.type,
    run: (frame) => {
      const value = run(frame);
      return value === null ? null : zero - (value as number);
    },
  };
}

export function not(node: ASTNode, a: Term): Term {
  needBool(a, "'!'");
  const { run } = a;
  return {
    node,
    type: BOOL,
    run: (frame) => {
      const value = run(frame);
      return value === null ? null : value !== true;
    },
  };
}

const ORDERS: Readonly<Record<string, (a: never, b: never) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

/** `< <= > >=` of numbers, whole or not, and of text. */
export function order(node: ASTNode, op: string, a: Term, b: Term): Term {
  const texts = [a, b].every(({ type }) => type.kind === 'string' && !type.list);
  const compare = ORDERS[op];
  if (!compare || !(texts || (isNumber(a.type) && isNumber(b.type)))) {
    throw typeFault(node, `'${op}' does not take ${typeName(a.type)} and ${typeName(b.type)}`);
  }
  return { node, type: BOOL, run: comparison(a.run, b.run, compare as (a: FeatureValue, b: FeatureValue) => boolean) };
}

/** `==` and `!=`. With the word `null` they ask whether there is a value. */
export function equality(node: ASTNode, op: string, a: Term, b: Term): Term {
  const equal = op === '==';
  for (const [nothing, asked] of [[a, b] as const, [b, a] as const]) {
    if (nothing.type.kind === 'null' && !nothing.type.list) return { node, type: BOOL, run: isNull(asked.run, equal) };
  }
  if (a.type.list || b.type.list || !unify(a.type, b.type)) {
    throw typeFault(node, `'${op}' does not take ${typeName(a.type)} and ${typeName(b.type)}`);
  }
  return { node, type: BOOL, run: comparison(a.run, b.run, equal ? (x, y) => x === y : (x, y) => x !== y) };
}

export function isNull(run: Run, expected: boolean): Run {
  return (frame) => (run(frame) === null) === expected;
}

function comparison(left: Run, right: Run, compare: (a: FeatureValue, b: FeatureValue) => boolean): Run {
  return (frame) => {
    const a = left(frame);
    if (a === null) return null;
    const b = right(frame);
    return b === null ? null : compare(a, b);
  };
}

/** `x in list`. */
export function membership(node: ASTNode, a: Term, b: Term): Term {
  if (!b.type.list || a.type.list || !unify(a.type, { kind: b.type.kind, list: false })) {
    throw typeFault(node, `'in' does not take ${typeName(a.type)} and ${typeName(b.type)}`);
  }
  const [item, list] = [a.run, b.run];
  if (Array.isArray(b.literal) && !b.literal.includes(null)) {
    const known = new Set<FeatureValue>(b.literal as readonly FeatureValue[]);
    return { node, type: BOOL, run: (frame) => ((x) => (x === null ? null : known.has(x)))(item(frame)) };
  }
  return {
    node,
    type: BOOL,
    run: (frame) => {
      const value = item(frame);
      const items = list(frame);
      const dear = typeof value === 'string' ? value.length / 16 : 0;
      if (value === null || !Array.isArray(items) || !spend(items.length * (4 + dear))) return null;
      // As in SQL: not among the known ones, and one is unknown.
      return items.includes(value) || (items.includes(null) ? null : false);
    },
  };
}

/** `&&` and `||`. What one side decides stands, whether or not the other has a value. */
export function logic(node: ASTNode, op: string, a: Term, b: Term): Term {
  needBool(a, `'${op}'`);
  needBool(b, `'${op}'`);
  const decides = op === '||';
  const [left, right] = [a.run, b.run];
  return {
    node,
    type: BOOL,
    run: (frame) => {
      const first = left(frame);
      if (first === decides) return decides;
      const second = right(frame);
      if (second === decides) return decides;
      return first === null || second === null ? null : !decides;
    },
  };
}

/** `condition ? a : b`; only the side that is taken is computed. */
export function choice(node: ASTNode, condition: Term, a: Term, b: Term): Term {
  needBool(condition, "'?:'");
  const type = unify(a.type, b.type);
  if (!type) throw typeFault(node, `the sides of '?:' are ${typeName(a.type)} and ${typeName(b.type)}`);
  const [test, yes, no] = [condition.run, a.run, b.run];
  return {
    node,
    type,
    run: (frame) => {
      const chosen = test(frame);
      if (chosen === null) return null;
      return chosen === true ? yes(frame) : no(frame);
    },
  };
}

function needBool({ node, type }: Term, where: string): void {
  if (type.kind !== 'bool' || type.list) throw typeFault(node, `${where} takes bool, not ${typeName(type)}`);
}
