import { DomainError, type FieldFault } from '@sibyl/kernel';
import { breakingChanges } from './breaking-changes';
import { callerContract } from './caller-contract';
import type { ModelVersion } from './model-version';

/** Refuses a move that would break the callers of an alias; what its mover allowed is returned, to be kept with the move. */
export function checkCallers(
  from: ModelVersion,
  to: ModelVersion,
  allowBreaking: boolean,
): readonly FieldFault[] | undefined {
  const faults = breakingChanges(callerContract(from), callerContract(to));
  if (faults.length === 0) return undefined;
  if (allowBreaking) return faults;
  throw new DomainError(
    'breaking_change',
    `Version ${to.version} of model '${to.model}' would break callers of ${from.version}; "allow_breaking": true promotes it all the same.`,
    { faults },
  );
}
