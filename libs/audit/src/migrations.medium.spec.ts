import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { SystemClock, UuidV7Source, type Clock } from '@sibyl/kernel';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { AuditTrail } from './audit-trail';
import { auditMigrations } from './migrations';
import { anEvent, silentTrailLog } from './testing';

const systemClock = new SystemClock();
const ids = new UuidV7Source(systemClock);
const payloadKey = Buffer.alloc(32, 3);

let db: TestDatabase;
let folder: string;

beforeAll(async () => {
  db = await createTestDatabase(auditMigrations);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-guard-'));
});
afterAll(async () => {
  await db.drop();
  fs.rmSync(folder, { recursive: true, force: true });
});

function aTrail(clock: Clock = systemClock): AuditTrail {
  return new AuditTrail({ folder, database: db.database, payloadKey, clock, ids, log: silentTrailLog });
}

/** A process that records one event, brings it to PostgreSQL and ends. Answers the chain. */
async function recordOne(clock?: Clock): Promise<string> {
  const trail = aTrail(clock);
  await trail.start();
  await trail.commit(anEvent(), '{}');
  await trail.close();
  return trail.status().chains.spool;
}

function clockAt(instant: string): Clock {
  return Object.assign(new SystemClock(), { now: () => Date.parse(instant) });
}

describe('what the application may not do', () => {
  const attempts = [
    `UPDATE audit.event SET status = 500`,
    `DELETE FROM audit.event`,
    `TRUNCATE audit.event`,
    `UPDATE audit.event_default SET status = 500`,
    `DELETE FROM audit.event_default`,
    `TRUNCATE audit.event_default`,
    `UPDATE audit.payload SET iv = ''`,
    `DELETE FROM audit.payload`,
    `TRUNCATE audit.payload`,
    `TRUNCATE audit.payload_default`,
    `DELETE FROM audit.chain`,
    `TRUNCATE audit.chain`,
    `UPDATE audit.chain SET chain_id = gen_random_uuid()`,
    `UPDATE audit.chain SET last_seq = 0`,
    `UPDATE audit.chain SET head = sha256('')`,
    `DROP TABLE audit.event_default`,
    `ALTER TABLE audit.event DISABLE TRIGGER ALL`,
    `ALTER TABLE audit.event DETACH PARTITION audit.event_default`,
    `SET session_replication_role = replica`,
  ];
  let month: string;

  beforeAll(async () => {
    await recordOne();
    month = new Date().toISOString().slice(0, 7).replace('-', '_');
  });

  it.each(attempts)('%s', async (sql) => {
    await expect(db.database.query(sql)).rejects.toThrow(/denied|must be owner|only grows|never changed/);
  });

  it.each([
    'UPDATE audit.event_MONTH SET status = 500',
    'DELETE FROM audit.event_MONTH',
    'TRUNCATE audit.event_MONTH',
    'TRUNCATE audit.payload_MONTH',
  ])('%s (the partition of this month)', async (sql) => {
    await expect(db.database.query(sql.replace('MONTH', month))).rejects.toThrow(/denied/);
  });

  it('nor may even the owner, by an ordinary statement on table or partition', async () => {
    const client = new Client({ connectionString: db.url });
    await client.connect();
    try {
      await client.query('SET ROLE sibyl_owner');
      for (const table of [
        'event',
        'event_default',
        `event_${month}`,
        'payload',
        'payload_default',
        `payload_${month}`,
      ]) {
        for (const sql of [
          `UPDATE audit.${table} SET recorded_at = now()`,
          `DELETE FROM audit.${table}`,
          `TRUNCATE audit.${table}`,
        ]) {
          await expect(client.query(sql)).rejects.toThrow('audit rows are never changed or removed');
        }
      }
      for (const sql of ['DELETE FROM audit.chain', 'TRUNCATE audit.chain']) {
        await expect(client.query(sql)).rejects.toThrow('audit rows are never changed or removed');
      }
      await expect(client.query('UPDATE audit.chain SET last_seq = last_seq - 1')).rejects.toThrow(
        'a chain only grows',
      );
    } finally {
      await client.end();
    }
  });

  it('and a reader may only read', async () => {
    await expect(
      db.database.auditQuery(
        `INSERT INTO audit.chain (chain_id, kind, instance) VALUES (gen_random_uuid(), 'spool', '')`,
      ),
    ).rejects.toThrow(/denied|read-only/);
    await expect(db.database.auditQuery('SELECT 1 FROM audit.event LIMIT 1')).resolves.toHaveLength(1);
  });
});

describe('partitions', () => {
  it('hold the events of their month', async () => {
    await db.database.query(`SELECT audit.ensure_month('2019-05-31 23:59:59Z')`);
    const chain = await recordOne(clockAt('2019-05-05T00:00:00.000Z'));
    const [row] = await db.database.auditQuery<{ part: string }>(
      'SELECT tableoid::regclass::text AS part FROM audit.event WHERE chain_id = $1',
      [chain],
    );
    expect(row?.part).toBe('audit.event_2019_05');
  });

  it('take an event of an odd clock by default, and are not made over it later', async () => {
    const odd = aTrail(clockAt('2018-05-05T00:00:00.000Z'));
    await db.database.transaction((tx) => odd.commitInTransaction(tx, anEvent()));
    const madeFor = async (day: string): Promise<boolean | undefined> =>
      (await db.database.query<{ made: boolean }>('SELECT audit.ensure_month($1) AS made', [day]))[0]?.made;
    expect(await madeFor('2018-05-20')).toBe(false);
    expect(await madeFor('2017-05-20')).toBe(true);
    expect(await madeFor('2017-05-21')).toBe(true);
  });
});
