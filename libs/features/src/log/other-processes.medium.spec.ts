import { DomainError } from '@sibyl/kernel';
import { Client } from 'pg';
import { LogStand, unrecorded } from '../testing/log-stand';
import { DAY, streamDefinition } from '../testing/stream-definition';
import { CommitFollower } from './commit-follower';
import { FeatureLog } from './feature-log';
import type { FeatureEvent } from './feature-event';
import { LogKeeper } from './log-keeper';
import { LogOptions } from './log-options';
import { Periods } from './periods';
import type { UploadOutcome } from './line-upload';

let stand: LogStand;
const logs: FeatureLog[] = [];
const silent = { info: () => undefined, warn: () => undefined };
const caller = { type: 'key', id: 'k', keyId: 'k', name: 'tests' } as const;

beforeAll(async () => {
  stand = await LogStand.open();
});
afterAll(async () => {
  for (const log of logs) await log.stop();
  await stand.close();
});

/** A process of its own, and what it hears. */
async function process(options: Partial<LogOptions> = {}): Promise<{ log: FeatureLog; heard: FeatureEvent[] }> {
  const heard: FeatureEvent[] = [];
  const listeners = [{ taken: (events: readonly FeatureEvent[]) => void heard.push(...events) }];
  const { database, clock, streams } = stand;
  const parts = {
    database,
    clock,
    streams,
    listeners,
    settlement: stand.settlement(),
    log: silent,
    record: unrecorded,
  };
  const log = await FeatureLog.start(parts, Object.assign(new LogOptions(), { pollMs: 50, ...options }));
  logs.push(log);
  return { log, heard };
}

async function asSuperuser(work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: stand.url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 500) throw new Error('it never came to hold');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const event = (entity: string, secondsAgo: number, price: number): object => ({
  entity,
  event_time: Date.now() - secondsAgo * 1000,
  values: { price, size: 1 },
});

async function* bytes(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}

describe('what one process commits', () => {
  it('is heard by the others, whole and with the same stamps', async () => {
    const [one, other] = [await process(), await process()];
    const events = Array.from({ length: 50 }, (_, i) => event('A', 50 - i, i));
    await one.log.push(caller, 'ticks', events);
    await until(() => other.heard.length >= 50);
    expect(other.heard.map(({ eventId, ingestedAt, values }) => [eventId, ingestedAt, values])).toEqual(
      one.heard.map(({ eventId, ingestedAt, values }) => [eventId, ingestedAt, values]),
    );
  });

  it('is heard by itself once, and by the others although it lies in many cuts', async () => {
    const [one, other] = [await process(), await process()];
    const spread = Array.from({ length: 20 }, (_, i) => event('B', (20 - i) * 86_400, i));
    await one.log.push(caller, 'ticks', spread);
    await until(() => other.heard.filter(({ entity }) => entity === 'B').length >= 20);
    expect(one.heard.filter(({ entity }) => entity === 'B')).toHaveLength(20);
  });

  it('is found when its commit was long in coming', async () => {
    const other = await process();
    const { id } = stand.streams.stream('ticks') ?? { id: 0 };
    const client = new Client({ connectionString: stand.url });
    await client.connect();
    try {
      await client.query('BEGIN');
      const { rows } = await client.query<{ at: string }>('SELECT features.now_us() AS at');
      const at = Number(rows[0]?.at);
      await client.query(`SELECT features.ensure_period(0::smallint, ${at})`);
      await client.query(
        `INSERT INTO features.event (retention_class, stream, entity, event_time, ingested_at, event_id, log_only, provisional, vals)
         VALUES (0, ${id}, 'SLOW', ${at}, ${at}, gen_random_uuid(), false, false, '[1,2]')`,
      );
      await client.query(
        `INSERT INTO features.intake (writer, retention_class, events, first_time, last_time, first_stamp, last_stamp)
         VALUES (gen_random_uuid(), 0, 1, ${at}, ${at}, ${at}, ${at})`,
      );
      // Another process commits later stamps meanwhile, and they are heard of first.
      const one = await process();
      await one.log.push(caller, 'ticks', [event('QUICK', 1, 1)]);
      await until(() => other.heard.some(({ entity }) => entity === 'QUICK'));
      await client.query('COMMIT');
    } finally {
      await client.end();
    }
    await until(() => other.heard.some(({ entity }) => entity === 'SLOW'));
  });
});

