import { DomainError, type FieldFault } from '@sibyl/kernel';
import { OnnxLimits } from '../onnx-limits';

/** The reasons of a refusal; fails when there is none, or when the error is anything but `model_rejected`. */
export function faultsOf(work: () => unknown): readonly FieldFault[] {
  try {
    work();
  } catch (error) {
    return rejectionFaults(error);
  }
  throw new Error('expected a refusal');
}

export function rejectionFaults(error: unknown): readonly FieldFault[] {
  if (!(error instanceof DomainError) || error.code !== 'model_rejected') throw error;
  return error.faults ?? [];
}

/** Default limits but for some. */
export function limitsWith(changes: Partial<OnnxLimits>): OnnxLimits {
  return Object.assign(new OnnxLimits(), changes);
}
