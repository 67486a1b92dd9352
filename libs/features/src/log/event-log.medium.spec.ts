import { Client } from 'pg';
import { MAX_SERIES_EVENTS } from '../engine/series';
import { randomNumbers } from '../operators/testing';
import { LogStand } from '../testing/log-stand';
import { DefinitionCompiler } from '../store/definition-compiler';
import { MemoryLog } from '../testing/memory-log';
import { DAY, streamDefinition } from '../testing/stream-definition';
import type { EventWriter } from './event-writer';
import type { HistoryQuery, TakenEvent } from './feature-event';
import { FEW_STATEMENT, historyStatement, NEWEST_STATEMENT } from './history-statement';

const MS = 1000;

let stand: LogStand;
let writer: EventWriter;
const heard: TakenEvent[] = [];
/** A whole minute a little in the past, in milliseconds. */
const START = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000;

beforeAll(async () => {
  stand = await LogStand.open();
  writer = stand.writer([{ taken: (events) => heard.push(...events) }]);
});
afterAll(() => stand.close());

let names = 0;
const entity = (): string => `E${++names}`;

async function push(stream: string, ...events: object[]): Promise<string[]> {
  return (await stand.push(writer, stream, ...events)).map(({ result }) => result);
}

const tick = (of: string, minute: number, price: number, more: object = {}): object => ({
  entity: of,
  event_time: START + minute * 60_000,
  values: { price, size: 1 },
  ...more,
});

async function read(query: Partial<HistoryQuery> & Pick<HistoryQuery, 'stream' | 'entity'>) {
  const now = (Date.now() + 60_000) * MS;
  const full = { at: now, knownAt: now, corrected: false, events: 100, ...query };
  const [answer] = await stand.history.read([full], (Date.now() + 10_000) * MS);
  return { ...answer, prices: answer?.events.map(({ values }) => values[0]) };
}

