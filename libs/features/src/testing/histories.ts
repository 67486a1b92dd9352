import fc from 'fast-check';
import type { StreamIdentity } from '../definitions/feature-view';
import type { FeatureValue } from '../feature-value';
import type { TakenEvent } from '../log/feature-event';
import { MICROS_PER_SECOND, type Micros } from '../time';

const SECOND = MICROS_PER_SECOND;
export const BEGIN: Micros = 1_700_000_000 * SECOND;
const LATENESS = 15 * SECOND;

/** One event as it is on its way: how long after the one before it it arrives, and how long it took from when it happened. */
interface Draft {
  readonly after: number;
  readonly delay: number;
  readonly x: number | null;
  readonly kind: string | null;
  readonly ok: boolean | null;
  readonly id: number;
}

const draft: fc.Arbitrary<Draft> = fc.record({
  after: fc.constantFrom(0, 0, 1, 1, 2, 3, 9),
  // Up to 4 s ahead of its arrival, on time, late, later than the stream allows.
  delay: fc.constantFrom(-4, -1, 0, 0, 0, 0, 1, 2, 5, 9, 14, 16, 40),
  x: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }).map((n) => n / 4) },
    { weight: 1, arbitrary: fc.constant(null) },
  ),
  kind: fc.constantFrom('a', 'b', 'c', null),
  ok: fc.constantFrom(true, true, false, null),
  id: fc.integer({ min: 0, max: 2 ** 31 }),
});

/** Events in the order of their arrival: late, corrected, ahead of the clock, at the same moment; as the log has taken them. */
export function histories(identity: StreamIdentity, most = 40): fc.Arbitrary<TakenEvent[]> {
  return fc.array(draft, { minLength: 1, maxLength: most }).map((drafts) => take(drafts, identity));
}

function take(drafts: readonly Draft[], identity: StreamIdentity): TakenEvent[] {
  let clock = BEGIN;
  let previous = 0;
  let newest = Number.NEGATIVE_INFINITY;
  return drafts.map(({ after, delay, x, kind, ok, id }, i) => {
    clock += after * SECOND;
    const eventTime =
      clock - delay * SECOND - (identity === 'event_time' ? (clock - delay * SECOND) % (2 * SECOND) : 0);
    const logOnly = eventTime < newest - LATENESS;
    newest = Math.max(newest, eventTime);
    // The log gives no two events of an entity the same stamp.
    const ingestedAt = Math.max(clock, previous + 1);
    const event = tick({ eventTime, ingestedAt, previous, logOnly, values: [x, kind, ok], id: id * 64 + i });
    previous = ingestedAt;
    return event;
  });
}

/** One event of stream `ticks`. */
export function tick(event: {
  readonly eventTime: Micros;
  readonly ingestedAt?: Micros;
  readonly previous?: Micros;
  readonly logOnly?: boolean;
  readonly values: readonly FeatureValue[];
  readonly id: number;
  readonly entity?: string;
  readonly stream?: string;
}): TakenEvent {
  const { eventTime, ingestedAt = eventTime, previous = 0, logOnly = false } = event;
  const { values, id, entity = 'e', stream = 'ticks' } = event;
  const digits = id.toString(16).padStart(12, '0');
  const eventId = `00000000-0000-4000-8000-${digits}`;
  return { stream, entity, eventTime, ingestedAt, previous, logOnly, values, eventId };
}
