import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { SystemClock, UuidV7Source } from '@sibyl/kernel';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import type { AuditEvent, AuditEventDraft } from './audit-event';
import { AuditLog, type EventPageRequest } from './audit-log';
import { AuditTrail } from './audit-trail';
import type { EventFilter } from './event-filter';
import { auditMigrations } from './migrations';
import { anEvent, silentTrailLog } from './testing';

const clock = new SystemClock();
const payloadKey = Buffer.alloc(32, 3);

let db: TestDatabase;
let folder: string;
let trail: AuditTrail;
let log: AuditLog;

beforeAll(async () => {
  db = await createTestDatabase(auditMigrations);
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-log-'));
  trail = new AuditTrail({
    folder,
    database: db.database,
    payloadKey,
    clock,
    ids: new UuidV7Source(clock),
    log: silentTrailLog,
  });
  await trail.start();
  log = new AuditLog({ database: db.database, trail, payloadKeys: [payloadKey] });
});
afterAll(async () => {
  await trail.close();
  await db.drop();
  fs.rmSync(folder, { recursive: true, force: true });
});

function commitAll(drafts: readonly Partial<AuditEventDraft>[]): Promise<unknown> {
  return Promise.all(drafts.map((draft) => trail.commit(anEvent(draft))));
}

async function walk(
  filter: EventFilter,
  page: EventPageRequest,
  between?: () => Promise<unknown>,
): Promise<AuditEvent[]> {
  const items: AuditEvent[] = [];
  for (let cursor: string | undefined; ;) {
    const found = await log.list(filter, { ...page, cursor });
    items.push(...found.items);
    if (found.next === undefined) return items;
    cursor = found.next;
    await between?.();
  }
}

const requestIds = (items: readonly AuditEvent[]): string[] => items.map((event) => event.request_id);
const named = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

describe('AuditLog.list', () => {
  it('shows what was committed just before, exactly as it was committed', async () => {
    await trail.commit(anEvent({ requestId: 'just now', reason: 'ü', changes: { a: [1, null] } }));
    const { items } = await log.list({ requestId: 'just now' });
    expect(items).toEqual([
      expect.objectContaining({
        request_id: 'just now',
        reason: 'ü',
        changes: { a: [1, null] },
        chain: trail.status().chains.spool,
      }),
    ]);
    expect(await log.find(items[0]?.id ?? '')).toEqual(items[0]);
  });

  it('shows changes of other transactions as soon as they are committed', async () => {
    await db.database.transaction((tx) =>
      trail.commitInTransaction(tx, anEvent({ action: 'key.issue', requestId: 'a change' })),
    );
    expect(requestIds((await log.list({ action: 'key.issue' })).items)).toEqual(['a change']);
  });

  it.each(['asc', 'desc'] as const)('walks every event once in order %s while others arrive', async (order) => {
    const actor = { type: 'key' as const, id: `walker-${order}`, name: 'walker' };
    const names = named(order, 137);
    for (const requestId of names) await trail.commit(anEvent({ actor, requestId }));
    let late = 0;
    const items = await walk({ actor: actor.id }, { limit: 10, order }, () =>
      commitAll(named(`late-${order}`, 5).map((requestId) => ({ actor, requestId: `${requestId}-${late++}` }))),
    );
    expect(late).toBeGreaterThan(10);
    expect(requestIds(items)).toEqual(order === 'asc' ? names : [...names].reverse());
  });

  const wanted: Partial<AuditEventDraft> = {
    action: 'model.promote',
    outcome: 'denied',
    status: 403,
    actor: { type: 'key', id: 'filter-actor', keyId: 'filter-key', name: 'Filter Name' },
    ip: '203.0.113.7',
    requestId: 'filter-request',
    model: { name: 'filter-model', version: '9.9.9' },
    predictionId: '0199aaaa-0000-7000-8000-0000000000f1',
  };

  it.each<[string, EventFilter]>([
    ['actor by id', { actor: 'filter-actor' }],
    ['actor by name', { actor: 'Filter Name' }],
    ['key', { keyId: 'filter-key' }],
    ['action', { action: 'model.promote' }],
    ['outcome', { outcome: 'denied' }],
    ['status', { status: 403 }],
    ['model', { model: 'filter-model' }],
    ['model and version', { model: 'filter-model', version: '9.9.9' }],
    ['address', { ip: '203.0.113.7' }],
    ['request', { requestId: 'filter-request' }],
    ['prediction', { predictionId: '0199aaaa-0000-7000-8000-0000000000f1' }],
    [
      'all at once',
      {
        actor: 'filter-actor',
        keyId: 'filter-key',
        action: 'model.promote',
        outcome: 'denied',
        status: 403,
        ip: '203.0.113.7',
      },
    ],
  ])('filters by %s', async (_, filter) => {
    if ((await log.list({ requestId: 'filter-request' })).items.length === 0)
      await commitAll([wanted, {}, { status: 404 }]);
    expect(requestIds((await log.list(filter)).items)).toEqual(['filter-request']);
    expect((await log.list({ ...filter, ip: 'elsewhere' })).items).toEqual([]);
  });

  it('filters by time: from included, to excluded', async () => {
    await trail.commit(anEvent({ requestId: 'in time' }));
    const [event] = (await log.list({ requestId: 'in time' })).items;
    const at = Date.parse(event?.recorded_at ?? '');
    const found = async (fromMs: number, toMs: number): Promise<number> =>
      (await log.list({ requestId: 'in time', fromMs, toMs })).items.length;
    expect(await found(at, at + 1)).toBe(1);
    expect(await found(at - 1, at)).toBe(0);
    expect(await found(at + 1, at + 2)).toBe(0);
  });

  it('finds nothing, and does not fail, for texts that no event can hold', async () => {
    expect((await log.list({ actor: '\0', ip: '\ud800', model: "'; DROP TABLE audit.event; --" })).items).toEqual([]);
  });

  it('keeps to its limits', async () => {
    await commitAll(named('limit', 12).map((requestId) => ({ requestId })));
    expect((await log.list({}, { limit: 0 })).items).toHaveLength(1);
    expect((await log.list({}, { limit: 5 })).items).toHaveLength(5);
    expect((await log.list({}, { limit: 1e9 })).items.length).toBeLessThanOrEqual(1000);
  });

  it('refuses a cursor of another search', async () => {
    await commitAll([{}, {}, {}]);
    const { next } = await log.list({}, { limit: 1 });
    await expect(log.list({ actor: 'somebody' }, { limit: 1, cursor: next })).rejects.toMatchObject({
      code: 'invalid_parameter',
    });
  });
});