describe('events that are pushed', () => {
  it('are durable when they are answered, once each, in the order of their times', async () => {
    const of = entity();
    expect(await push('ticks', tick(of, 1, 10), tick(of, 2, 11))).toEqual(['ACCEPTED', 'ACCEPTED']);
    expect(await push('ticks', tick(of, 1, 10), tick(of, 3, 12))).toEqual(['DUPLICATE', 'ACCEPTED']);
    expect(await read({ stream: 'ticks', entity: of })).toMatchObject({
      prices: [10, 11, 12],
      whole: true,
      cut: false,
    });
  });

  it('are known by the id of their producer, and refused where it says something else', async () => {
    const of = entity();
    const named = (price: number): object => tick(of, 1, price, { event_id: 'order-7' });
    expect(await push('ticks', named(10))).toEqual(['ACCEPTED']);
    expect(await push('ticks', named(10), named(11))).toEqual(['DUPLICATE', 'CONFLICT']);
    expect((await read({ stream: 'ticks', entity: of })).prices).toEqual([10]);
    // An id names an event of its time: at another time it is another event.
    expect(await push('ticks', tick(of, 2, 10, { event_id: 'order-7' }))).toEqual(['ACCEPTED']);
  });

  it('are known by every value also where a rule compares with the event before', async () => {
    const definition = streamDefinition({
      name: 'ruled',
      rules: [{ field: 'price', monotonic: 'increasing', action: 'reject' }],
    });
    const rules = new DefinitionCompiler().eventRules('tests', definition);
    await stand.addStream(definition, rules && { rules });
    const of = entity();
    const named = (price: number, size = 1): object =>
      tick(of, 1, price, { event_id: 'order-9', values: { price, size } });
    expect(await push('ruled', named(10))).toEqual(['ACCEPTED']);
    expect(await push('ruled', named(10), named(11), named(10, 2))).toEqual(['DUPLICATE', 'CONFLICT', 'CONFLICT']);
  });

  it('are known within their own push as well', async () => {
    const of = entity();
    const named = (price: number): object => tick(of, 1, price, { event_id: 'order-8' });
    expect(await push('ticks', named(10), named(10), named(11))).toEqual(['ACCEPTED', 'DUPLICATE', 'CONFLICT']);
  });

  it('apply when they are late, and only lie in the log when they are too late', async () => {
    const of = entity();
    expect(await push('ticks', tick(of, 30, 30), tick(of, 25, 25), tick(of, 10, 10))).toEqual([
      'ACCEPTED',
      'LATE_APPLIED',
      'LATE_LOG_ONLY',
    ]);
    expect((await read({ stream: 'ticks', entity: of })).prices).toEqual([25, 30]);
    expect((await read({ stream: 'ticks', entity: of, corrected: true })).prices).toEqual([10, 25, 30]);
  });

  it('correct what their time said before, and history knows when', async () => {
    const of = entity();
    await push('candles', tick(of, 1, 10), tick(of, 2, 20));
    const before = heard.findLast((event) => event.entity === of)?.ingestedAt ?? 0;
    expect(await push('candles', tick(of, 1, 11))).toEqual(['CORRECTED']);
    expect((await read({ stream: 'candles', entity: of })).prices).toEqual([11, 20]);
    expect((await read({ stream: 'candles', entity: of, knownAt: before })).prices).toEqual([10, 20]);
  });

  it('may be a bar that is not finished, which can return to what it was; the final one stands', async () => {
    const of = entity();
    const open = (price: number): object => tick(of, 1, price, { final: false });
    expect(await push('candles', open(10), open(11), open(10), open(10))).toEqual([
      'ACCEPTED',
      'CORRECTED',
      'CORRECTED',
      'DUPLICATE',
    ]);
    expect((await read({ stream: 'candles', entity: of })).prices).toEqual([10]);
    expect(await push('candles', tick(of, 1, 10), open(12))).toEqual(['CORRECTED', 'CONFLICT']);
    expect((await read({ stream: 'candles', entity: of })).prices).toEqual([10]);
  });

  it('are heard of with rising stamps, also when two processes write the same entity', async () => {
    const of = entity();
    const stamps: number[] = [];
    const listener = { taken: (events: readonly TakenEvent[]) => stamps.push(...events.map((e) => e.ingestedAt)) };
    const writers = [stand.writer([listener]), stand.writer([listener])];
    const pushes = Array.from({ length: 40 }, (_, i) =>
      stand.push(writers[i % 2] as EventWriter, 'ticks', tick(of, 1, i), tick(of, 2, i)),
    );
    await Promise.all(pushes);
    const found = await read({ stream: 'ticks', entity: of });
    expect(found.events).toHaveLength(80);
    expect(new Set(stamps).size).toBe(80);
    const [row] = await stand.database.query<{ ingested_at: string }>(
      'SELECT ingested_at FROM features.latest WHERE entity = $1',
      [of],
    );
    expect(Number(row?.ingested_at)).toBe(Math.max(...stamps));
  });

  it('of different entities in different orders do not wait for each other for ever', async () => {
    const many = Array.from({ length: 50 }, entity);
    const other = stand.writer();
    const rounds = Array.from({ length: 10 }, (_, i) => [
      stand.push(writer, 'ticks', ...many.map((of) => tick(of, i, 1))),
      stand.push(other, 'ticks', ...many.toReversed().map((of) => tick(of, i, 2))),
    ]);
    const results = await Promise.all(rounds.flat());
    expect(results.flat().filter(({ result }) => result === 'INVALID' || result === 'CONFLICT')).toEqual([]);
  });

  it('that the database refuses cost those nothing that were to be stored with them', async () => {
    const one = stand.writer([], { writers: 1 });
    const of = entity();
    const bad = { ...stand.event('ticks', tick(of, 1, 1)), eventTime: 1 };
    const [before, refused, after] = await Promise.allSettled([
      stand.push(one, 'ticks', tick(of, 2, 2)),
      one.push('another', [bad]),
      stand.push(one, 'ticks', tick(of, 3, 3)),
    ]);
    expect(refused).toMatchObject({
      status: 'rejected',
      reason: { message: expect.stringContaining('no stream keeps') },
    });
    for (const stored of [before, after]) expect(stored).toMatchObject({ value: [{ result: 'ACCEPTED' }] });
    expect((await read({ stream: 'ticks', entity: of })).prices).toEqual([2, 3]);
    expect(one.depth).toBe(0);
  });

  it('of any day of the retention find their place, and only so many cuts are made', async () => {
    const of = entity();
    const days = Array.from({ length: 29 }, (_, day) => tick(of, -day * 1440, day));
    await push('ticks', ...days.toReversed());
    expect((await read({ stream: 'ticks', entity: of })).events).toHaveLength(29);
    const years = await stand.addStream(streamDefinition({ name: 'long', retention: 60 * 365 * DAY }));
    const old = Array.from({ length: 40 }, (_, year) => tick(of, -year * 525_600, year)).toReversed();
    await push('long', ...old);
    expect((await read({ stream: 'long', entity: of })).events).toHaveLength(40);
    const cuts = await stand.database.query<{ n: string }>(
      'SELECT count(*) AS n FROM features.period WHERE retention_class = $1',
      [years.retentionClass],
    );
    expect(Number(cuts[0]?.n)).toBeLessThanOrEqual(41);
  });
});

