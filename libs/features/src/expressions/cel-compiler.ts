import type { ASTNode } from '@marcbachmann/cel-js';
import { nearestWords } from '@sibyl/kernel';
import type { FeatureValue } from '../feature-value';
import type { CelFunction } from './cel-call';
import { FUNCTIONS, METHODS, REFUSED } from './cel-functions';
import { MACROS, MACRO_ITEMS_MAX, macro, type Cell } from './cel-macros';
import { arithmetic, choice, equality, isNull, logic, membership, negation, not, order } from './cel-operators';
import { BOOL, DOUBLE, INT, NULL, STRING, typeFault, typeName, unify, type StaticType, type Term } from './cel-term';
import { ExpressionFault, type Variable } from './expression-engine';

/** Most parts that one evaluation computes, where those in the body of a macro count once for each item that it may see. */
const STEPS_MAX = 8192;

/** The types and closures of one expression, made in one pass over what the parser found. Knows a node or refuses it. */
export class CelCompiler {
  private readonly variables: ReadonlyMap<string, Variable>;
  /** Names of the variables that are read, in the order of their slots in the frame. */
  readonly read: string[] = [];
  private steps = 0;
  private item: { readonly name: string; readonly type: StaticType; readonly cell: Cell } | undefined;

  constructor(variables: readonly Variable[]) {
    this.variables = new Map(variables.map((variable) => [variable.name, variable]));
  }

  compile(node: ASTNode): Term {
    this.steps += this.item ? MACRO_ITEMS_MAX : 1;
    if (this.steps > STEPS_MAX) {
      const parts = Math.floor(STEPS_MAX / MACRO_ITEMS_MAX);
      throw new ExpressionFault('too_complex', `the macros have more than ${parts} parts in their bodies`, node.start);
    }
    switch (node.op) {
      case 'value':
        return literal(node, node.args);
      case 'id':
        return this.named(node, node.args);
      case '.':
        return this.named(node, this.path(node));
      case '[]':
        return this.element(node, node.args);
      case 'list':
        return this.list(node, node.args);
      case 'call':
        return this.call(node, node.args[0], node.args[1]);
      case 'rcall':
        return this.method(node, node.args[0], node.args[1], node.args[2]);
      case '?:': {
        const [condition, yes, no] = node.args;
        return choice(node, this.compile(condition), this.compile(yes), this.compile(no));
      }
      case '!_':
        return not(node, this.compile(node.args));
      case '-_':
        return negation(node, this.compile(node.args));
      case 'map':
        throw new ExpressionFault('forbidden', 'maps are refused', node.start);
      default:
        return this.infix(node);
    }
  }

  private infix(node: ASTNode): Term {
    const [left, right] = node.args as readonly [ASTNode, ASTNode];
    switch (node.op) {
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
        return arithmetic(node, node.op, this.compile(left), this.compile(right));
      case '==':
      case '!=':
        return equality(node, node.op, this.compile(left), this.compile(right));
      case '<':
      case '<=':
      case '>':
      case '>=':
        return order(node, node.op, this.compile(left), this.compile(right));
      case 'in':
        return membership(node, this.compile(left), this.compile(right));
      case '&&':
      case '||':
        return logic(node, node.op, this.compile(left), this.compile(right));
      default:
        throw new ExpressionFault('forbidden', `'${node.op}' is refused`, node.start);
    }
  }

  /** `macd.hist`: names with dots are names as others are; there are no members. */
  private path(node: ASTNode): string {
    if (node.op === 'id') return node.args;
    if (node.op === '.') return `${this.path(node.args[0])}.${node.args[1]}`;
    throw new ExpressionFault('forbidden', 'values have no members', node.start);
  }

  private named(node: ASTNode, name: string): Term {
    const { item } = this;
    if (item?.name === name) {
      const { cell } = item;
      return { node, type: item.type, run: () => cell.value };
    }
    const variable = this.variables.get(name);
    if (!variable) {
      const near = nearestWords(name, this.variables.keys())[0];
      const hint = near === undefined ? '' : `: did you mean '${near}'?`;
      throw new ExpressionFault('unknown_variable', `there is no '${name.slice(0, 64)}'${hint}`, node.start);
    }
    let slot = this.read.indexOf(name);
    if (slot < 0) slot = this.read.push(name) - 1;
    return {
      node,
      type: { kind: variable.type, list: variable.list === true },
      run: (frame) => frame[slot] ?? null,
    };
  }

