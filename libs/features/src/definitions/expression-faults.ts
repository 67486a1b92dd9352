import type { FieldFault } from '@sibyl/kernel';
import type { ExpressionFault } from '../expressions/expression-engine';
import type { RuleFault } from '../rules/value-rule';

/** What a fault of an expression or a rule says at the member that holds it. */
type Said = Omit<FieldFault, 'pointer'>;

export function ofExpression({ message, position }: ExpressionFault): Said {
  return {
    expected: 'an expression that can be computed',
    hint: message,
    ...(position === undefined ? {} : { position }),
  };
}

export function ofRule({ message, position }: RuleFault): Said {
  return {
    expected: 'a rule that fits what it is about',
    hint: message,
    ...(position === undefined ? {} : { position }),
  };
}
