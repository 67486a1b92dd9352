import type { TakenEvent } from '../log/feature-event';
import { BEGIN, tick } from '../testing/histories';
import { ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';

const SECOND = MICROS_PER_SECOND;
const plan = planOf(
  [ticks('event_id')],
  [
    { name: 'price', op: 'last', stream: 'ticks', inputs: ['x'] },
    { name: 'sum', op: 'sum', stream: 'ticks', inputs: ['x'], window: { span: 3600 * SECOND } },
  ],
);

let ids = 0;
const event = (second: number, x: number, more: Partial<TakenEvent> = {}): TakenEvent => {
  const eventTime = BEGIN + second * SECOND;
  return { ...tick({ eventTime, values: [x, 'a', true], id: ++ids }), ...more };
};

/** An engine that has an event of second 1 in memory. */
async function engine(): Promise<EngineStand> {
  const stand = new EngineStand(plan);
  stand.now = BEGIN + 100 * SECOND;
  stand.take(event(1, 1));
  await stand.read();
  return stand;
}

/** The log has taken them; who has heard of them is another matter. */
function commit(stand: EngineStand, ...events: readonly TakenEvent[]): TakenEvent[] {
  const taken = stand.stamped(events);
  stand.log.events.push(...taken);
  return taken;
}

/** What is served now, and what the log gives for the record of it. */
async function served(stand: EngineStand): Promise<{ values: unknown; again: unknown; reads: number }> {
  const before = stand.log.reads;
  const answer = await stand.live.read(stand.query('e'));
  const reads = stand.log.reads - before;
  const knownAt = answer.frames[0]?.[0]?.basis[0]?.arrived as number;
  return { values: stand.named(answer), again: await stand.readPast(answer.at, { knownAt }), reads };
}

it('an event that is heard before an earlier one is not served without it', async () => {
  const stand = await engine();
  const [, mine] = commit(stand, event(10, 10), event(11, 100));
  stand.store.taken([mine as TakenEvent]);
  const { values, again } = await served(stand);
  expect(values).toEqual({ price: 100, sum: 111 });
  expect(again).toEqual(values);
});

it('what was missed and comes after all is applied in its turn, without the log', async () => {
  const stand = await engine();
  const [first, second, third] = commit(stand, event(10, 10), event(11, 100), event(9, 1000)) as [
    TakenEvent,
    TakenEvent,
    TakenEvent,
  ];
  stand.store.taken([third, second, third]);
  stand.store.taken([first, second]);
  expect(await served(stand)).toEqual({
    values: { price: 100, sum: 1111 },
    again: { price: 100, sum: 1111 },
    reads: 0,
  });
});

it('an event that never was heard of is read from the log when the next one tells of it', async () => {
  const stand = await engine();
  commit(stand, event(10, 10));
  expect(await served(stand)).toMatchObject({ values: { sum: 1 }, again: { sum: 1 }, reads: 0 });
  stand.store.taken(commit(stand, event(11, 100)));
  expect(await served(stand)).toMatchObject({ values: { sum: 111 }, again: { sum: 111 }, reads: 1 });
  stand.store.taken(commit(stand, event(12, 1000)));
  expect(await served(stand)).toMatchObject({ values: { sum: 1111 }, reads: 0 });
});

it('what came too late to be served is no gap, whether it was heard or read', async () => {
  const stand = await engine();
  stand.take(event(2, 7, { logOnly: true }), event(11, 10));
  expect(await served(stand)).toMatchObject({ values: { sum: 11 }, reads: 0 });
  stand.take(event(3, 7, { logOnly: true }));
  stand.store.drop(stand.store.tablesOf('ticks')[0] as never, 'e');
  expect(await served(stand)).toMatchObject({ values: { sum: 11 }, reads: 1 });
  stand.take(event(12, 100));
  expect(await served(stand)).toMatchObject({ values: { sum: 111 }, again: { sum: 111 }, reads: 0 });
});

it('of an event that has not come although a later one has, all but the two is served while the log is gone', async () => {
  const stand = await engine();
  const [, mine] = commit(stand, event(10, 10), event(11, 100));
  stand.store.taken([mine as TakenEvent]);
  stand.log.before = () => Promise.reject(new Error('gone'));
  const answer = await stand.live.read(stand.query('e'));
  expect(answer.unread).toBe('failed');
  expect(stand.named(answer)).toEqual({ price: 1, sum: 1 });
  stand.log.before = undefined;
  expect(await served(stand)).toMatchObject({ values: { sum: 111 }, again: { sum: 111 } });
});

it('one that is heard while the log is read is served with those before it', async () => {
  const stand = await engine();
  stand.store.drop(stand.store.tablesOf('ticks')[0] as never, 'e');
  stand.log.after = () => {
    stand.log.after = undefined;
    const [, mine] = commit(stand, event(10, 10), event(11, 100));
    stand.store.taken([mine as TakenEvent]);
  };
  expect(await served(stand)).toEqual({ values: { price: 100, sum: 111 }, again: { price: 100, sum: 111 }, reads: 2 });
});

it('more than may wait is not kept', async () => {
  const stand = await engine();
  const [, ...later] = commit(stand, ...Array.from({ length: 100 }, (_, i) => event(10 + i / 10, 1)));
  stand.store.taken(later);
  expect(stand.store.size).toBe(0);
  expect(await served(stand)).toMatchObject({ values: { sum: 101 }, again: { sum: 101 } });
});
