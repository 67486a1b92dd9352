import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { DomainError, SystemClock, UuidV7Source } from '@sibyl/kernel';
import type { Database } from '@sibyl/database';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { AuditLog } from './audit-log';
import { AuditOptions } from './audit-options';
import { AuditTrail, type AuditTrailParts } from './audit-trail';
import { FaultyDisk } from './testing/faulty-disk';
import { auditMigrations } from './migrations';
import { anEvent, silentTrailLog } from './testing';
import { verifyChain, type ChainRow, type ChainVerdict } from './verify-chain';

const clock = new SystemClock();
const ids = new UuidV7Source(clock);
const payloadKey = Buffer.alloc(32, 3);
const FAST = { segmentBytes: 64 * 1024, shipDelayMs: 5, probeIntervalMs: 10, shipRetryMs: 5, adoptIntervalMs: 20 };

let db: TestDatabase;
let folder: string;
const trails: AuditTrail[] = [];

beforeAll(async () => {
  db = await createTestDatabase(auditMigrations);
});
afterAll(() => db.drop());
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-trail-'));
});
afterEach(async () => {
  await Promise.all(trails.splice(0).map((trail) => trail.close()));
  fs.rmSync(folder, { recursive: true, force: true });
});

async function aTrail(given: Partial<AuditOptions> = {}, parts: Partial<AuditTrailParts> = {}): Promise<AuditTrail> {
  const options = Object.assign(new AuditOptions(), { ...FAST, ...given });
  const trail = new AuditTrail(
    { folder, database: db.database, payloadKey, clock, ids, log: silentTrailLog, ...parts },
    options,
  );
  await trail.start();
  trails.push(trail);
  return trail;
}

function logOf(trail: AuditTrail, payloadKeys: readonly Uint8Array[] = [payloadKey]): AuditLog {
  return new AuditLog({ database: db.database, trail, payloadKeys });
}

/** The database as the trail sees it, with statements that can be made to fail before or after they are done. */
function flaky(fault: { before?: () => void; after?: () => void }): Database {
  return new Proxy(db.database, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (name !== 'query') return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
      return async (...args: unknown[]): Promise<unknown> => {
        fault.before?.();
        const result: unknown = await Reflect.apply(member, target, args);
        if (String(args[0]).includes('INSERT INTO audit.event')) fault.after?.();
        return result;
      };
    },
  });
}

async function storedRows(chain: string): Promise<ChainRow[]> {
  const rows = await db.database.auditQuery<
    Record<string, string> & { body: Buffer; leaf: Buffer; chain_hash: Buffer }
  >(
    `SELECT chain_id, seq, body, leaf, chain_hash, id, recorded_at::text, occurred_at::text, action, outcome, status::text,
       actor_type, actor_id, actor_name, key_id, ip, request_id, resource_type, resource_id, model_name, model_version,
       prediction_id
     FROM audit.event WHERE chain_id = $1 ORDER BY seq`,
    [chain],
  );
  return rows.map(({ chain_id, seq, body, leaf, chain_hash, ...columns }) => ({
    chain: chain_id ?? '',
    seq: Number(seq),
    body,
    leaf,
    chainHash: chain_hash,
    columns,
  }));
}

async function verdictOn(chain: string): Promise<ChainVerdict> {
  return verifyChain(await storedRows(chain));
}

async function requestIds(chain: string): Promise<string[]> {
  return (await storedRows(chain)).map((row) => row.columns?.request_id ?? '');
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries === 3000) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const outage = (): never => {
  throw new DomainError('database_unavailable', 'The database cannot be reached at the moment.');
};
const named = (count: number, prefix = 'r'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);

