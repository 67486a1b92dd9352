import { DomainError, type FieldFault } from '@sibyl/kernel';
import type { PastMoment } from '../engine/online-query';
import { INSTANT_EXPECTED, readInstant } from '../log/instant';
import { requestFault } from '../request-fault';
import { instantText, type Micros } from '../time';

export interface AskedMoment {
  readonly timestamp?: unknown;
  readonly knownAt?: unknown;
}

/**
 * The moment that a request asks about; undefined: now. Clocks of callers run ahead by up to `skew`: what lies further ahead is a
 * mistake, what does not is now. Throws invalid_parameter, timestamp_in_future.
 */
export function readMoment({ timestamp, knownAt }: AskedMoment, now: Micros, skew: Micros): PastMoment | undefined {
  const faults: FieldFault[] = [];
  const asked = instantOf(timestamp, '/timestamp', faults);
  const known = knownAt === 'now' ? now : instantOf(knownAt, '/known_at', faults);
  if (faults.length > 0) throw new DomainError('invalid_parameter', 'A time cannot be read.', { faults });
  if (asked !== undefined && asked > now + skew) throw inFuture('/timestamp', now, timestamp);
  if (known !== undefined && known > now + skew) throw inFuture('/known_at', now, knownAt);
  const at = Math.min(asked ?? now, now);
  if (known === undefined && at === now) return undefined;
  const k = Math.min(known ?? at, now);
  return { at, knownAt: k, corrected: k > at || knownAt === 'now' };
}

export function inFuture(pointer: string, now: Micros, given: unknown): DomainError {
  const fault = requestFault(pointer, `a time that has come: it is ${instantText(now)}`, given);
  return new DomainError('timestamp_in_future', 'The time has not come yet.', { faults: [fault] });
}

/** Pointers of times of a request that had not come when it was read, and were answered as of then. */
export function aheadOf({ timestamp, knownAt }: AskedMoment, now: Micros): readonly string[] {
  const isAhead = (given: unknown): boolean => given !== undefined && (readInstant(given) ?? now) > now;
  return [...(isAhead(timestamp) ? ['/timestamp'] : []), ...(isAhead(knownAt) ? ['/known_at'] : [])];
}

function instantOf(given: unknown, pointer: string, faults: FieldFault[]): Micros | undefined {
  if (given === undefined || given === null) return undefined;
  const at = readInstant(given);
  if (at === undefined) faults.push(requestFault(pointer, INSTANT_EXPECTED, given));
  return at;
}
