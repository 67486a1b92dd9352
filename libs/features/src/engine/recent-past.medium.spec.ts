import { Client } from 'pg';
import { setTimeout as pause } from 'node:timers/promises';
import { FeatureLog } from '../log/feature-log';
import { LogOptions } from '../log/log-options';
import { randomNumbers } from '../operators/testing';
import { LogStand, unrecorded } from '../testing/log-stand';
import { planOf } from '../testing/test-plans';
import type { Micros } from '../time';
import type { Frame } from './frame';
import { LiveReads } from './live-reads';
import { PastReads } from './past-reads';
import { Program } from './program';
import { RecentPast } from './recent-past';
import { StateStore } from './state-store';

const caller = { type: 'key', id: 'k', keyId: 'k', name: 'tests' } as const;
const silent = { info: () => undefined, warn: () => undefined };
const now = (): Micros => Date.now() * 1000;
const counter = { count: (): void => undefined };

let stand: LogStand;
const logs: FeatureLog[] = [];

beforeAll(async () => (stand = await LogStand.open()));
afterAll(async () => {
  for (const log of logs) await log.stop();
  await stand.close();
});

/** A process: its log, its memory, and its reads of the past with and without it. */
async function worker() {
  const { database, clock, streams } = stand;
  const definition = streams.stream('candles')?.definition as never;
  const plan = planOf(
    [definition],
    [
      { name: 'price', op: 'last', stream: 'candles', inputs: ['price'] },
      { name: 'mean', op: 'mean', stream: 'candles', inputs: ['price'], window: { events: 5 } },
      { name: 'sum', op: 'sum', stream: 'candles', inputs: ['price'], window: { span: 30_000_000 } },
    ],
  );
  const store = new StateStore(64 * 1024 * 1024, now);
  store.usePlans([plan]);
  const settlement = stand.settlement();
  const parts = { database, clock, streams, listeners: [store], settlement, log: silent, record: unrecorded };
  const log = await FeatureLog.start(parts, Object.assign(new LogOptions(), { pollMs: 20 }));
  logs.push(log);
  const options = { log: stand.history, now, counter, cacheBytes: 1 };
  const live = new LiveReads({ ...options, store });
  const past = new PastReads({ ...options, recent: new RecentPast(store, settlement), settlement });
  return { log, settlement, live, past, logOnly: new PastReads(options), views: [new Program(plan)] };
}

type Worker = Awaited<ReturnType<typeof worker>>;

async function readPast(reads: PastReads, { views }: Worker, entity: string, at: Micros) {
  const query = { views, rows: [{ entities: [entity] }], deadlineMs: 10_000 };
  const { frames, storage } = await reads.read(query, { at, knownAt: at, corrected: false });
  const [[frame] = []] = frames;
  const { values, statuses } = frame as Frame;
  return { told: { values, statuses }, storage };
}

const live = (one: Worker, entity: string) =>
  one.live.read({ views: one.views, rows: [{ entities: [entity] }], deadlineMs: 10_000 });

it('is what the log says for ever after, while two processes push', async () => {
  const [one, two] = [await worker(), await worker()];
  const random = randomNumbers(9);
  const entities = ['A', 'B', 'C', 'D'];
  for (const entity of entities) await live(one, entity);
  const told: { entity: string; at: Micros; told: object }[] = [];
  let pushing = true;
  let fromLog = 0;
  const reading = (async () => {
    while (pushing) {
      const entity = entities[Math.floor(random() * 4)] as string;
      // Also the very edge of what was heard.
      const at = Math.min(one.settlement.upTo, now()) - Math.floor(random() * random() * 300_000);
      if (at > 0) {
        const { storage, ...answer } = await readPast(one.past, one, entity, at);
        if (storage === 0) told.push({ entity, at, ...answer });
        else fromLog += 1;
      }
      await live(one, entity);
      await pause(2);
    }
  })();
  const pushes = [one, two].map(async ({ log }) => {
    for (let i = 0; i < 60; i++) {
      await log.push(caller, 'candles', [
        {
          entity: entities[Math.floor(random() * 4)],
          // Corrected and late.
          event_time: Math.floor(Date.now() / 100) * 100 - Math.floor(random() * random() * 20) * 100,
          values: { price: Math.round(random() * 64) / 4, size: 1 },
        },
      ]);
      await pause(Math.floor(random() * 40));
    }
  });
  await Promise.all(pushes);
  pushing = false;
  await reading;
  expect(told.length).toBeGreaterThan(50);
  expect(fromLog).toBeGreaterThan(0);
  for (const { entity, at, told: answer } of told) {
    expect((await readPast(one.logOnly, one, entity, at)).told).toEqual(answer);
  }
}, 60_000);

it('waits for a commit that was stamped before it and is still under way', async () => {
  const one = await worker();
  await one.log.push(caller, 'candles', [
    { entity: 'S', event_time: Date.now() - 5000, values: { price: 1, size: 1 } },
  ]);
  await live(one, 'S');
  const { id } = stand.streams.stream('candles') as { id: number };
  const client = new Client({ connectionString: stand.url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query(`SELECT 1 FROM features.latest WHERE stream = ${id} AND entity = 'S' FOR UPDATE`);
    const { rows } = await client.query<{ at: string }>('SELECT features.now_us() AS at');
    const at = Number(rows[0]?.at);
    await client.query(`INSERT INTO features.event (retention_class, stream, entity, event_time, ingested_at, event_id,
      log_only, provisional, vals) VALUES (0, ${id}, 'S', ${at - 1_000_000}, ${at}, gen_random_uuid(), false, false, '[7,2]')`);
    await client.query(`INSERT INTO features.intake (writer, retention_class, events, first_time, last_time, first_stamp,
      last_stamp) VALUES (gen_random_uuid(), 0, 1, ${at - 1_000_000}, ${at - 1_000_000}, ${at}, ${at})`);
    // Others commit meanwhile, and their commits are heard.
    for (let i = 0; i < 10; i++) {
      await one.log.push(caller, 'candles', [{ entity: 'T', event_time: Date.now(), values: { price: i, size: 1 } }]);
      await pause(30);
    }
    expect(one.settlement.upTo).toBeLessThan(at);
    await client.query('COMMIT');
    for (let tries = 0; one.settlement.upTo < at && tries < 200; tries++) await pause(20);
    expect(await readPast(one.past, one, 'S', at)).toMatchObject({ told: { values: [7, null, 8] }, storage: 0 });
    const before = await readPast(one.past, one, 'S', at - 1);
    expect(before.told.values).toEqual([1, null, 1]);
    expect(before.storage).toBeGreaterThan(0);
  } finally {
    await client.end();
  }
}, 30_000);
