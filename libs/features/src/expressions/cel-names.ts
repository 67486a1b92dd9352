import type { ASTNode } from '@marcbachmann/cel-js';
import { MACROS } from './cel-macros';

/** Adds the names that are read below a node; `bound` are variables of macros. */
export function collectNames(node: ASTNode, bound: ReadonlySet<string>, names: Set<string>): void {
  switch (node.op) {
    case 'value':
      return;
    case 'id':
    case '.': {
      const name = dotted(node);
      if (name === undefined) return collectNames(node.args[0] as ASTNode, bound, names);
      if (!bound.has(name)) names.add(name);
      return;
    }
    case 'rcall':
      return ofMethod(node.args, bound, names);
    case 'call':
      return node.args[1].forEach((arg) => collectNames(arg, bound, names));
    case '!_':
    case '-_':
      return collectNames(node.args, bound, names);
    case 'map':
      return node.args.flat().forEach((arg) => collectNames(arg, bound, names));
    default:
      for (const arg of node.args) if (typeof arg !== 'string') collectNames(arg, bound, names);
  }
}

type MethodCall = Extract<ASTNode, { op: 'rcall' }>['args'];

function ofMethod([name, on, args]: MethodCall, bound: ReadonlySet<string>, names: Set<string>): void {
  collectNames(on, bound, names);
  const [variable, ...bodies] = args;
  const isMacro = MACROS.has(name) && variable?.op === 'id';
  const inside = isMacro ? new Set([...bound, variable.args]) : bound;
  for (const arg of isMacro ? bodies : args) collectNames(arg, inside, names);
}

/** `macd.hist`; undefined where something else than a name has the member. */
function dotted(node: ASTNode): string | undefined {
  if (node.op === 'id') return node.args;
  if (node.op !== '.') return undefined;
  const before = dotted(node.args[0]);
  return before === undefined ? undefined : `${before}.${node.args[1]}`;
}
