import type { FieldFault } from '@sibyl/kernel';
import type { OperatorOutput } from './feature-view';

/** Says what is wrong with a member of a feature. */
export type Fail = (member: string, fault: Omit<FieldFault, 'pointer'>) => undefined;

/** The outputs of an operator that `outputs` of the definition names, in the order of the operator; all where it is left out. */
export function chosenOutputs(
  names: readonly string[] | undefined,
  all: readonly OperatorOutput[],
  fail: Fail,
): readonly OperatorOutput[] | undefined {
  if (names === undefined) return all;
  const known = all.flatMap(({ name }) => (name === '' ? [] : [name]));
  if (names.length === 0 || names.some((name) => !known.includes(name))) {
    const expected = known.length === 0 ? 'no names: the operator has one output' : `some of ${known.join(', ')}`;
    return fail('outputs', { expected });
  }
  return all.filter(({ name }) => names.includes(name));
}
