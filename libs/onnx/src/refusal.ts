import { DomainError, type FieldFault } from '@sibyl/kernel';

/** The one error of this library for what is wrong with a model. */
export function refusal(faults: readonly FieldFault[], cause?: unknown): DomainError {
  const count = faults.length;
  const detail = `The model was refused before it was loaded, for ${count === 1 ? 'one reason' : `${count} reasons`}.`;
  return new DomainError('model_rejected', detail, { faults, cause });
}
