import { instantText, reachesBeyondRetention, readInstant, retentionFault, type SetSelection } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import type { FeatureAsk } from '@sibyl/prediction';

const MICROS_PER_MS = 1000;
/** Of a time that cannot be read: its fraction may have any number of digits. */
const SHOWN = 64;
const NOW: AskedMoment = { at: undefined };

/** The moment that a request asks about. */
export interface AskedMoment {
  /** Undefined: now. */
  readonly at: number | undefined;
  /** What is wrong with it where the log does not reach back so far. */
  readonly beforeRetention?: DomainError | undefined;
  /** A window by time begins before its stream is kept. */
  readonly beyondRetention?: boolean | undefined;
}

/** Throws where the moment has not come yet, or is none that the log could know. Clocks of callers run ahead by so many microseconds. */
export function momentOf(
  selection: SetSelection,
  { query, pointer }: FeatureAsk,
  now: number,
  skew: number,
): AskedMoment {
  if (query.timestamp === undefined) return NOW;
  const at = readInstant(query.timestamp);
  if (at !== undefined && at >= now && at <= now + skew) return NOW;
  const place = `${pointer.slice(0, pointer.lastIndexOf('/'))}/timestamp`;
  // What is too far ahead to be kept in microseconds has not come either.
  if (at === undefined ? Date.parse(query.timestamp) * MICROS_PER_MS > now : at > now) {
    const received = at === undefined ? query.timestamp.slice(0, SHOWN) : instantText(at);
    const faults = [{ pointer: place, expected: `a time that has come: it is ${instantText(now)}`, received }];
    throw new DomainError('timestamp_in_future', 'The time has not come yet.', { faults });
  }
  if (at === undefined) {
    const expected = 'RFC 3339 from 1970 on, with at most 9 digits after the second';
    const faults = [{ pointer: place, expected, received: query.timestamp.slice(0, SHOWN) }];
    throw new DomainError('invalid_parameter', 'The time cannot be read.', { faults });
  }
  const beforeRetention = retentionFault(selection, at, now, place);
  // Nothing is read of a time that is not kept.
  const beyondRetention = !beforeRetention && reachesBeyondRetention(selection, at, now);
  return { at, beforeRetention, beyondRetention };
}
