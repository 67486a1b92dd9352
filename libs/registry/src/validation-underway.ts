import { DomainError, type Clock } from '@sibyl/kernel';
import type { VersionRow } from './version-rows';

/** How long a validation may go on. */
export interface ValidationTime {
  readonly clock: Clock;
  readonly abandonedAfterMs: number;
}

/** Whether the validation of a version ended without a verdict: whoever was at it has died. */
export function isAbandoned(
  { status, changed_at: since }: VersionRow,
  { clock, abandonedAfterMs }: ValidationTime,
): boolean {
  return status === 'registered' && clock.now() - new Date(since).getTime() > abandonedAfterMs;
}

/**
 * Refuses to take a version away from under its validation, which would end with a verdict on nothing: in_use. What nobody validates
 * any more may be taken away.
 */
export function refuseUnderway(row: VersionRow, time: ValidationTime): void {
  if (row.status !== 'registered' || isAbandoned(row, time)) return;
  const detail = `Version ${row.version} of model '${row.model}' is being validated: cancel that, or wait until it ends.`;
  throw new DomainError('in_use', detail);
}
