import { instantText, reachesBeyondRetention, readInstant, retentionFault, type SetSelection } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import type { FeatureAsk } from '@sibyl/prediction';

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

/** Throws where the moment has not come yet. Clocks of callers run ahead by so many microseconds. */
export function momentOf(
  selection: SetSelection,
  { query, pointer }: FeatureAsk,
  now: number,
  skew: number,
): AskedMoment {
  if (query.timestamp === undefined) return NOW;
  const at = readInstant(query.timestamp) ?? 0;
  if (at >= now && at <= now + skew) return NOW;
  const place = `${pointer.slice(0, pointer.lastIndexOf('/'))}/timestamp`;
  if (at > now) {
    const faults = [
      { pointer: place, expected: `a time that has come: it is ${instantText(now)}`, received: instantText(at) },
    ];
    throw new DomainError('timestamp_in_future', 'The time has not come yet.', { faults });
  }
  const beforeRetention = retentionFault(selection, at, now, place);
  // Nothing is read of a time that is not kept.
  const beyondRetention = !beforeRetention && reachesBeyondRetention(selection, at, now);
  return { at, beforeRetention, beyondRetention };
}
