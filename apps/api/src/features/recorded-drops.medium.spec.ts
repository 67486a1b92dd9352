import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AuditTrail, auditMigrations } from '@sibyl/audit';
import { silentTrailLog } from '@sibyl/audit/testing';
import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import {
  DefinitionCompiler,
  DefinitionSnapshot,
  DefinitionStore,
  FeatureLog,
  featureMigrations,
  LogOptions,
  Settlement,
} from '@sibyl/features';
import { SystemClock, systemActor, UuidV7Source } from '@sibyl/kernel';
import { systemRecord } from '../system-record';

const DAY_MS = 86_400_000;
const actor = systemActor('test');
const quiet = { info: () => undefined, warn: () => undefined };
const clock = new SystemClock();
const ids = new UuidV7Source(clock);
const view = (retention: string): object => ({
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'bars', retention, fields: { close: 'double' } }],
  features: [{ name: 'price', op: 'last', input: 'close' }],
});

let folder: string;
let test: TestDatabase;
let snapshot: DefinitionSnapshot;
let log: FeatureLog;

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'sibyl-drops-'));
  test = await createTestDatabase([...auditMigrations, ...featureMigrations]);
});
afterAll(async () => {
  await log.stop();
  snapshot.stop();
  await test.drop();
  rmSync(folder, { recursive: true });
});

it('what a lowered retention takes away is dropped with an event of the system, in the trail that all events are in', async () => {
  const { database } = test;
  const trail = new AuditTrail({ folder, database, payloadKey: Buffer.alloc(32), clock, ids, log: silentTrailLog });
  await trail.startForChanges();
  const compiler = new DefinitionCompiler();
  snapshot = new DefinitionSnapshot({ database, compiler, log: quiet });
  await snapshot.start();
  const setsInService = (): Promise<readonly never[]> => Promise.resolve([]);
  const store = new DefinitionStore({ database, clock, compiler, snapshot, setsInService });
  const record = systemRecord(trail, actor, { clock, ids });
  const publish = (retention: string) =>
    store.publish(actor, { kind: 'view', name: 'market', document: view(retention) }, record);
  await publish('30d');
  log = await FeatureLog.start(
    {
      ...{ database, clock, streams: snapshot, listeners: [], log: quiet },
      settlement: new Settlement(() => clock.now() * 1000),
      record: systemRecord(trail, systemActor('feature-log'), { clock, ids }),
    },
    Object.assign(new LogOptions(), { retentionMs: 100 }),
  );
  const event = (daysAgo: number): object => ({
    entity: 'A',
    event_time: Date.now() - daysAgo * DAY_MS,
    values: { close: daysAgo },
  });
  await log.push(actor, 'bars', [event(20), event(1)]);
  await publish('7d');
  const dropped = (): Promise<object[]> =>
    database.query(
      `SELECT actor_type, actor_id, convert_from(body, 'UTF8')::json->'changes' AS changes FROM audit.event WHERE action = 'feature.drop'`,
    );
  for (let tries = 0; tries < 200 && (await dropped()).length === 0; tries++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const from = new Date(Math.floor(Date.now() / DAY_MS - 20) * DAY_MS).toISOString();
  expect(await dropped()).toMatchObject([
    { actor_type: 'system', actor_id: 'feature-log', changes: { from, streams: ['bars'], retention_class: 'day' } },
  ]);
  expect(await database.query('SELECT FROM features.event')).toHaveLength(1);
  // What is gone stays gone.
  await publish('30d');
  expect(await database.query('SELECT FROM features.event')).toHaveLength(1);
}, 30_000);