describe('shipping', () => {
  it('brings thousands of concurrent events into one chain without a gap, a fork or a change', async () => {
    const trail = await aTrail();
    await Promise.all(named(3000).map((requestId) => trail.commit(anEvent({ requestId }), `{"of":"${requestId}"}`)));
    await trail.flush(10_000);
    const { spool } = trail.status().chains;
    expect(await verdictOn(spool)).toEqual({ ok: true, checked: 3000 });
    expect(await requestIds(spool)).toEqual(named(3000));
    expect(trail.status()).toMatchObject({ backlogEvents: 0, events: 3000, refused: 0, writable: true });
  });

  it('brings hostile texts, and columns that say what the body says', async () => {
    const trail = await aTrail();
    const hostile = [
      '\0',
      '\ud800',
      '\udfff\ud800',
      '\\u0000',
      '"; DROP TABLE audit.event; --',
      '😀 Ω',
      'x'.repeat(70_000),
      '\u2028\u0001',
    ];
    for (const text of hostile) {
      await trail.commit(
        anEvent({
          action: text,
          actor: { type: 'anonymous', id: text, keyId: text, name: text },
          ip: text,
          requestId: text,
          traceId: text,
          resource: { type: text, id: text },
          model: { name: text, version: text, digest: text, alias: text },
          predictionId: text,
          reason: text,
          changes: { [text]: text },
        }),
        text,
      );
      await db.database.transaction((tx) => trail.commitInTransaction(tx, anEvent({ reason: text, ip: text })));
    }
    await trail.flush(5000);
    const { spool, database } = trail.status().chains;
    expect(await verdictOn(spool)).toEqual({ ok: true, checked: hostile.length });
    expect(await verdictOn(database)).toEqual({ ok: true, checked: hostile.length });
  });

  it('brings each event once when the answer to an insert is lost', async () => {
    let losses = 3;
    const database = flaky({ after: () => (losses-- > 0 ? outage() : undefined) });
    const trail = await aTrail({ shipEvents: 7 }, { database });
    for (const requestId of named(40)) await trail.commit(anEvent({ requestId }), '{}');
    await until(() => trail.status().backlogEvents === 0);
    expect(losses).toBeLessThan(0);
    expect(await requestIds(trail.status().chains.spool)).toEqual(named(40));
  });

  it('keeps taking commits while PostgreSQL is away, says so, and catches up in order', async () => {
    let isAway = true;
    const database = flaky({ before: () => (isAway ? outage() : undefined) });
    const trail = await aTrail({ shipEvents: 50 }, { database });
    for (const requestId of named(300)) await trail.commit(anEvent({ requestId }));
    await expect(trail.flush(500)).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(trail.status()).toMatchObject({ writable: true, backlogEvents: 300, shipError: expect.any(String) });
    isAway = false;
    await trail.flush(5000);
    expect(await requestIds(trail.status().chains.spool)).toEqual(named(300));
    expect(trail.status().shipError).toBeUndefined();
  });

  it('frees what was shipped, so that the spool stays small', async () => {
    const trail = await aTrail();
    for (let round = 0; round < 30; round++) {
      await Promise.all(named(50, `${round}`).map((requestId) => trail.commit(anEvent({ requestId }))));
      await trail.flush(5000);
    }
    expect(trail.status().spoolBytes).toBeLessThanOrEqual(6 * FAST.segmentBytes);
    expect((await storedRows(trail.status().chains.spool)).length).toBe(1500);
  });

  it('ships on when a batch ends with its segment and nothing is committed any more', async () => {
    const trail = await aTrail({ shipDelayMs: 50 });
    await Promise.all(named(90).map((requestId) => trail.commit(anEvent({ requestId }))));
    await Promise.all(named(90).map((requestId) => trail.commit(anEvent({ requestId }))));
    await until(() => trail.status().backlogEvents === 0);
    expect(trail.status().events).toBe(180);
  });

  it('leaves no files and closed chains behind', async () => {
    const trail = await aTrail();
    await trail.commit(anEvent());
    const { chains } = trail.status();
    await trail.close();
    expect(fs.readdirSync(path.join(folder, 'spool'))).toEqual([]);
    const open = await db.database.query('SELECT 1 FROM audit.chain WHERE chain_id = $1 AND closed_at IS NULL', [
      chains.spool,
    ]);
    expect(open).toEqual([]);
    await expect(trail.commit(anEvent())).rejects.toMatchObject({ code: 'audit_unavailable' });
  });
});

describe('a tampered database', () => {
  it('the tamper of a superuser shows', async () => {
    const trail = await aTrail();
    for (const requestId of named(5)) await trail.commit(anEvent({ requestId }));
    await trail.flush(5000);
    const { spool } = trail.status().chains;
    const client = new Client({ connectionString: db.url });
    await client.connect();
    await client.query('SET session_replication_role = replica');
    await client.query(`UPDATE audit.event SET actor_id = 'nobody' WHERE chain_id = $1 AND seq = 3`, [spool]);
    await client.end();
    expect(await verdictOn(spool)).toMatchObject({
      ok: false,
      checked: 2,
      firstBad: { seq: 3, kind: 'column_mismatch' },
    });
  });
});