describe('a commit that became visible long after its stamps', () => {
  it('is found, whatever was committed and heard of meanwhile', async () => {
    const [other, one] = [await process(), await process()];
    const { id } = stand.streams.stream('ticks') ?? { id: 0 };
    await one.log.push(caller, 'ticks', [event('QUICK', 60, 1)]);
    await asSuperuser(async (client) => {
      await client.query('BEGIN');
      // Stamped a minute ago, and not committed yet.
      const at = `features.now_us() - 60000000`;
      await client.query(
        `INSERT INTO features.event (retention_class, stream, entity, event_time, ingested_at, event_id, log_only, provisional, vals)
         VALUES (0, ${id}, 'SLOWEST', ${at}, ${at}, gen_random_uuid(), false, false, '[1,2]')`,
      );
      await client.query(
        `INSERT INTO features.intake (writer, retention_class, events, first_time, last_time, first_stamp, last_stamp)
         VALUES (gen_random_uuid(), 0, 1, ${at} - 1000000, ${at} + 1000000, ${at} - 1000000, ${at} + 1000000)`,
      );
      await one.log.push(caller, 'ticks', [event('QUICK', 1, 2)]);
      await until(() => other.heard.filter(({ entity }) => entity === 'QUICK').length === 2);
      await client.query('COMMIT');
    });
    await until(() => other.heard.some(({ entity }) => entity === 'SLOWEST'));
  });
});

describe('a commit of which the database never said that it came to its end', () => {
  it('is heard by who wrote it, too', async () => {
    const one = await process();
    const { database } = stand;
    const transaction = database.transaction.bind(database);
    jest.spyOn(database, 'transaction').mockImplementationOnce(async (work, limits) => {
      await transaction(work, limits);
      throw new DomainError('database_unavailable', 'the connection was lost');
    });
    const push = one.log.push(caller, 'ticks', [event('UNSURE', 1, 1)]);
    await expect(push).rejects.toMatchObject({ code: 'database_unavailable' });
    await until(() => one.heard.some(({ entity }) => entity === 'UNSURE'));
    await one.log.push(caller, 'ticks', [event('SURE', 1, 1)]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(one.heard.filter(({ entity }) => entity === 'SURE')).toHaveLength(1);
  });
});

describe('a clock that was ahead for a moment', () => {
  /** What a push while the clock of the database was an hour ahead leaves behind. */
  const ahead = (entity: string): Promise<unknown> =>
    asSuperuser((client) =>
      client.query(`UPDATE features.latest SET ingested_at = features.now_us() + 7200000000 WHERE entity = $1`, [
        entity,
      ]),
    );

  it('loses no commit of one process to another, and is not passed on from one entity to another', async () => {
    const [other, one] = [await process(), await process()];
    await one.log.push(caller, 'ticks', [event('AHEAD', 5, 1)]);
    await ahead('AHEAD');
    await one.log.push(caller, 'ticks', [event('AHEAD', 4, 2), event('BESIDE', 4, 2)]);
    await until(() => other.heard.filter(({ entity }) => entity === 'AHEAD').length === 2);
    await one.log.push(caller, 'ticks', [event('NORMAL', 3, 3)]);
    await until(() => other.heard.some(({ entity }) => entity === 'NORMAL'));
    const rows = await stand.database.query<{ entity: string; ahead: boolean }>(
      `SELECT entity, max(ingested_at) > features.now_us() AS ahead FROM features.event
       WHERE entity IN ('AHEAD', 'BESIDE', 'NORMAL') GROUP BY entity ORDER BY entity`,
    );
    expect(rows.map((row) => row.ahead)).toEqual([true, false, false]);
  });

  it('hides nothing from who reads now', async () => {
    const { log } = await process();
    await log.push(caller, 'ticks', [event('COLD', 5, 1)]);
    await ahead('COLD');
    await log.push(caller, 'ticks', [event('COLD', 4, 2)]);
    const now = Date.now() * 1000;
    const query = { stream: 'ticks', entity: 'COLD', at: now, knownAt: Infinity, corrected: false, events: 9 };
    const [answer] = await stand.history.read([query], now + 10_000_000);
    expect(answer?.events.map(({ values }) => values[0])).toEqual([1, 2]);
    expect(answer?.arrived).toBe(answer?.events[1]?.ingestedAt);
  });
});

describe('a database that was put back', () => {
  it('makes those who listen forget what they made of it', async () => {
    let lapses = 0;
    const listeners = [{ taken: () => undefined, lapsed: () => void lapses++ }];
    const { database, clock, streams } = stand;
    const follower = new CommitFollower(
      { database, clock, streams, listeners, settlement: stand.settlement(), known: () => false, log: silent },
      20,
    );
    await follower.start();
    try {
      await until(() => lapses === 0);
      // As if it had seen transactions that the database does not know any more.
      (follower as unknown as { seen: string }).seen = '900000000:900000000:';
      await until(() => lapses === 1);
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(lapses).toBe(1);
    } finally {
      await follower.stop();
    }
  });
});

describe('an upload of lines', () => {
  const line = (i: number, more: object = {}): string =>
    JSON.stringify({ ...event('L', 5000 - i, i), event_time: Date.now() - (5000 - i) * 1000, ...more });

  async function upload(...texts: string[]): Promise<UploadOutcome> {
    const { log } = await process();
    return log.upload(caller, 'ticks', bytes(...texts));
  }

  it('is stored in its order, however its bytes are cut', async () => {
    const text = Array.from({ length: 4500 }, (_, i) => line(i)).join('\n');
    const pieces = text.match(/[^]{1,977}/g) ?? [];
    const outcome = await upload(...pieces);
    expect(outcome).toEqual({ lines: 4500, counts: { ACCEPTED: 4500 }, faults: [] });
  });

  it('tells what is wrong with which line, and stores the others', async () => {
    const outcome = await upload(`${line(1, { entity: 'M' })}\n\n{"entity": 7}\nno json\n${line(2, { entity: 'M' })}`);
    expect(outcome).toMatchObject({ lines: 5, counts: { ACCEPTED: 2, INVALID: 2 } });
    expect(outcome.faults.map(({ line: at, fault }) => [at, fault?.pointer])).toEqual([
      [3, '/entity'],
      [4, ''],
    ]);
  });

  it('may name streams line by line', async () => {
    const { log } = await process();
    const text = `${line(1, { stream: 'candles', entity: 'N' })}\n${line(1, { stream: 'nothing' })}\n`;
    const outcome = await log.upload(caller, undefined, bytes(text));
    expect(outcome).toMatchObject({ counts: { ACCEPTED: 1, INVALID: 1 }, faults: [{ line: 2 }] });
  });

  it('refuses a line without end', async () => {
    const endless = upload(...Array.from({ length: 40 }, () => 'x'.repeat(65_536)));
    await expect(endless).rejects.toMatchObject({ code: 'body_too_large' });
  });

  it('says how far it came when it breaks off', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield* bytes(`${Array.from({ length: 2000 }, (_, i) => line(i, { entity: 'O' })).join('\n')}\n`);
      throw new Error('hung up');
    }
    const { log } = await process();
    await expect(log.upload(caller, 'ticks', broken())).rejects.toThrow('hung up');
    const rows = await stand.database.query(`SELECT 1 FROM features.event WHERE entity = 'O'`);
    expect(rows).toHaveLength(2000);
  });
});

