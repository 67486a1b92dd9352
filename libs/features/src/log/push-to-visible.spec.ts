import type { TakenEvent } from './feature-event';
import { PushToVisible } from './push-to-visible';

const event = (ingestedAt: number, logOnly = false): TakenEvent =>
  ({ stream: 's', entity: 'e', ingestedAt, logOnly }) as TakenEvent;

it('measures each event once, from its stamp to the first time that it is heard of', () => {
  let now = 5_000_000;
  const seen: number[] = [];
  const visible = new PushToVisible(
    () => now,
    (seconds) => seen.push(seconds),
  );
  // Those of one commit may have one stamp; one that is never served is not measured; clocks differ.
  visible.taken([event(4_500_000), event(4_500_000), event(4_900_000, true), event(5_100_000)]);
  now = 9_000_000;
  visible.taken([event(4_500_000), event(8_000_000)]);
  expect(seen).toEqual([0.5, 0.5, 0, 1]);
});

it('knows stamps that were told before many others', () => {
  let seen = 0;
  const visible = new PushToVisible(
    () => 9_000_000,
    () => seen++,
  );
  const events = Array.from({ length: 25_001 }, (_, i) => event(i));
  visible.taken(events);
  visible.taken([event(0), event(25_000)]);
  expect(seen).toBe(events.length);
});
