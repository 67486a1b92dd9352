import type { Database } from '@sibyl/database';
import { startOwnPostgres } from '@sibyl/database/testing';
import { Client } from 'pg';
import { setTimeout as pause } from 'node:timers/promises';
import { FeatureLog } from '../log/feature-log';
import { CommitFollower, type FollowerParts } from '../log/commit-follower';
import { Settlement } from '../log/settlement';
import { LogStand, unrecorded } from '../testing/log-stand';
import { planOf } from '../testing/test-plans';
import type { Micros } from '../time';
import type { OnlineAnswer, PastMoment } from './online-query';
import { PastReads } from './past-reads';
import { Program } from './program';
import { RecentPast } from './recent-past';
import { StateStore } from './state-store';

const caller = { type: 'key', id: 'k', keyId: 'k', name: 'tests' } as const;
const silent = { info: () => undefined, warn: () => undefined };
const now = (): Micros => Date.now() * 1000;
const HOLD = 4711;

let stopPostgres: () => Promise<void>;
let stand: LogStand;
let log: FeatureLog;
let settlement: Settlement;
let past: PastReads;
let views: Program[];
/** Holds commits of pushes as long as it holds the lock: their events are stamped and stored by then. */
let holder: Client;

beforeAll(async () => {
  stopPostgres = await startOwnPostgres();
  stand = await LogStand.open();
  const { database, clock, streams } = stand;
  const definition = streams.stream('candles')?.definition as never;
  const plan = planOf([definition], [{ name: 'price', op: 'last', stream: 'candles', inputs: ['price'] }]);
  views = [new Program(plan)];
  const store = new StateStore(64 * 1024 * 1024, now);
  store.usePlans([plan]);
  settlement = stand.settlement();
  log = await FeatureLog.start({
    ...{ database, clock, streams, settlement, listeners: [store], log: silent, record: unrecorded },
  });
  const counter = { count: (): void => undefined };
  const recent = new RecentPast(store, settlement);
  past = new PastReads({ log: stand.history, now, counter, recent, settlement, cacheBytes: 1024 });
  holder = new Client({ connectionString: stand.url });
  await holder.connect();
  await holder.query(`CREATE FUNCTION features.held() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_advisory_xact_lock_shared(${HOLD}); RETURN NULL; END $$`);
  await holder.query(
    'CREATE TRIGGER held AFTER INSERT ON features.intake FOR EACH ROW EXECUTE FUNCTION features.held()',
  );
  await push(1, 3_600_000);
}, 30_000);
afterAll(async () => {
  await holder.end();
  await log.stop();
  await stand.close();
  await stopPostgres();
});

function push(price: number, agoMs: number): Promise<unknown> {
  return log.push(caller, 'candles', [{ entity: 'A', event_time: Date.now() - agoMs, values: { price, size: 1 } }]);
}

function read(moment: PastMoment, deadlineMs = 10_000): Promise<OnlineAnswer> {
  return past.read({ views, rows: [{ entities: ['A'] }], deadlineMs }, moment);
}

const strict = (at: Micros, more: Partial<PastMoment> = {}): PastMoment => ({
  at,
  knownAt: at,
  corrected: false,
  ...more,
});
const priceOf = ({ frames }: OnlineAnswer): unknown => frames[0]?.[0]?.values[0];

