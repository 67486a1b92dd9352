import type { ASTNode } from '@marcbachmann/cel-js';
import type { FeatureValue, ValueType } from '../feature-value';
import { ExpressionFault } from './expression-engine';

/** The type of a part of an expression. `null` is that of the word `null`, and of the elements of `[]`. */
export interface StaticType {
  readonly kind: ValueType | 'null';
  readonly list: boolean;
}

/** The values of the variables, in the order of `CompiledExpression.variables`. */
export type Frame = readonly FeatureValue[];

/** Computes a part. Takes and gives plain values only: numbers, text, booleans, null and flat arrays of them. */
export type Run = (frame: Frame) => FeatureValue;

/** A part of an expression, checked and compiled. */
export interface Term {
  readonly node: ASTNode;
  readonly type: StaticType;
  readonly run: Run;
  /** Present where the part is a literal. */
  readonly literal?: FeatureValue;
}

export const DOUBLE: StaticType = { kind: 'double', list: false };
export const INT: StaticType = { kind: 'int', list: false };
export const STRING: StaticType = { kind: 'string', list: false };
export const BOOL: StaticType = { kind: 'bool', list: false };
export const NULL: StaticType = { kind: 'null', list: false };

export function typeName({ kind, list }: StaticType): string {
  return list ? `list<${kind}>` : kind;
}

export function isNumber({ kind, list }: StaticType): boolean {
  return !list && (kind === 'double' || kind === 'int');
}

/** The type that holds values of both: a whole number becomes a double beside doubles, null goes with everything. */
export function unify(a: StaticType, b: StaticType): StaticType | undefined {
  if (a.list !== b.list) {
    if (a.kind === 'null' && !a.list) return b;
    return b.kind === 'null' && !b.list ? a : undefined;
  }
  if (a.kind === b.kind || b.kind === 'null') return a;
  if (a.kind === 'null') return b;
  const numbers = (a.kind === 'int' || a.kind === 'double') && (b.kind === 'int' || b.kind === 'double');
  return numbers ? { kind: 'double', list: a.list } : undefined;
}

export function typeFault(node: ASTNode, message: string): ExpressionFault {
  return new ExpressionFault('type', message, node.start);
}