describe('what an earlier process left behind', () => {
  /** A process that could not ship and ended: its chain lies in the folder with no owner. */
  async function leftBehind(count: number, fault: Parameters<typeof flaky>[0]): Promise<string> {
    const trail = await aTrail({ shipEvents: 7 }, { database: flaky(fault) });
    for (const requestId of named(count)) await trail.commit(anEvent({ requestId }), '{}');
    await trail.close();
    return trail.status().chains.spool;
  }

  it('is shipped by the next start, and only then removed', async () => {
    const chain = await leftBehind(30, { before: outage });
    expect(fs.existsSync(path.join(folder, 'spool', chain))).toBe(true);
    const next = await aTrail();
    await next.flush(5000);
    expect(await requestIds(chain)).toEqual(named(30));
    expect(await verdictOn(chain)).toEqual({ ok: true, checked: 30 });
    expect(fs.existsSync(path.join(folder, 'spool', chain))).toBe(false);
  });

  it('arrives once, though part of it arrived before and several processes take it over at once', async () => {
    let inserts = 0;
    const chain = await leftBehind(100, {
      after: () => (++inserts > 3 ? outage() : undefined),
      before: () => (inserts > 3 ? outage() : undefined),
    });
    expect((await storedRows(chain)).length).toBeLessThan(100);
    const next = await Promise.all([aTrail({ shipEvents: 3 }), aTrail({ shipEvents: 5 }), aTrail()]);
    await until(async () => (await storedRows(chain)).length === 100);
    await until(() => !fs.existsSync(path.join(folder, 'spool', chain)));
    expect(await requestIds(chain)).toEqual(named(100));
    expect(await verdictOn(chain)).toEqual({ ok: true, checked: 100 });
    for (const trail of next) await trail.commit(anEvent());
  });

  it('is noticed while running, when a process that shares the folder dies', async () => {
    const survivor = await aTrail();
    const chain = await leftBehind(10, { before: outage });
    await until(async () => (await storedRows(chain)).length === 10);
    expect(survivor.writable()).toBe(true);
  });

  it('is left alone while its writer lives', async () => {
    const living = await aTrail({ shipDelayMs: 60_000 });
    await living.commit(anEvent());
    const other = await aTrail();
    expect(other.status().leftoverChains).toBe(0);
    await living.commit(anEvent());
  });

  it('is kept for a person where it cannot be read', async () => {
    const chain = await leftBehind(30, { before: outage });
    const file = path.join(folder, 'spool', chain, '000001.seg');
    const bytes = fs.readFileSync(file);
    bytes[3000] = (bytes[3000] ?? 0) ^ 1;
    fs.writeFileSync(file, bytes);
    const errors: string[] = [];
    const log = { ...silentTrailLog, error: (_: object, message: string) => errors.push(message) };
    await aTrail({}, { log });
    await until(() => fs.existsSync(path.join(folder, 'spool', `${chain}.damaged`)));
    expect(errors.join()).toContain('damaged');
    expect(errors.join()).toContain('missing');
    expect(await verdictOn(chain)).toMatchObject({ ok: false, firstBad: { kind: 'gap' } });
  });
});

describe('commitInTransaction', () => {
  it('commits with the change or not at all', async () => {
    const trail = await aTrail();
    const { database } = trail.status().chains;
    await db.database.transaction((tx) => trail.commitInTransaction(tx, anEvent({ requestId: 'first' })));
    const change = db.database.transaction(async (tx) => {
      await trail.commitInTransaction(tx, anEvent({ requestId: 'rolled back' }));
      throw new Error('the change failed');
    });
    await expect(change).rejects.toThrow('the change failed');
    await db.database.transaction((tx) => trail.commitInTransaction(tx, anEvent({ requestId: 'second' })));
    expect(await requestIds(database)).toEqual(['first', 'second']);
    expect(await verdictOn(database)).toEqual({ ok: true, checked: 2 });
  });

  it('keeps one chain under concurrent changes', async () => {
    const trail = await aTrail();
    const names = named(40);
    await Promise.all(
      names.map((requestId) => db.database.transaction((tx) => trail.commitInTransaction(tx, anEvent({ requestId })))),
    );
    const { database } = trail.status().chains;
    expect(await verdictOn(database)).toEqual({ ok: true, checked: 40 });
    expect((await requestIds(database)).sort()).toEqual([...names].sort());
  });

  it('begins its chain again when the transaction that began it was rolled back', async () => {
    const trail = await aTrail();
    const first = db.database.transaction(async (tx) => {
      await trail.commitInTransaction(tx, anEvent());
      throw new Error('no');
    });
    await expect(first).rejects.toThrow('no');
    await db.database.transaction((tx) => trail.commitInTransaction(tx, anEvent()));
    expect(await verdictOn(trail.status().chains.database)).toEqual({ ok: true, checked: 1 });
  });
});