/** Runs while a push is under way whose event was stamped before the moment that is handed over. */
async function whileHeld(
  price: number,
  work: (at: Micros, release: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  await holder.query('SELECT pg_advisory_lock($1)', [HOLD]);
  const pushed = push(price, 1000);
  try {
    const blocked = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${HOLD} AND NOT granted`;
    for (let tries = 0; (await holder.query(blocked)).rowCount === 0; tries++) {
      if (tries > 500) throw new Error('the push was not held');
      await pause(10);
    }
    const { rows } = await holder.query<{ at: string }>('SELECT features.now_us() AS at');
    await work(Number(rows[0]?.at), () => holder.query('SELECT pg_advisory_unlock($1)', [HOLD]));
  } finally {
    await holder.query('SELECT pg_advisory_unlock_all()');
    await pushed;
  }
}

it('a read as of a moment at which an event had arrived that is being committed still waits for it', async () => {
  await whileHeld(2, async (at, release) => {
    let answered = false;
    const asked = read(strict(at)).finally(() => (answered = true));
    // Time in which it would be answered if it did not wait.
    await read(strict(at - 120_000_000));
    await pause(100);
    expect(answered).toBe(false);
    await release();
    const answer = await asked;
    expect(answer).not.toHaveProperty('unsettled');
    expect(priceOf(answer)).toBe(2);
    expect(priceOf(await read(strict(at)))).toBe(2);
  });
}, 30_000);

it('says so where the wait ends before', async () => {
  await whileHeld(3, async (at) => {
    const answer = await read(strict(at), 600);
    expect([answer.unsettled, answer.unread, priceOf(answer)]).toEqual([true, undefined, 2]);
    expect(await read(strict(at, { waitMs: 0 }))).toMatchObject({ unsettled: true });
    // What is long ago, what is known of the past and the present wait for nobody.
    expect(await read(strict(at - 120_000_000))).not.toHaveProperty('unsettled');
    expect(await read(strict(settlement.upTo))).not.toHaveProperty('unsettled');
    expect(await read(strict(at, { present: true }))).not.toHaveProperty('unsettled');
    // Nor does who has waited already.
    const asked = read(await past.settle({ deadlineMs: 100 }, strict(at)));
    expect(settlement.wanted).toBe(false);
    expect(await asked).toMatchObject({ unsettled: true });
    const query = { views, rows: [{ entities: ['A'] }], deadlineMs: 600 };
    const known = { at: at - 1000, knownAt: at, corrected: true };
    expect(await past.explain(query, known, 0)).toMatchObject({ unsettled: true });
  });
}, 30_000);

it('what was read while a commit hangs is not kept for later, however long it hangs', async () => {
  const counter = { count: (): void => undefined };
  const later = (): Micros => now() + 3_600_000_000;
  const kept = new PastReads({ log: stand.history, now: later, counter, settlement, cacheBytes: 1024 * 1024 });
  const query = { views, rows: [{ entities: ['A'] }], deadlineMs: 10_000 };
  await whileHeld(3.5, async (at, release) => {
    const moment = strict(at, { waitMs: 0 });
    expect(priceOf(await kept.read(query, moment))).toBe(3);
    await release();
    expect(await settlement.reach(at, 10_000)).toBe(true);
    expect(priceOf(await kept.read(query, moment))).toBe(3.5);
  });
}, 30_000);

it('an explanation waits too', async () => {
  await whileHeld(4, async (at, release) => {
    const query = { views, rows: [{ entities: ['A'] }], deadlineMs: 10_000 };
    const asked = past.explain(query, strict(at), 0);
    await pause(100);
    await release();
    const explained = await asked;
    expect(explained).not.toHaveProperty('unsettled');
    expect(explained.steps[0]?.outputs[0]?.value).toBe(4);
  });
}, 30_000);

/** Of another process, which looks every so many milliseconds by itself. */
async function following(
  settled: Settlement,
  pollMs: number,
  work: () => Promise<void>,
  more: Partial<FollowerParts> = {},
): Promise<void> {
  const { database, clock, streams } = stand;
  const parts = {
    database,
    clock,
    streams,
    settlement: settled,
    listeners: [],
    known: () => false,
    log: silent,
    ...more,
  };
  const follower = new CommitFollower(parts, pollMs);
  await follower.start();
  try {
    await work();
  } finally {
    await follower.stop();
  }
}

/** Knows when it was looked. */
class Looked extends Settlement {
  private looks = 0;

  override looked(ms: number): void {
    this.looks += 1;
    super.looked(ms);
  }

  /** A look begins and ends. */
  async look(): Promise<void> {
    for (const { looks } = this; this.looks < looks + 2;) await pause(10);
  }
}

it('whoever waits does so until the next look, and that comes at once', async () => {
  const settled = stand.settlement();
  await following(settled, 3_600_000, async () => {
    for (let i = 0; i < 3; i++) {
      const at = now();
      expect(settled.has(at)).toBe(false);
      expect(await settled.reach(at, 10_000)).toBe(true);
    }
  });
}, 60_000);

it('what had arrived before a process began to look is known from then on', async () => {
  const at = now() - 2000;
  let known = false;
  // Unless PostgreSQL has something of its own under way.
  for (let tries = 0; tries < 5 && !known; tries++) {
    const settled = stand.settlement();
    await following(settled, 3_600_000, () => Promise.resolve(void (known = settled.has(at))));
  }
  expect(known).toBe(true);
});

it('no moment is known before all that arrived by then was told of', async () => {
  const settled = stand.settlement();
  let [asked, heard] = [0, 0];
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const query = async (sql: string, values?: readonly unknown[]): Promise<object[]> => {
    if (sql.includes('FROM features.intake')) {
      asked += 1;
      await gate;
    }
    return stand.database.query<object>(sql, values);
  };
  const listeners = [{ taken: (events: readonly object[]) => void (heard += events.length) }];
  const work = async (): Promise<void> => {
    await push(5, 950);
    const at = now();
    const reached = settled.reach(at, 20_000);
    while (asked === 0) await pause(10);
    // Time in which it would be known if nobody waited for what is asked.
    await pause(50);
    expect([settled.has(at), heard]).toEqual([false, 0]);
    open();
    expect(await reached).toBe(true);
    expect(heard).toBe(1);
  };
  await following(settled, 20, work, { database: { query } as unknown as Database, listeners });
}, 30_000);

it('what had arrived is known when all that were under way then have ended, though there never is a moment without any', async () => {
  const settled = new Looked(now);
  const relay = [new Client({ connectionString: stand.url }), new Client({ connectionString: stand.url })];
  const begin = (one: Client | undefined): Promise<unknown> | undefined =>
    one?.query('BEGIN; SELECT pg_current_xact_id()');
  const handOver = async (): Promise<void> => {
    await begin(relay[1]);
    await settled.look();
    await relay[0]?.query('COMMIT');
    relay.reverse();
    await settled.look();
  };
  try {
    for (const one of relay) await one.connect();
    await begin(relay[0]);
    const before = now() - 2000;
    await following(settled, 20, async () => {
      await settled.look();
      expect(settled.has(before)).toBe(false);
      for (const at of [() => before, now, now]) {
        const asked = settled.reach(at(), 10_000);
        // The first one ends what was under way at the moment that is looked at, the second one what was at the one that is asked about.
        await handOver();
        await handOver();
        expect(await asked).toBe(true);
      }
    });
  } finally {
    for (const one of relay) await one.end();
  }
}, 60_000);

it('after a clock was set back nothing passes for known that may be stamped once more', async () => {
  let back = 0;
  const query = async (sql: string, values?: readonly unknown[]): Promise<object[]> => {
    const rows = await stand.database.query<{ at?: string }>(sql, values);
    return rows.map(({ at, ...row }) => ({ ...row, ...(at !== undefined && { at: String(Number(at) - back) }) }));
  };
  const settled = new Looked(now);
  const other = new Client({ connectionString: stand.url });
  await other.connect();
  const work = async (): Promise<void> => {
    const at = now();
    expect(await settled.reach(at, 10_000)).toBe(true);
    // While something is under way no later moment comes to be known.
    await other.query('BEGIN; SELECT pg_current_xact_id()');
    await settled.look();
    back = 3_600_000_000;
    await settled.look();
    expect(settled.has(at)).toBe(false);
    await other.query('COMMIT');
    expect(await settled.reach(at - back, 10_000)).toBe(true);
    expect(settled.has(at)).toBe(false);
  };
  try {
    await following(settled, 20, work, { database: { query } as unknown as Database });
  } finally {
    await other.end();
  }
}, 30_000);

it('nobody is waited for when all is known', async () => {
  for (let i = 0; i < 20; i++) {
    await push(10 + i, 900 - i);
    // Stamps are of microseconds, and now is of milliseconds.
    await pause(2);
    const answer = await read(strict(now()));
    expect([answer.unsettled, priceOf(answer)]).toEqual([undefined, 10 + i]);
  }
}, 30_000);
