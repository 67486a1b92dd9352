import type { ASTNode } from '@marcbachmann/cel-js';
import type { FeatureValue } from '../feature-value';
import { isNumber, typeFault, typeName, type Run, type StaticType, type Term } from './cel-term';

/** What a call comes to: its type and how it is computed. */
export type Call = Pick<Term, 'type' | 'run'>;

/** A function, or a method whose first argument is the value that it is called on. */
export interface CelFunction {
  readonly min: number;
  readonly max: number;
  /** Throws `ExpressionFault` where the arguments do not fit. */
  compile(args: readonly Term[], node: ASTNode): Call;
}

export const ARGUMENTS_MAX = 8;

/** What is computed of values that are all there, of the types that were checked. */
export type Compute = (...values: never[]) => FeatureValue;

/** Calls `compute` where no argument is null. Calls with one or two, which are most, make no array. */
export function present(args: readonly Term[], compute: Compute): Run {
  const call = compute as (...values: FeatureValue[]) => FeatureValue;
  const runs = args.map(({ run }) => run);
  const [first, second] = runs;
  if (first && runs.length === 1) {
    return (frame) => {
      const a = first(frame);
      return a === null ? null : call(a);
    };
  }
  if (first && second && runs.length === 2) {
    return (frame) => {
      const a = first(frame);
      if (a === null) return null;
      const b = second(frame);
      return b === null ? null : call(a, b);
    };
  }
  return (frame) => {
    const values = runs.map((run) => run(frame));
    return values.includes(null) ? null : call(...values);
  };
}

/** A function with arguments of these types. */
export function fixed(takes: readonly StaticType[], type: StaticType, compute: Compute): CelFunction {
  return {
    min: takes.length,
    max: takes.length,
    compile: (args) => {
      takes.forEach((expected, i) => needType(args[i], expected));
      return { type, run: present(args, compute) };
    },
  };
}

function needType(arg: Term | undefined, expected: StaticType): void {
  if (!arg) return;
  const { node, type } = arg;
  if (type.kind === expected.kind && type.list === expected.list) return;
  if (isNumber(type) && !expected.list && expected.kind === 'double') return;
  const wanted = expected.kind === 'double' ? 'a number' : typeName(expected);
  throw typeFault(node, `${wanted} is expected, not ${typeName(type)}`);
}
