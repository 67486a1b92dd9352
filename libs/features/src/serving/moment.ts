import { DomainError, type FieldFault } from '@sibyl/kernel';
import type { PastMoment } from '../engine/online-query';
import { INSTANT_EXPECTED, readInstant } from '../log/instant';
import { instantText, MICROS_PER_SECOND, type Micros } from '../time';

/** Clocks of callers run ahead by so much; what lies further ahead is a mistake. */
const CLOCK_AHEAD = 5 * MICROS_PER_SECOND;

export interface AskedMoment {
  readonly timestamp?: unknown;
  readonly knownAt?: unknown;
}

/** The moment that a request asks about; undefined: now. Throws invalid_parameter, timestamp_in_future. */
export function readMoment({ timestamp, knownAt }: AskedMoment, now: Micros): PastMoment | undefined {
  const faults: FieldFault[] = [];
  const asked = instantOf(timestamp, '/timestamp', faults);
  const known = knownAt === 'now' ? now : instantOf(knownAt, '/known_at', faults);
  if (faults.length > 0) throw new DomainError('invalid_parameter', 'A time cannot be read.', { faults });
  for (const [at, pointer] of [
    [asked, '/timestamp'],
    [known, '/known_at'],
  ] as const) {
    if (at === undefined || at <= now + CLOCK_AHEAD) continue;
    const fault = { pointer, expected: `a time that has come: it is ${instantText(now)}` };
    throw new DomainError('timestamp_in_future', 'The time has not come yet.', { faults: [fault] });
  }
  const at = Math.min(asked ?? now, now);
  if (known === undefined && at === now) return undefined;
  const k = Math.min(known ?? at, now);
  return { at, knownAt: k, corrected: k > at || knownAt === 'now' };
}

function instantOf(given: unknown, pointer: string, faults: FieldFault[]): Micros | undefined {
  if (given === undefined || given === null) return undefined;
  const at = readInstant(given);
  if (at === undefined) faults.push({ pointer, expected: INSTANT_EXPECTED });
  return at;
}
