import { Environment, ParseError, type ASTNode } from '@marcbachmann/cel-js';
import type { FeatureValue, ValueType } from '../feature-value';
import { ARGUMENTS_MAX } from './cel-call';
import { CelCompiler } from './cel-compiler';
import { collectNames } from './cel-names';
import { MACRO_ITEMS_MAX } from './cel-macros';
import { isNumber, typeFault, typeName, type StaticType, type Term } from './cel-term';
import { ExpressionFault, type CompiledExpression, type ExpressionEngine, type Variable } from './expression-engine';
import { refuel } from './fuel';

export const EXPRESSION_MAX = 4096;

const LIMITS = {
  maxAstNodes: 400,
  maxDepth: 24,
  maxListElements: MACRO_ITEMS_MAX,
  maxMapEntries: 0,
  maxCallArguments: ARGUMENTS_MAX,
};

/**
 * CEL: the library reads the text, and what it read is checked and compiled here, into closures over a frame of plain values.
 *
 * The library's own evaluator is not used. It works on JavaScript objects, calls methods by the types that it finds while it runs,
 * has int as BigInt, so that `x / 2` of a double fails when it is computed and not when it is published, and has operations whose
 * cost nobody bounds (`matches`, `split`, macros in macros). The closures know only what `cel-*.ts` beside this lists; null goes
 * through them as a value and not as an exception; and what they may spend is counted.
 */
export class CelEngine implements ExpressionEngine {
  private readonly environment = new Environment({ limits: LIMITS });

  compile(source: string, variables: readonly Variable[], expected?: ValueType): CompiledExpression {
    const compiler = new CelCompiler(variables);
    const term = compiler.compile(this.parse(source));
    const type = resultType(term, expected);
    return { type, variables: compiler.read, evaluate: evaluator(term, type) };
  }

  names(source: string): readonly string[] {
    const names = new Set<string>();
    collectNames(this.parse(source), new Set(), names);
    return [...names];
  }

  private parse(source: string): ASTNode {
    if (source.length > EXPRESSION_MAX) {
      throw new ExpressionFault('too_complex', `an expression has at most ${EXPRESSION_MAX} characters`);
    }
    try {
      return this.environment.parse(source).ast;
    } catch (error) {
      if (!(error instanceof ParseError)) {
        // Ten thousand signs in a row are read by as many calls, each in the one before it.
        throw new ExpressionFault('too_complex', 'the expression is nested too deeply');
      }
      const code = error.code === 'limit_exceeded' ? 'too_complex' : 'syntax';
      throw new ExpressionFault(code, error.summary, error.range?.start);
    }
  }
}

function resultType({ node, type }: Term, expected: ValueType | undefined): ValueType {
  if (type.list || type.kind === 'null')
    throw typeFault(node, `the expression gives ${typeName(type)} and not one value`);
  if (expected === undefined || fits(type, expected)) return expected ?? type.kind;
  const hint = expected === 'int' && type.kind === 'double' ? ': see int() and round()' : '';
  throw typeFault(node, `the expression gives ${typeName(type)} and not ${expected}${hint}`);
}

function fits(type: StaticType, expected: ValueType): boolean {
  return type.kind === expected || (expected === 'double' && isNumber(type));
}

const JAVASCRIPT_TYPES = { double: 'number', int: 'number', string: 'string', bool: 'boolean' } as const;

function evaluator({ run }: Term, type: ValueType): CompiledExpression['evaluate'] {
  const expected = JAVASCRIPT_TYPES[type];
  return (values) => {
    refuel();
    const value: FeatureValue = run(values);
    // A variable that held another type than was declared must not come out under a type that the expression has not.
    return typeof value === expected ? value : null;
  };
}
