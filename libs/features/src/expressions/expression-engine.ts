import type { FeatureValue, ValueType } from '../feature-value';

export interface Variable {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
  readonly list?: boolean;
}

export class ExpressionFault extends Error {
  constructor(
    readonly code: 'syntax' | 'unknown_variable' | 'type' | 'forbidden' | 'too_complex',
    message: string,
    /** Characters from the beginning of the expression, where the fault is known to lie. */
    readonly position?: number,
  ) {
    super(message);
  }
}

/** A checked expression: a pure function of its variables that ends in bounded time. */
export interface CompiledExpression {
  readonly type: ValueType;
  /** Variables that it reads, in the order of `values`. */
  readonly variables: readonly string[];
  /**
   * `values` in the order of `variables`. Null where one that it needs is null (unless `coalesce` takes it); NaN and infinities
   * are returned as they are. Throws nothing: arithmetic that has no answer, such as a modulus by zero, is NaN.
   */
  readonly evaluate: (values: readonly FeatureValue[]) => FeatureValue;
}

/** Compiles CEL. One place to change the library behind it. */
export interface ExpressionEngine {
  /** Names that an expression reads, with their dots, whether or not they are known. Throws `ExpressionFault` of its syntax. */
  names(source: string): readonly string[];
  /** `expected` left out: any type. Throws `ExpressionFault`. */
  compile(source: string, variables: readonly Variable[], expected?: ValueType): CompiledExpression;
}