  private list(node: ASTNode, items: readonly ASTNode[]): Term {
    const terms = items.map((item) => this.compile(item));
    let kind: StaticType = NULL;
    for (const { node: at, type } of terms) {
      const both = type.list ? undefined : unify(kind, type);
      if (!both) throw typeFault(at, `a list of ${typeName(kind)} does not take ${typeName(type)}`);
      kind = both;
    }
    const type: StaticType = { kind: kind.kind, list: true };
    if (terms.every(({ literal: value }) => value !== undefined)) {
      const value = Object.freeze(terms.map((term) => term.literal as number | string | boolean | null));
      return { node, type, literal: value, run: () => value };
    }
    const runs = terms.map(({ run }) => run);
    return { node, type, run: (frame) => runs.map((run) => run(frame) as number | string | boolean | null) };
  }

  private element(node: ASTNode, [of, at]: readonly [ASTNode, ASTNode]): Term {
    const [list, index] = [this.compile(of), this.compile(at)];
    if (!list.type.list) throw typeFault(of, `${typeName(list.type)} has no elements`);
    if (index.type.kind !== 'int' || index.type.list) {
      throw typeFault(at, `an index is int, not ${typeName(index.type)}`);
    }
    return {
      node,
      type: { kind: list.type.kind, list: false },
      run: (frame) => {
        const items = list.run(frame);
        const i = index.run(frame);
        return Array.isArray(items) && typeof i === 'number' ? ((items as FeatureValue[])[i] ?? null) : null;
      },
    };
  }

  private call(node: ASTNode, name: string, args: readonly ASTNode[]): Term {
    const [first] = args;
    if (name === 'has' && first) return { node, type: BOOL, run: isNull(this.compile(first).run, false) };
    return this.apply(node, name, find(node, name, FUNCTIONS), args);
  }

  private method(node: ASTNode, name: string, on: ASTNode, args: readonly ASTNode[]): Term {
    if (MACROS.has(name)) return this.macro(node, name, on, args);
    return this.apply(node, name, find(node, name, METHODS), [on, ...args]);
  }

  private apply(node: ASTNode, name: string, called: CelFunction, args: readonly ASTNode[]): Term {
    if (args.length < called.min || args.length > called.max) {
      const expected = called.min === called.max ? String(called.min) : `${called.min} to ${called.max}`;
      throw typeFault(node, `'${name}' takes ${expected} values, not ${args.length}`);
    }
    const terms = args.map((arg) => this.compile(arg));
    return { node, ...called.compile(terms, node) };
  }

  private macro(node: ASTNode, name: string, on: ASTNode, args: readonly ASTNode[]): Term {
    if (this.item) throw new ExpressionFault('too_complex', `'${name}' inside another macro`, node.start);
    const [variable, ...bodies] = args;
    if (variable?.op !== 'id' || bodies.length < 1 || bodies.length > (name === 'map' ? 2 : 1)) {
      throw typeFault(node, `'${name}' takes the name of a variable and a test`);
    }
    const list = this.compile(on);
    if (!list.type.list) throw typeFault(on, `'${name}' goes through a list, not ${typeName(list.type)}`);
    const cell: Cell = { value: null };
    this.item = { name: variable.args, type: { kind: list.type.kind, list: false }, cell };
    const terms = bodies.map((body) => this.compile(body));
    this.item = undefined;
    return macro({ node, name, list, cell }, terms);
  }
}

function find(node: ASTNode, name: string, known: ReadonlyMap<string, CelFunction>): CelFunction {
  const called = known.get(name);
  if (called) return called;
  const refused = REFUSED.get(name);
  if (refused !== undefined) throw new ExpressionFault('forbidden', refused, node.start);
  const near = nearestWords(name, known.keys())[0];
  const hint = near === undefined ? `known are ${[...known.keys()].join(', ')}` : `did you mean '${near}'?`;
  throw new ExpressionFault('forbidden', `there is no function '${name.slice(0, 64)}': ${hint}`, node.start);
}

function literal(node: ASTNode, value: unknown): Term {
  if (value === null) return { node, type: NULL, literal: null, run: () => null };
  if (typeof value === 'bigint') {
    const int = Number(value);
    if (!Number.isSafeInteger(int)) throw typeFault(node, 'whole numbers lie within ±(2^53 - 1)');
    return { node, type: INT, literal: int, run: () => int };
  }
  const type = { number: DOUBLE, string: STRING, boolean: BOOL }[typeof value as string];
  if (!type) throw new ExpressionFault('forbidden', 'unsigned numbers and bytes are refused', node.start);
  return { node, type, literal: value as FeatureValue, run: () => value as FeatureValue };
}
