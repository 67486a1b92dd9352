import type { FeatureValue } from '../feature-value';
import type { ASTNode } from '@marcbachmann/cel-js';
import { BOOL, typeFault, typeName, type Frame, type Run, type StaticType, type Term } from './cel-term';

/** Longest list that a macro goes through; over a longer one it has no answer. */
export const MACRO_ITEMS_MAX = 64;

export const MACROS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);

/** The variable of a macro while its body runs. One a macro: bodies hold no macros, and an evaluation never waits. */
export interface Cell {
  value: FeatureValue;
}

type Items = readonly (number | string | boolean | null)[];

export interface MacroCall {
  readonly node: ASTNode;
  readonly name: string;
  readonly list: Term;
  readonly cell: Cell;
}

/** A macro over `list`, whose bodies were compiled with `cell` as their variable. `map(x, test, body)` has two. */
export function macro({ node, name, list, cell }: MacroCall, bodies: readonly Term[]): Term {
  const body = bodies.at(-1);
  const test = bodies.length > 1 ? bodies[0] : undefined;
  const tests = name === 'map' ? test : body;
  if (tests && (tests.type.kind !== 'bool' || tests.type.list)) {
    throw typeFault(tests.node, `the test of '${name}' is ${typeName(tests.type)} and not bool`);
  }
  if (!body) throw typeFault(node, `'${name}' needs a test`);
  if (name === 'map' && body.type.list) throw typeFault(body.node, "'map' makes no lists of lists");
  const type: StaticType = name === 'map' ? { kind: body.type.kind, list: true } : name === 'filter' ? list.type : BOOL;
  const over = list.run;
  const run = RUNS[name]?.(cell, body.run, test?.run);
  if (!run) throw typeFault(node, `'${name}' is not known`);
  return {
    node,
    type,
    run: (frame) => {
      const items = over(frame);
      return Array.isArray(items) && items.length <= MACRO_ITEMS_MAX ? run(items as Items, frame) : null;
    },
  };
}

type MacroRun = (items: Items, frame: Frame) => FeatureValue;

const RUNS: Readonly<Record<string, (cell: Cell, body: Run, test?: Run) => MacroRun>> = {
  all: (cell, body) => quantifier(cell, body, false),
  exists: (cell, body) => quantifier(cell, body, true),
  exists_one: (cell, body) => (items, frame) => {
    let count = 0;
    for (cell.value of items) if (body(frame) === true) count++;
    return count === 1;
  },
  filter: (cell, body) => (items, frame) => {
    const kept: (number | string | boolean | null)[] = [];
    for (const item of items) {
      cell.value = item;
      if (body(frame) === true) kept.push(item);
    }
    return kept;
  },
  map: (cell, body, test) => (items, frame) => {
    const made: (number | string | boolean | null)[] = [];
    for (cell.value of items) {
      if (test && test(frame) !== true) continue;
      made.push(body(frame) as number | string | boolean | null);
    }
    return made;
  },
};

function quantifier(cell: Cell, body: Run, decides: boolean): MacroRun {
  return (items, frame) => {
    let unknown = false;
    for (cell.value of items) {
      const value = body(frame);
      if (value === decides) return decides;
      unknown ||= value === null;
    }
    return unknown ? null : !decides;
  };
}
