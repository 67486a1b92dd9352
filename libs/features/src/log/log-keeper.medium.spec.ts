import type { ChangeRecord } from '@sibyl/audit';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { LogStand, unrecorded } from '../testing/log-stand';
import { DAY, streamDefinition } from '../testing/stream-definition';
import { LogKeeper, type KeeperParts } from './log-keeper';
import type { PushResult } from './feature-event';

const HOUR = 3_600_000_000;
const DAY_MS = 86_400_000;
const silent = { info: () => undefined, warn: () => undefined };
const STORED: readonly PushResult[] = ['ACCEPTED', 'LATE_APPLIED', 'LATE_LOG_ONLY'];

const event = (entity: string, secondsAgo: number, price: number): object => ({
  entity,
  event_time: Date.now() - secondsAgo * 1000,
  values: { price, size: 1 },
});

let stand: LogStand;
/** The owner, who alone can do what time does. */
let owner: Client;

beforeAll(async () => {
  stand = await LogStand.open();
  owner = new Client({ connectionString: stand.url });
  await owner.connect();
  await owner.query('SET session_replication_role = replica');
});
afterAll(async () => {
  await owner.end();
  await stand.close();
});

function keeper(parts: Partial<KeeperParts> = {}): LogKeeper {
  const { database } = stand;
  return new LogKeeper({ database, log: silent, record: unrecorded, onDropped: () => undefined, ...parts }, 1000);
}

describe('a cut of the log that no stream keeps any more', () => {
  const midnight = (daysAgo: number): string =>
    new Date(Math.floor(Date.now() / DAY_MS - daysAgo) * DAY_MS).toISOString();
  const cuts = (): Promise<unknown[]> => stand.database.query('SELECT part FROM features.period ORDER BY part');

  it('is dropped with an event that says what was in it, and not without one', async () => {
    await stand.addStream(streamDefinition({ name: 'days', retention: 30 * DAY }));
    const writer = stand.writer();
    for (const [day, entity] of [
      [20, 'A'],
      [19, 'A'],
      [19, 'B'],
      [1, 'A'],
    ] as const)
      await stand.push(writer, 'days', event(entity, day * 86_400, 1));
    await owner.query('ANALYZE features.event');
    await owner.query(`UPDATE features.stream SET retention = ${15 * DAY}`);
    const before = await cuts();
    await expect(keeper({ record: () => Promise.reject(new Error('no trail')) }).keep()).rejects.toThrow('no trail');
    expect([before.length, await cuts()]).toEqual([3, before]);
    const changes: ChangeRecord[] = [];
    const dropped = await keeper({ record: (_, change) => Promise.resolve(void changes.push(change)) }).keep();
    const drop = (part: string | undefined, days: number, events: number): unknown => ({
      action: 'feature.drop',
      resource: { type: 'feature_log', id: part },
      changes: {
        ...{ retention_class: 'day', from: midnight(days), to: midnight(days - 1), streams: ['days'] },
        ...{ events_about: events, bytes: expect.any(Number) as number },
      },
    });
    expect(changes).toEqual([drop(dropped[0], 20, 1), drop(dropped[1], 19, 2)]);
    expect(await cuts()).toHaveLength(1);
    // Of B nothing is left.
    expect(await keeper().forget()).toBe(1);
  });

  it('is dropped by one process, and another one does not wait for it', async () => {
    const writer = stand.writer();
    for (const day of [13, 12]) await stand.push(writer, 'days', event('A', day * 86_400, 1));
    await owner.query(`UPDATE features.stream SET retention = ${10 * DAY}`);
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    const changes: ChangeRecord[] = [];
    const record = (_: unknown, change: ChangeRecord): Promise<void> => {
      changes.push(change);
      return held;
    };
    const one = keeper({ record }).keep();
    while (changes.length === 0) await pause(10);
    const other = keeper({ record: () => Promise.reject(new Error('it is at it')) }).keep();
    const waits = new AbortController();
    const answer = await Promise.race([other, pause(5000, 'it waits', waits)]).finally(go);
    waits.abort();
    expect(answer).toEqual([]);
    expect(await one).toHaveLength(2);
    // How many events were in them is told once somebody counted.
    for (const { changes: told } of changes) expect(told).not.toHaveProperty('events_about');
    await other;
  }, 15_000);
});