describe('a full disk under the spool', () => {
  it('refuses, loses nothing acknowledged and recovers without a restart', async () => {
    const disk = new FaultyDisk();
    const trail = await aTrail({}, { disk });
    const kept: string[] = [];
    const attempt = (requestId: string): Promise<unknown> =>
      trail.commit(anEvent({ requestId }), '{}').then(
        () => kept.push(requestId),
        () => undefined,
      );
    for (const requestId of named(10, 'before')) await attempt(requestId);
    disk.writesLeft = 0;
    for (const requestId of named(10, 'full')) await attempt(requestId);
    expect(trail.status()).toMatchObject({ writable: false, refused: 10, writeError: 'ENOSPC: injected' });
    disk.writesLeft = Infinity;
    await until(() => trail.writable());
    for (const requestId of named(10, 'after')) await attempt(requestId);
    await trail.flush(5000);
    expect(kept).toEqual([...named(10, 'before'), ...named(10, 'after')]);
    const { spool } = trail.status().chains;
    expect(await requestIds(spool)).toEqual(kept);
    expect(await verdictOn(spool)).toEqual({ ok: true, checked: 20 });
  });
});

describe('a recorded prediction', () => {
  it('is read back with its payload, whatever shared its write', async () => {
    const trail = await aTrail();
    const log = logOf(trail);
    const predictions = Array.from({ length: 20 }, () => ids.next());
    await Promise.all([
      ...predictions.map((predictionId) =>
        trail.commit(anEvent({ predictionId }), `{"inputs":"of ${predictionId} ü"}`),
      ),
      trail.commit(anEvent({ action: 'prediction.read', predictionId: predictions[3] })),
    ]);
    for (const predictionId of predictions) {
      const found = await log.prediction(predictionId);
      expect(found?.event).toMatchObject({ action: 'prediction.create', prediction_id: predictionId });
      expect(found?.payload).toBe(`{"inputs":"of ${predictionId} ü"}`);
    }
  });

  it('is absent when unknown, and has no payload where none was given', async () => {
    const trail = await aTrail();
    const predictionId = ids.next();
    await trail.commit(anEvent({ predictionId }));
    expect(await logOf(trail).prediction(ids.next())).toBeUndefined();
    expect(await logOf(trail).prediction('not an id')).toBeUndefined();
    expect((await logOf(trail).prediction(predictionId))?.payload).toBeUndefined();
  });

  it('is read with an older key, and not without it', async () => {
    const trail = await aTrail();
    const predictionId = ids.next();
    await trail.commit(anEvent({ predictionId }), '{"x":1}');
    const other = Buffer.alloc(32, 9);
    expect((await logOf(trail, [other, payloadKey]).prediction(predictionId))?.payload).toBe('{"x":1}');
    await expect(logOf(trail, [other]).prediction(predictionId)).rejects.toMatchObject({ code: 'internal_error' });
  });

  it('keeps the digest of a payload that is too long', async () => {
    const trail = await aTrail({ payloadBytes: 1024 });
    const [short, long] = [ids.next(), ids.next()];
    await trail.commit(anEvent({ predictionId: short }), 'ü'.repeat(512));
    await trail.commit(anEvent({ predictionId: long }), 'ü'.repeat(513));
    expect((await logOf(trail).prediction(short))?.payload).toBe('ü'.repeat(512));
    expect(JSON.parse((await logOf(trail).prediction(long))?.payload ?? '')).toEqual({
      omitted_bytes: 1026,
      sha256: expect.any(String),
    });
  });
});

describe('relaxed durability', () => {
  it('spares the disk for predictions and reads of features, waits for it with everything else, and ships the same chain', async () => {
    const trail = await aTrail({ durability: 'relaxed', lossWindowMs: 1000, segmentBytes: 64 * 1024 });
    const made = named(300);
    for (const [i, requestId] of made.entries()) {
      const read = anEvent({ requestId, action: 'feature.online' });
      await trail.commit(i % 2 === 0 ? read : anEvent({ requestId, predictionId: ids.next() }), '{"x":1}');
    }
    const before = trail.status();
    expect(before).toMatchObject({ durability: 'relaxed', lossWindowMs: 1000, events: 300, refused: 0 });
    expect(before.syncs).toBeLessThan(before.writes / 2);
    const failed = { action: 'feature.online', outcome: 'failed' } as const;
    for (const [i, requestId] of named(5, 'other').entries())
      await trail.commit(anEvent({ requestId, ...(i % 2 === 0 && failed) }));
    expect(trail.status().syncs - before.syncs).toBeGreaterThanOrEqual(5);
    await trail.flush(10_000);
    const { spool } = trail.status().chains;
    expect(await verdictOn(spool)).toEqual({ ok: true, checked: 305 });
    expect(await requestIds(spool)).toEqual([...made, ...named(5, 'other')]);
  });

  it('is not what a trail does unless it is told to', async () => {
    const trail = await aTrail();
    for (const requestId of named(5)) await trail.commit(anEvent({ requestId, predictionId: ids.next() }));
    const { durability, lossWindowMs, writes, syncs } = trail.status();
    expect({ durability, lossWindowMs }).toEqual({ durability: 'durable', lossWindowMs: 0 });
    expect(syncs).toBeGreaterThanOrEqual(writes);
  });
});