describe('retention', () => {
  it('drops whole cuts that no stream of their class keeps, and nothing else', async () => {
    const short = await stand.addStream(streamDefinition({ name: 'short', retention: 30 * DAY }));
    const { log } = await process();
    const days = Array.from({ length: 10 }, (_, day) => event('S', (20 - day) * 86_400, day));
    await log.push(caller, 'short', days);
    const client = new Client({ connectionString: stand.url });
    await client.connect();
    try {
      // All streams of the class keep fifteen days from now on.
      const { rowCount } = await client.query(
        `UPDATE features.stream SET retention = ${15 * DAY} WHERE retention_class = ${short.retentionClass}`,
      );
      expect(rowCount).toBeGreaterThan(0);
    } finally {
      await client.end();
    }
    let told = 0;
    const parts = { database: stand.database, log: silent, record: unrecorded };
    const keeper = new LogKeeper({ ...parts, onDropped: () => void told++ }, 1000);
    const dropped = await keeper.keep();
    expect(dropped.length).toBeGreaterThanOrEqual(4);
    expect(told).toBe(1);
    const [oldest] = await stand.database.query<{ at: string }>(
      `SELECT min(event_time) AS at FROM features.event WHERE stream = ${short.id}`,
    );
    const limit = (Date.now() - 15 * 86_400_000) * 1000;
    expect(Number(oldest?.at)).toBeGreaterThan(limit - DAY);
    expect(Number(oldest?.at)).toBeLessThan(limit + DAY);
    expect(await keeper.keep()).toEqual([]);
    const ensured = new Periods(stand.database).ensure([{ retentionClass: short.retentionClass, at: limit - 5 * DAY }]);
    await expect(ensured).rejects.toThrow('no stream keeps');
  });

  it('forgets old commits also while somebody reads the log for long', async () => {
    const stale = await stand.addStream(streamDefinition({ name: 'stale', retention: 30 * DAY }));
    const { log } = await process();
    await log.push(caller, 'stale', [event('T', 28 * 86_400, 1), event('T', 60, 1)]);
    const parts = { database: stand.database, log: silent, record: unrecorded };
    const keeper = new LogKeeper({ ...parts, onDropped: () => undefined }, 1000);
    const old = (): Promise<unknown[]> =>
      stand.database.query(`SELECT FROM features.intake WHERE last_stamp < features.now_us() - 3600000000`);
    await asSuperuser(async (client) => {
      await client.query(
        `UPDATE features.stream SET retention = ${15 * DAY} WHERE retention_class = ${stale.retentionClass}`,
      );
      await client.query('UPDATE features.intake SET last_stamp = last_stamp - 4 * 3600000000');
      await client.query('BEGIN');
      await client.query('SELECT count(*) FROM features.event');
      expect(await old()).not.toEqual([]);
      await expect(keeper.keep()).rejects.toThrow();
      expect(await old()).toEqual([]);
      await client.query('COMMIT');
    });
    expect(await keeper.keep()).not.toEqual([]);
  });
});
