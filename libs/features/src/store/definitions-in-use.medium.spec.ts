import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { SystemClock, systemActor, type DomainError } from '@sibyl/kernel';
import { FeatureLog } from '../log/feature-log';
import { LogHistory } from '../log/log-history';
import { Settlement } from '../log/settlement';
import { featureMigrations } from '../migrations';
import { DefinitionCompiler } from './definition-compiler';
import { DefinitionSnapshot } from './definition-snapshot';
import { DefinitionStore } from './definition-store';

let test: TestDatabase;
let snapshot: DefinitionSnapshot;
let store: DefinitionStore;

const compiler = new DefinitionCompiler();
const actor = systemActor('test');
const record = (): Promise<void> => Promise.resolve();

function newSnapshot(): DefinitionSnapshot {
  return new DefinitionSnapshot({ database: test.database, compiler, log: { warn: () => undefined } });
}

function newStore(of: DefinitionSnapshot, clock = new SystemClock()): DefinitionStore {
  const setsInService = () => Promise.resolve([]);
  return new DefinitionStore({ database: test.database, clock, compiler, snapshot: of, setsInService });
}

beforeAll(async () => {
  test = await createTestDatabase(featureMigrations);
  snapshot = newSnapshot();
  await snapshot.start();
  store = newStore(snapshot);
});
afterAll(async () => {
  snapshot.stop();
  await test.drop();
});

const view = (name: string, more: object = {}): object => ({
  kind: 'FeatureView',
  name,
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: `${name}_s`, fields: { a: 'double' } }],
  features: [{ name: 'x', op: 'last', input: 'a' }],
  ...more,
});
const set = (name: string, ...features: string[]): object => ({ kind: 'FeatureSet', name, features });
const publish = (name: string, document: object, kind: 'view' | 'set' = 'view') =>
  store.publish(actor, { kind, name, document }, record);

describe('definitions that come all at once', () => {
  it('are published one after the other, and take no connections of others', async () => {
    await publish('crowd', view('crowd'));
    const { pool } = test.database.status();
    expect(pool.size - pool.idle).toBe(0);
    let most = 0;
    const counting = (): Promise<void> => {
      const { size, idle, waiting } = test.database.status().pool;
      most = Math.max(most, size - idle + waiting);
      return Promise.resolve();
    };
    const sets = Array.from({ length: 40 }, (_, i) => `crowd_${i}`);
    const published = await Promise.all(
      sets.map((name) => store.publish(actor, { kind: 'set', name, document: set(name, 'crowd:x') }, counting)),
    );
    expect(published.map(({ unchanged }) => unchanged)).toEqual(sets.map(() => false));
    expect(snapshot.sets().filter(({ name }) => name.startsWith('crowd_'))).toHaveLength(40);
    // The publication itself, and whoever looks meanwhile at what was published before it.
    expect(most).toBeLessThanOrEqual(3);
  });

  it('are refused where more wait than may, or wait too long', async () => {
    const clock = new SystemClock();
    let waited = 0;
    jest.spyOn(clock, 'monotonic').mockImplementation(() => waited);
    const crowded = newStore(snapshot, clock);
    const document = set('crowd_0', 'crowd:x');
    const many = Array.from({ length: 70 }, () => crowded.preview({ kind: 'set', name: 'crowd_0', document }));
    await many[9];
    waited = 60_000;
    const codes = (await Promise.allSettled(many)).map((one) =>
      one.status === 'fulfilled' ? 'done' : (one.reason as DomainError).code,
    );
    expect(codes.slice(0, 10)).toEqual(codes.slice(0, 10).fill('done'));
    expect(codes.slice(12)).toEqual(codes.slice(12).fill('queue_full'));
    expect(await crowded.preview({ kind: 'set', name: 'crowd_0', document })).toMatchObject({ unchanged: true });
  });

  it('see what was published just before them, whatever the memory of this process has', async () => {
    const unaware = newStore(newSnapshot());
    const { hash } = await publish('fresh', view('fresh'));
    const made = await unaware.preview({ kind: 'set', name: 'fresh_set', document: set('fresh_set', 'fresh:x') });
    expect(made.members?.[0]?.viewHash).toBe(hash);
  });
});

it('a set is served on when a view leaves out a stream that its version reads', async () => {
  const wide = {
    streams: [
      { name: 'wide_a', fields: { a: 'double' } },
      {
        name: 'wide_b',
        fields: { b: 'double' },
        rules: [{ field: 'b', between: { min: 0, max: 10 }, action: 'reject' }],
      },
    ],
    features: [
      { name: 'x', op: 'last', input: 'wide_a.a' },
      { name: 'y', op: 'last', input: 'wide_b.b' },
    ],
  };
  const { hash } = await publish('wide', view('wide', wide));
  await publish('both', set('both', 'wide:x', 'wide:y'), 'set');
  const { database } = test;
  const clock = new SystemClock();
  const quiet = { info: () => undefined, warn: () => undefined };
  const settlement = new Settlement(() => clock.now() * 1000);
  const parts = { database, clock, streams: snapshot, listeners: [], settlement, log: quiet, record };
  const log = await FeatureLog.start(parts);
  const push = (b: number) =>
    log.push(actor, 'wide_b', [{ entity: 'e', event_time: Date.now() - 1000, values: { b } }]);
  expect(await push(5)).toMatchObject([{ status: 'ACCEPTED' }]);
  await publish('wide', view('wide', { streams: [wide.streams[0]], features: [wide.features[0]] }));
  expect(snapshot.view('wide', hash)?.streams).toHaveLength(2);
  expect(await push(6)).toMatchObject([{ status: 'ACCEPTED' }]);
  expect(await push(11)).toMatchObject([{ status: 'INVALID' }]);
  const now = Date.now() * 1000;
  const history = new LogHistory(database, snapshot, clock);
  const query = { entity: 'e', at: now, knownAt: Infinity, corrected: false, events: 9 };
  const read = () =>
    history.read(
      ['wide_a', 'wide_b'].map((stream) => ({ ...query, stream })),
      now + 10_000_000,
    );
  expect((await read()).map(({ events }) => events.map(({ values }) => values[0]))).toEqual([[], [5, 6]]);
  // Whoever knows a version by its hash still reads it when its name means nothing any more; nothing is pushed to it.
  await store.delete(actor, 'set', 'both', record);
  await store.delete(actor, 'view', 'wide', record);
  expect((await read())[1]?.events).toHaveLength(2);
  await expect(push(7)).rejects.toMatchObject({ code: 'stream_not_found' });
  await log.stop();
});