describe('AuditLog.find', () => {
  it('answers nothing for ids that are unknown or none', async () => {
    expect(await log.find('0199aaaa-0000-7000-8000-00000000ffff')).toBeUndefined();
    expect(await log.find("' OR 1=1 --")).toBeUndefined();
  });
});

it('a search for rare events uses an index instead of reading all', async () => {
  for (const sql of [
    "action = 'key.issue'",
    "outcome = 'denied'",
    'status = 403',
    "request_id = 'x'",
    "key_id = 'x'",
    "ip = 'x'",
    "model_name = 'x'",
  ]) {
    const plan = await db.database.transaction(async (tx) => {
      await tx.query('SET LOCAL enable_seqscan = off');
      return (await tx.query(
        `EXPLAIN SELECT body FROM audit.event WHERE ${sql} ORDER BY recorded_at DESC, id DESC LIMIT 10`,
      )) as unknown;
    });
    expect(JSON.stringify(plan)).toMatch(/Index Cond|Bitmap Index/);
  }
});

describe('AuditLog.traceOf', () => {
  it('tells the newest changes of a version, and how many there are', async () => {
    const model = { name: 'traced', version: '1' };
    const drafts = (count: number, from: number): Partial<AuditEventDraft>[] =>
      Array.from({ length: count }, (_, i) => ({ action: 'model.promote', model, actor: actorOf(from + i) }));
    const actorOf = (i: number) => ({ type: 'key' as const, id: 'a', name: `mover-${i}` });
    await trail.commit(anEvent({ action: 'model.register', model, actor: actorOf(-1) }));
    await commitAll(drafts(1000, 0));
    await trail.commit(anEvent({ action: 'model.archive', model, actor: actorOf(1000) }));
    await trail.commit(anEvent({ action: 'prediction.create', model }));
    const { events, events_count: count, heads } = await log.traceOf('traced', '1');
    expect([events.length, count]).toEqual([1000, 1002]);
    expect(events.at(-1)).toMatchObject({ action: 'model.archive', actor_name: 'mover-1000' });
    expect(events.some(({ action }) => action === 'model.register')).toBe(false);
    const times = events.map((event) => event.recorded_at);
    expect(times).toEqual([...times].sort());
    expect(heads.length).toBeGreaterThan(0);
    expect((await log.traceOf('traced', '2')).events_count).toBe(0);
  });
});