describe('history', () => {
  it('ends where the number or the time is reached, whichever is further', async () => {
    const of = entity();
    await push('ticks', ...Array.from({ length: 10 }, (_, i) => tick(of, i, i)));
    const since = (minute: number): number => (START + minute * 60_000) * MS;
    expect(await read({ stream: 'ticks', entity: of, events: 3 })).toMatchObject({ prices: [7, 8, 9], whole: false });
    expect((await read({ stream: 'ticks', entity: of, events: 1, since: since(5) })).prices).toEqual([5, 6, 7, 8, 9]);
    expect((await read({ stream: 'ticks', entity: of, events: 4, since: since(8) })).prices).toEqual([6, 7, 8, 9]);
    expect((await read({ stream: 'ticks', entity: of, events: 4, since: since(5) })).prices).toEqual([5, 6, 7, 8, 9]);
    expect((await read({ stream: 'ticks', entity: of, at: since(4), events: 2 })).prices).toEqual([3, 4]);
    expect(await read({ stream: 'ticks', entity: 'nobody' })).toMatchObject({ prices: [], whole: true });
  });

  it('is what its definition says, of any moment, knowledge, number and window', async () => {
    const random = randomNumbers(7);
    const upTo = (most: number): number => Math.floor(random() * most);
    const of = [entity(), entity()];
    const from = heard.length;
    for (let i = 0; i < 40; i++) {
      const stream = random() < 0.5 ? 'ticks' : 'candles';
      const events = Array.from({ length: 1 + upTo(4) }, () => tick(of[upTo(2)] ?? '', upTo(30), upTo(1000)));
      await push(stream, ...events);
    }
    const memory = new MemoryLog(
      new Map([
        ['ticks', 'event_id'],
        ['candles', 'event_time'],
      ]),
    );
    // What is heard names the stamp before it as well.
    memory.events.push(...heard.slice(from).map(({ previous: _, ...event }) => event));
    const arrivals = memory.events.map(({ ingestedAt }) => ingestedAt);
    const queries = Array.from({ length: 400 }, (): HistoryQuery => {
      const query = {
        stream: random() < 0.5 ? 'ticks' : 'candles',
        entity: of[upTo(2)] ?? '',
        at: (START + upTo(32) * 60_000) * MS,
        knownAt: random() < 0.2 ? Number.POSITIVE_INFINITY : (arrivals[upTo(arrivals.length)] ?? 0),
        corrected: random() < 0.5,
        events: 1 + upTo(20),
      };
      return random() < 0.5 ? query : { ...query, since: query.at - upTo(30) * 60_000 * MS };
    });
    // That a window reaches back to the very first event is not known to who reads no further.
    const expected = (await memory.read(queries)).map((one, i) => ({
      ...one,
      whole: one.whole && one.events.length <= (queries[i]?.events ?? 0),
    }));
    expect(await stand.history.read(queries, (Date.now() + 10_000) * MS)).toEqual(expected);
    const newest = queries.filter(({ since }) => since === undefined);
    expect(await stand.history.read(newest, (Date.now() + 10_000) * MS)).toEqual(await memory.read(newest));
    for (let i = 0; i < queries.length; i += 1 + (i % 3)) {
      const [few, same] = [queries, expected].map((all) => all.slice(i, i + 1 + (i % 3)));
      expect(await stand.history.read(few as HistoryQuery[], (Date.now() + 10_000) * MS)).toEqual(same);
    }
    expect(expected.some(({ events }) => events.some(({ logOnly }) => logOnly))).toBe(true);
    expect(expected.some(({ arrived }) => arrived !== undefined)).toBe(true);
    expect(expected.some(({ whole }) => whole)).toBe(true);
    expect(expected.some(({ whole }) => !whole)).toBe(true);
  });

  it('of more events than are read at once has the newest of them, and says so, by itself and among many', async () => {
    const of = entity();
    const most = MAX_SERIES_EVENTS + 1;
    for (let from = 0; from < most + 40; from += 5000) {
      const count = Math.min(5000, most + 40 - from);
      await push('ticks', ...Array.from({ length: count }, (_, i) => tick(of, (from + i) / 1000, from + i)));
    }
    const now = (Date.now() + 60_000) * MS;
    const asked = { stream: 'ticks', entity: of, at: now, knownAt: now, corrected: false, events: 30 };
    const all: HistoryQuery = { ...asked, since: START * MS };
    const exact: HistoryQuery = { ...asked, since: (START + 40 * 60) * MS };
    const bounds = async (...queries: HistoryQuery[]): Promise<unknown[]> => {
      const answers = await stand.history.read(queries, (Date.now() + 20_000) * MS);
      return answers.map(({ events, cut }) => [events.length, events[0]?.values[0], cut]);
    };
    const expected = [most, 40];
    expect(await bounds(all)).toEqual([[...expected, true]]);
    expect(await bounds(exact)).toEqual([[...expected, false]]);
    const others = Array.from({ length: 10 }, () => ({ ...exact, entity: 'nobody' }));
    expect((await bounds(all, exact, ...others)).slice(0, 2)).toEqual([
      [...expected, true],
      [...expected, false],
    ]);
  }, 60_000);

  it('is read for all queries in one statement, in their order', async () => {
    const [a, b] = [entity(), entity()];
    await push('ticks', tick(a, 1, 1), tick(b, 1, 2));
    await push('candles', tick(a, 1, 3));
    const now = Date.now() * MS;
    const query = { at: now, knownAt: now + 1e6, corrected: false, events: 5 };
    const answers = await stand.history.read(
      [
        { ...query, stream: 'ticks', entity: b },
        { ...query, stream: 'candles', entity: a },
        { ...query, stream: 'ticks', entity: 'nobody' },
        { ...query, stream: 'ticks', entity: a },
      ],
      now + 10_000_000,
    );
    expect(answers.map(({ events }) => events.map(({ values }) => values[0]))).toEqual([[2], [3], [], [1]]);
  });

  it.each([
    ['of the newest', NEWEST_STATEMENT.sql],
    ['of a window', historyStatement(100).sql],
  ])('goes through the primary key of few cuts, and not through the others: %s', async (_, sql) => {
    const client = new Client({ connectionString: stand.url });
    await client.connect();
    try {
      const { id, retentionClass } = stand.streams.stream('ticks') ?? { id: 0, retentionClass: 0 };
      const now = Date.now() * MS;
      const values = [[retentionClass], [id], ['E9'], [now], [now], [false], [false], [1], [now - 3600 * 1e6], 1];
      const { rows } = await client.query({ text: `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ${sql}`, values });
      const plan = rows.map((row: Record<string, string>) => row['QUERY PLAN'] ?? '');
      const scans = plan.filter((line) => /Scan.* on event_/.test(line) && !line.includes('never executed'));
      expect(scans.filter((line) => !line.includes('Index Scan Backward'))).toEqual([]);
      expect(scans.length).toBeGreaterThan(0);
      expect(plan.some((line) => line.includes('never executed'))).toBe(true);
    } finally {
      await client.end();
    }
  });

  it('of one entity alone is planned once, through the primary key of few cuts', async () => {
    const client = new Client({ connectionString: stand.url });
    const plans: string[] = [];
    client.on('notice', ({ message }) => plans.push(message ?? ''));
    await client.connect();
    try {
      await client.query(`LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
        SET auto_explain.log_nested_statements = on; SET auto_explain.log_level = notice`);
      const of = entity();
      const old = Array.from({ length: 9 }, (_, day) => tick(of, (day - 9) * 1440, day));
      await push('ticks', ...old, ...Array.from({ length: 40 }, (_, minute) => tick(of, minute, minute)));
      const { id, retentionClass } = stand.streams.stream('ticks') ?? { id: 0, retentionClass: 0 };
      const now = Date.now() * MS;
      plans.length = 0;
      const values = [[retentionClass], [id], [of], [now], [null], [false], [false], [2], [now - 5 * DAY], 100];
      const { rows } = await client.query(FEW_STATEMENT.sql, values);
      expect(rows.map(({ part }) => part)).toEqual(['newest', 'earlier']);
      const reads = plans.filter((plan) => plan.includes('DISTINCT ON'));
      expect(reads).toHaveLength(2);
      for (const plan of reads) {
        const scans = plan.split('\n').filter((line) => /Scan.* on event_/.test(line));
        expect(scans.filter((line) => !line.includes('Index Scan Backward'))).toEqual([]);
        // Made for all calls: what this one asks is not in it.
        expect(plan).toMatch(/Index Cond: .*entity = \(\$\d\)/);
        expect(plan).toMatch(/never executed|Subplans Removed/);
      }
    } finally {
      await client.end();
    }
  });

  it('is planned once for all calls of a connection, however many they ask about', async () => {
    const client = new Client({ connectionString: stand.url });
    await client.connect();
    try {
      const now = Date.now() * MS;
      for (const { sql, prepared } of [NEWEST_STATEMENT, historyStatement(100)]) {
        const call = (entities: number): Promise<unknown> => {
          const of = (value: unknown): unknown[] => new Array<unknown>(entities).fill(value);
          const values = [of(0), of(1), of('E9'), of(now), of(now), of(false), of(false), of(1), of(now), entities];
          return client.query({ name: prepared, text: sql, values });
        };
        for (let i = 0; i < 6; i++) await call(1);
        for (const entities of [1, 100, 1]) await call(entities);
        const { rows } = await client.query<Record<string, string>>(
          'SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name = $1',
          [prepared],
        );
        expect(rows).toEqual([{ generic_plans: '4', custom_plans: '5' }]);
      }
    } finally {
      await client.end();
    }
  });

  it('is not waited for past the deadline', async () => {
    const query = { stream: 'ticks', entity: 'E1', at: 0, knownAt: 0, corrected: false, events: 1 };
    await expect(stand.history.read([query], 0)).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
});

describe('the rights of the application', () => {
  it.each([
    ['DELETE FROM features.event'],
    ['UPDATE features.event SET log_only = true'],
    ['TRUNCATE features.event'],
    ['DROP TABLE features.event'],
    ['DELETE FROM features.latest'],
    ['DELETE FROM features.period'],
    ['DELETE FROM features.definition'],
    ['UPDATE features.publication SET hash = NULL'],
    ['CREATE TABLE features.event_x PARTITION OF features.event DEFAULT'],
  ])('do not reach to %s', async (sql) => {
    await expect(stand.database.query(sql)).rejects.toMatchObject({
      message: expect.stringMatching(/permission|owner/) as string,
    });
  });

  it('do not reach to a cut of the future, of before retention, or of an unknown class', async () => {
    const ensure = (retentionClass: number, at: number): Promise<unknown> =>
      stand.database.query('SELECT features.ensure_period($1::smallint, $2::bigint)', [retentionClass, at]);
    const now = Date.now() * MS;
    await expect(ensure(0, now + 3 * DAY)).rejects.toThrow('no stream keeps');
    await expect(ensure(0, now - 40 * DAY)).rejects.toThrow('no stream keeps');
    await expect(ensure(2, now)).rejects.toThrow('no stream keeps');
    await expect(ensure(9, now)).rejects.toThrow('no stream keeps');
  });

  it('let the latest event of an entity only get newer', async () => {
    const of = entity();
    await push('ticks', tick(of, 1, 1));
    const older = stand.database.query('UPDATE features.latest SET ingested_at = ingested_at WHERE entity = $1', [of]);
    await expect(older).rejects.toThrow('only ever gets newer');
  });
});
