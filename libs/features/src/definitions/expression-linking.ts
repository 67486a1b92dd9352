import {
  ExpressionFault,
  type CompiledExpression,
  type ExpressionEngine,
  type Variable,
} from '../expressions/expression-engine';
import type { ValueType } from '../feature-value';
import { ofExpression } from './expression-faults';
import type { StreamDefinition } from './feature-view';
import type { Fail } from './operator-outputs';
import type { EventCondition } from './view-plan';

/** An expression as a member of a feature holds it. */
export interface WrittenExpression {
  readonly member: 'expr' | 'where';
  readonly source: string;
  /** Left out: any type. */
  readonly expected: ValueType | undefined;
}

export function linkExpression(
  { member, source, expected }: WrittenExpression,
  variables: readonly Variable[],
  engine: ExpressionEngine,
  fail: Fail,
): CompiledExpression | undefined {
  try {
    return engine.compile(source, variables, expected);
  } catch (error) {
    if (!(error instanceof ExpressionFault)) throw error;
    return fail(member, ofExpression(error));
  }
}

/** `where`, over the fields of one event. */
export function linkCondition(
  source: string,
  { fields }: StreamDefinition,
  engine: ExpressionEngine,
  fail: Fail,
): EventCondition | undefined {
  const expression = linkExpression({ member: 'where', source, expected: 'bool' }, fields, engine, fail);
  if (!expression) return undefined;
  const indexes = expression.variables.map((name) => fields.findIndex((field) => field.name === name));
  return { expression, fields: indexes };
}
