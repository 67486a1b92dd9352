import { checkRetention, instantText, readInstant, type SetSelection } from '@sibyl/features';
import { DomainError } from '@sibyl/kernel';
import type { FeatureAsk } from '@sibyl/prediction';

/** The moment that a request asks about; undefined: now. Clocks of callers run ahead by so many microseconds. */
export function momentOf(
  selection: SetSelection,
  { query, pointer }: FeatureAsk,
  now: number,
  skew: number,
): number | undefined {
  if (query.timestamp === undefined) return undefined;
  const at = readInstant(query.timestamp) ?? 0;
  if (at >= now && at <= now + skew) return undefined;
  const place = `${pointer.slice(0, pointer.lastIndexOf('/'))}/timestamp`;
  if (at > now) {
    const faults = [{ pointer: place, expected: `a time that has come: it is ${instantText(now)}` }];
    throw new DomainError('timestamp_in_future', 'The time has not come yet.', { faults });
  }
  checkRetention(selection, at, now, place);
  return at;
}