describe('entities whose events are all gone', () => {
  async function rows(stream: number): Promise<string[]> {
    const sql = 'SELECT entity FROM features.latest WHERE stream = $1 ORDER BY entity';
    return (await stand.database.query<{ entity: string }>(sql, [stream])).map(({ entity }) => entity);
  }

  /** Half an hour is all that is kept from now on, and of these entities everything was older. */
  async function age(stream: number, entities: readonly string[]): Promise<void> {
    const values = [stream, entities];
    await owner.query('UPDATE features.stream SET retention = $2 WHERE id = $1', [stream, HOUR / 2]);
    await owner.query('DELETE FROM features.event WHERE stream = $1 AND entity = ANY ($2)', values);
    await owner.query('UPDATE features.latest SET event_time = 1 WHERE stream = $1 AND entity = ANY ($2)', values);
  }

  it('are forgotten, and nobody else', async () => {
    const { id } = await stand.addStream(streamDefinition({ name: 'passing', retention: 2 * HOUR }));
    const writer = stand.writer();
    // The events of `old` are beyond retention, but their cut has not been dropped yet.
    for (const entity of ['gone', 'kept', 'old']) await stand.push(writer, 'passing', event(entity, 3600, 1));
    await stand.push(writer, 'passing', event('kept', 1, 2));
    await age(id, ['gone']);
    expect(await keeper().forget()).toBe(1);
    expect(await rows(id)).toEqual(['kept', 'old']);
    expect(await keeper().forget()).toBe(0);
    expect(await stand.push(writer, 'passing', event('gone', 1, 3))).toMatchObject([{ result: 'ACCEPTED' }]);
    expect(await rows(id)).toEqual(['gone', 'kept', 'old']);
  });

  it('are looked for part by part, however many there are', async () => {
    const { id } = await stand.addStream(streamDefinition({ name: 'many', retention: 2 * HOUR }));
    const insert = `INSERT INTO features.latest (stream, entity, ingested_at, event_time)
      SELECT $1, 'M' || n, 1, 1 FROM generate_series(1, 7000) AS n`;
    await owner.query(insert, [id]);
    expect(await keeper().forget()).toBe(7000);
    expect(await rows(id)).toEqual([]);
  });

  it('have their row when they come back at that very moment', async () => {
    const { id } = await stand.addStream(streamDefinition({ name: 'returning', retention: 2 * HOUR }));
    const writers = [stand.writer(), stand.writer()];
    const names = Array.from({ length: 40 }, (_, i) => `R${i}`);
    let gone = 0;
    for (let round = 0; round < 15; round++) {
      let pushing = true;
      const forgetting = (async () => {
        for (const one = keeper(); pushing;) gone += await one.forget();
      })();
      const results = await Promise.all(
        writers.flatMap((writer, w) =>
          names.map((name, i) => stand.push(writer, 'returning', event(name, 600 - 2 * round - w, i))),
        ),
      );
      pushing = false;
      await forgetting;
      for (const [one] of results) expect(STORED).toContain(one?.result);
      // Each event was stamped under the lock of a row that knows of it.
      const [lost] = await stand.database.query<{ n: string }>(
        `SELECT count(*) AS n FROM features.event e LEFT JOIN features.latest l USING (stream, entity)
         WHERE stream = $1 AND (l.entity IS NULL OR l.ingested_at < e.ingested_at OR l.event_time IS NULL)`,
        [id],
      );
      expect(lost).toEqual({ n: '0' });
      await age(id, names);
    }
    expect(gone).toBeGreaterThan(0);
  }, 60_000);
});

describe('a cut that is dropped', () => {
  /** One event of ten days ago in each of these streams, of the class of days. */
  async function streamsWithEvents(names: readonly string[]): Promise<void> {
    const writer = stand.writer();
    for (const name of names) {
      await stand.addStream(streamDefinition({ name, retention: 30 * DAY }));
      await stand.push(writer, name, event('A', 10 * 86_400, 1));
    }
  }
  const keepFor = (days: number, like: string): Promise<unknown> =>
    owner.query('UPDATE features.stream SET retention = $1 WHERE name LIKE $2', [days * DAY, like]);

  it('is not while one stream of its class keeps what is in it, and no stream of another class holds it', async () => {
    await streamsWithEvents(['brief', 'lasting']);
    await stand.addStream(streamDefinition({ name: 'years', retention: 3650 * DAY }));
    await keepFor(5, '%');
    await keepFor(3650, 'years');
    await keepFor(20, 'lasting');
    expect(await keeper().keep()).toEqual([]);
    await keepFor(5, 'lasting');
    expect(await keeper().keep()).toHaveLength(1);
  });

  it('of more streams than are worth naming names some, and says how many more there were', async () => {
    const names = Array.from({ length: 103 }, (_, i) => `n${String(i).padStart(3, '0')}`);
    await streamsWithEvents(names);
    await keepFor(5, '%');
    const changes: ChangeRecord[] = [];
    await keeper({ record: (_, change) => Promise.resolve(void changes.push(change)) }).keep();
    expect(changes).toMatchObject([{ changes: { streams: names.slice(0, 100), more_streams: 3 } }]);
  }, 60_000);
});
