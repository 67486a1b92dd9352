import type { Database } from '@sibyl/database';
import { SystemClock } from '@sibyl/kernel';
import { Client } from 'pg';
import { LogStand } from '../testing/log-stand';
import { CommitFollower, type FollowerParts } from './commit-follower';
import type { EventListener, TakenEvent } from './feature-event';
import { INTAKE_KEPT } from './log-keeper';
import { RedisFanOut } from './redis-fan-out';

/** A process that was away for as long as it says. */
class LateClock extends SystemClock {
  awayMs = 0;

  override monotonic(): number {
    return super.monotonic() + this.awayMs;
  }
}

const silent = { info: () => undefined, warn: () => undefined };
let stand: LogStand;

beforeAll(async () => (stand = await LogStand.open()));
afterAll(() => stand.close());

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 500) throw new Error('it never came to hold');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const event = (entity: string, price: number): object => ({
  entity,
  event_time: Date.now() - 60_000 + price,
  values: { price, size: 1 },
});

async function following(
  listener: Pick<EventListener, 'lapsed' | 'taken'>,
  work: () => Promise<void>,
  more: Partial<FollowerParts> = {},
): Promise<void> {
  const { database, clock, streams } = stand;
  const parts = { database, clock, streams, settlement: stand.settlement(), known: () => false, log: silent };
  const follower = new CommitFollower({ ...parts, listeners: [listener], ...more }, 20);
  await follower.start();
  try {
    await work();
  } finally {
    await follower.stop();
  }
}

it('whoever was away for nearly as long as commits are kept forgets what it has, and follows on', async () => {
  const writer = stand.writer();
  const clock = new LateClock();
  const heard: TakenEvent[] = [];
  let lapses = 0;
  const listener = {
    taken: (events: readonly TakenEvent[]) => void heard.push(...events),
    lapsed: () => void lapses++,
  };
  const work = async (): Promise<void> => {
    clock.awayMs += INTAKE_KEPT / 2000 - 60_000;
    await stand.push(writer, 'ticks', event('L', 1));
    await until(() => heard.length === 1);
    expect(lapses).toBe(0);
    clock.awayMs += INTAKE_KEPT / 2000;
    await stand.push(writer, 'ticks', event('L', 2));
    await until(() => heard.length === 2);
    expect(lapses).toBe(1);
  };
  await following(listener, work, { clock });
});

it('that nothing could be looked for is told once each time', async () => {
  let [down, failed, looked, warned] = [false, 0, 0, 0];
  const query = async (sql: string, values?: readonly unknown[]): Promise<object[]> => {
    if (down) throw new Error(`down for the ${++failed}th time`);
    looked += 1;
    return stand.database.query<object>(sql, values);
  };
  const log = { warn: () => void warned++ };
  const work = async (): Promise<void> => {
    for (const times of [1, 2]) {
      down = true;
      const before = failed;
      await until(() => failed > before + 3);
      expect(warned).toBe(times);
      down = false;
      const seen = looked;
      await until(() => looked > seen + 4);
    }
  };
  await following({ taken: () => undefined }, work, { database: { query } as unknown as Database, log });
});

it('what came through Redis in part is looked for in the log, and what came whole is not', async () => {
  const heard: TakenEvent[] = [];
  const fanOut = new RedisFanOut({
    url: 'redis://127.0.0.1:1',
    channel: 'c',
    writer: 'me',
    listeners: [],
    log: silent,
  });
  const hear = (commit: string, total: number, events: readonly TakenEvent[]): void => {
    const wires = events.map((one) => [
      ...[one.stream, one.entity, one.eventTime, one.eventId, one.ingestedAt, one.previous, one.logOnly, one.values],
    ]);
    const message = JSON.stringify({ writer: 'other', commit, total, events: wires });
    const { subscriber } = fanOut as unknown as { subscriber: NodeJS.EventEmitter };
    subscriber.emit('message', 'c', message);
  };
  const tell = {
    taken: (events: readonly TakenEvent[], commit = ''): void => {
      const [first] = events;
      if (first?.entity === 'WHOLE') {
        hear(commit, events.length, events.slice(0, 2));
        hear(commit, events.length, events.slice(2));
      } else if (first?.entity === 'PART') hear(commit, events.length, events.slice(1));
    },
  };
  const writer = stand.writer([tell]);
  const listener = { taken: (events: readonly TakenEvent[]) => void heard.push(...events) };
  const work = async (): Promise<void> => {
    for (const entity of ['WHOLE', 'PART', 'NONE'])
      await stand.push(writer, 'ticks', event(entity, 1), event(entity, 2), event(entity, 3));
    await until(() => heard.filter(({ entity }) => entity === 'NONE').length === 3);
  };
  await following(listener, work, { known: fanOut.knows });
  const times = (of: string): number => heard.filter(({ entity }) => entity === of).length;
  expect([times('PART'), times('WHOLE')]).toEqual([3, 0]);
  fanOut.stop();
});

describe('a push goes again from its beginning', () => {
  let client: Client;
  beforeEach(async () => {
    client = new Client({ connectionString: stand.url });
    await client.connect();
  });
  afterEach(() => client.end());

  it('where its transaction was ended in favour of another one that waited for it', async () => {
    const { id } = stand.streams.stream('ticks') as { id: number };
    const lock = (entity: string): Promise<unknown> =>
      client.query(`SELECT 1 FROM features.latest WHERE stream = ${id} AND entity = '${entity}' FOR UPDATE`);
    const writer = stand.writer();
    await stand.push(writer, 'ticks', event('D1', 1), event('D2', 1));
    await client.query('BEGIN');
    // Whoever waits longer for the other is the one that is ended.
    await client.query(`SET LOCAL deadlock_timeout = '20s'`);
    await lock('D2');
    const pushed = stand.push(writer, 'ticks', event('D1', 2), event('D2', 2));
    const isWaiting = async (): Promise<boolean> =>
      ((await client.query('SELECT 1 FROM pg_locks WHERE NOT granted')).rowCount ?? 0) > 0;
    while (!(await isWaiting())) await new Promise((resolve) => setTimeout(resolve, 10));
    await lock('D1');
    const { rows } = await client.query<{ n: string }>(
      `SELECT count(*) AS n FROM features.event WHERE stream = ${id} AND entity IN ('D1', 'D2')`,
    );
    expect(rows[0]?.n).toBe('2');
    await client.query('COMMIT');
    expect((await pushed).map(({ result }) => result)).toEqual(['ACCEPTED', 'ACCEPTED']);
  });

  it('where the cut of the log that it needs was dropped meanwhile', async () => {
    const writer = stand.writer();
    const old = (price: number): object => ({ ...event('V', price), event_time: Date.now() - 10 * 86_400_000 + price });
    await stand.push(writer, 'ticks', old(1));
    const { rows } = await client.query<{ part: string }>(
      `SELECT tableoid::regclass::text AS part FROM features.event WHERE entity = 'V'`,
    );
    const part = rows[0]?.part as string;
    await client.query(`DROP TABLE ${part}`);
    await client.query(`DELETE FROM features.period WHERE part = $1`, [part.replace('features.', '')]);
    expect((await stand.push(writer, 'ticks', old(2))).map(({ result }) => result)).toEqual(['ACCEPTED']);
  });
});
