import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import { SystemClock, systemActor, type DomainError } from '@sibyl/kernel';
import type { ChangeRecord } from '@sibyl/audit';
import { featureMigrations } from '../migrations';
import { DefinitionCompiler } from './definition-compiler';
import { DefinitionSnapshot } from './definition-snapshot';
import { DefinitionStore, type SetInService } from './definition-store';

const DAY = 86_400_000_000;

let test: TestDatabase;
let snapshot: DefinitionSnapshot;
let store: DefinitionStore;
let users: readonly SetInService[] = [];
const changes: ChangeRecord[] = [];

const compiler = new DefinitionCompiler();
const actor = systemActor('test');
const record = (_tx: unknown, change: ChangeRecord): Promise<void> => Promise.resolve(void changes.push(change));
const silent = { warn: () => undefined };

function newSnapshot(): DefinitionSnapshot {
  return new DefinitionSnapshot({ database: test.database, compiler, log: silent });
}

beforeAll(async () => {
  test = await createTestDatabase(featureMigrations);
  snapshot = newSnapshot();
  await snapshot.start();
  const clock = new SystemClock();
  const setsInService = (): Promise<readonly SetInService[]> => Promise.resolve(users);
  store = new DefinitionStore({ database: test.database, clock, compiler, snapshot, setsInService });
});
afterAll(async () => {
  snapshot.stop();
  await test.drop();
});

const view = (name: string, stream: object = {}, more: object = {}): object => ({
  kind: 'FeatureView',
  name,
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: `${name}_s`, fields: { a: 'double', b: 'double' }, ...stream }],
  features: [{ name: 'x', op: 'last', input: 'a' }],
  ...more,
});
const set = (name: string, ...features: string[]): object => ({ kind: 'FeatureSet', name, features });
const publish = (name: string, document: object, kind: 'view' | 'set' = 'view') =>
  store.publish(actor, { kind, name, document }, record);

describe('a definition that is published', () => {
  it('is known by its hash for ever, and its name means the newest', async () => {
    const first = await publish('prices', view('prices'));
    const second = await publish('prices', view('prices', {}, { description: 'more' }));
    expect(second).toMatchObject({ previous: first.hash, unchanged: false });
    expect(second.diff?.settings).toEqual([{ name: 'description', to: 'more' }]);
    expect(await store.find('view', 'prices')).toMatchObject({ hash: second.hash, current: true });
    const prefix = first.hash.slice('sha256:'.length, 'sha256:'.length + 12);
    expect(await store.find('view', `prices@${prefix}`)).toMatchObject({ hash: first.hash, current: false });
    expect(snapshot.view('prices')?.hash).toBe(second.hash);
    expect(snapshot.view('prices', first.hash)?.hash).toBe(first.hash);
  });

  it('can be the current one again, and its history says so', async () => {
    const first = await publish('back', view('back'));
    await publish('back', view('back', {}, { description: 'other' }));
    await publish('back', view('back'));
    const { history } = await store.find('view', 'back');
    expect(history.map(({ revision }) => revision)).toEqual([3, 2, 1]);
    expect([history[0]?.hash, history[2]?.hash]).toEqual([first.hash, first.hash]);
  });

  it('changes nothing where it says the same', async () => {
    await publish('same', view('same'));
    expect(await publish('same', view('same'))).toMatchObject({ unchanged: true, diff: { breaking: false } });
    expect((await store.find('view', 'same')).history).toHaveLength(1);
  });

  it('says which streams lose events by it before it is published, and on record; raising brings nothing back', async () => {
    await publish('shorter', view('shorter', { retention: '30d' }));
    const document = view('shorter', { retention: '7d' });
    const before = Date.now() * 1000;
    const dry = await store.preview({ kind: 'view', name: 'shorter', document });
    const lowered = { stream: 'shorter_s', pointer: '/streams/0/retention', from: 30 * DAY, to: 7 * DAY };
    expect(dry.lowered).toMatchObject([lowered]);
    expect(dry.lowered[0]?.goneBefore).toBeGreaterThanOrEqual(before - 7 * DAY);
    expect(dry.lowered[0]?.goneBefore).toBeLessThanOrEqual(Date.now() * 1000 - 7 * DAY);
    expect((await publish('shorter', document)).lowered).toMatchObject([lowered]);
    expect(changes.at(-1)?.changes).toMatchObject({
      retention_lowered: [{ stream: 'shorter_s', from: '30d', to: '7d' }],
    });
    expect((await publish('shorter', document)).lowered).toEqual([]);
    const described = view('shorter', { retention: '7d' }, { description: 'as long as before' });
    expect(await publish('shorter', described)).toMatchObject({ unchanged: false, lowered: [] });
    expect((await publish('shorter', view('shorter', { retention: '30d' }))).lowered).toEqual([]);
    expect(changes.at(-1)?.changes).not.toHaveProperty('retention_lowered');
  });

  it('says of the stream that loses events which one it is', async () => {
    const two = (retention: string): object => {
      const streams = ['first_s', 'second_s'].map((name, i) => ({
        ...{ name, fields: { a: 'double' }, retention: i === 0 ? '30d' : retention },
      }));
      return view('two', {}, { streams, features: [{ name: 'x', op: 'last', input: 'second_s.a' }] });
    };
    await publish('two', two('30d'));
    const lowered = [{ stream: 'second_s', pointer: '/streams/1/retention' }];
    expect((await publish('two', two('7d'))).lowered).toMatchObject(lowered);
  });

  it('names the other views whose windows are longer than a stream is kept from then on', async () => {
    const mean = (window: unknown): object => ({ features: [{ name: 'm', op: 'mean', input: 'a', window }] });
    const using = (name: string, window: unknown): object =>
      view(name, {}, { streams: [{ name: 'shared_s', of: 'shared' }], ...mean(window) });
    await publish('shared', view('shared', { retention: '30d' }));
    for (const [name, window] of Object.entries({ longer: '20d', shorter_yet: '7d', by_count: 100 }))
      await publish(name, using(name, window));
    await publish('unrelated', view('unrelated', {}, mean('20d')));
    const { lowered } = await publish('shared', view('shared', { retention: '7d' }));
    expect(lowered).toMatchObject([{ stream: 'shared_s', affects: ['longer'] }]);
  });

  it('is one event, which says what changed', async () => {
    const { hash } = await publish('told', view('told'));
    expect(changes.at(-1)).toMatchObject({
      action: 'feature.publish',
      resource: { type: 'feature_view', id: 'told' },
      changes: { hash },
    });
  });

  it('is not there when its event cannot be written', async () => {
    const fails = (): Promise<void> => Promise.reject(new Error('no event'));
    const document = view('lost');
    await expect(store.publish(actor, { kind: 'view', name: 'lost', document }, fails)).rejects.toThrow('no event');
    await expect(store.find('view', 'lost')).rejects.toMatchObject({ code: 'feature_view_not_found' });
  });

  it('reaches other processes', async () => {
    const other = newSnapshot();
    await other.start();
    await publish('fanned', view('fanned'));
    for (let tries = 0; tries < 200 && !other.view('fanned'); tries++) await new Promise((r) => setTimeout(r, 20));
    other.stop();
    expect(other.stream('fanned_s')?.definition.name).toBe('fanned_s');
  });

  it('must have the name of its path', async () => {
    await expect(publish('one', view('other'))).rejects.toMatchObject({ code: 'invalid_definition' });
  });
});

describe('a dry run', () => {
  it('says what would come, and writes nothing', async () => {
    const before = await test.database.query('SELECT * FROM features.definition');
    const found = await store.preview({ kind: 'view', name: 'dry', document: view('dry') });
    expect(found).toMatchObject({ unchanged: false, summary: { history: [{ stream: 'dry_s', events: 1 }] } });
    expect(await test.database.query('SELECT * FROM features.definition')).toEqual(before);
    expect(await test.database.query(`SELECT * FROM features.stream WHERE name = 'dry_s'`)).toEqual([]);
  });

  it('uses up no number of a stream', async () => {
    const last = async (): Promise<number> => {
      const [row] = await test.database.query<{ last: number }>('SELECT last FROM features.stream_number');
      return row?.last ?? Number.NaN;
    };
    const before = await last();
    for (let i = 0; i < 3; i++) await store.preview({ kind: 'view', name: 'dry', document: view('dry') });
    expect(await last()).toBe(before);
    await publish('wet', view('wet'));
    expect(await last()).toBe(before + 1);
  });

  it('refuses what publishing would refuse', async () => {
    await publish('taken', view('taken'));
    const document = view('thief', { name: 'taken_s' });
    const preview = store.preview({ kind: 'view', name: 'thief', document });
    await expect(preview).rejects.toMatchObject({
      code: 'invalid_definition',
      faults: [{ pointer: '/streams/0/name' }],
    });
  });
});

/** What an event leaves behind that is stored. */
const EVENT = `INSERT INTO features.latest (stream, entity, ingested_at) SELECT id, 'e', 1 FROM features.stream WHERE name = $1`;

describe('a stream', () => {
  it('gets new fields after those that its events have', async () => {
    await publish('grown', view('grown'));
    await publish('grown', view('grown', { fields: { a: 'double', a2: 'string?', b: 'double' } }));
    const { fields } = snapshot.stream('grown_s')?.definition ?? {};
    expect(fields?.map(({ name }) => name)).toEqual(['a', 'b', 'a2']);
  });

  it.each([
    ['another type', { fields: { a: 'int', b: 'double' } }, '/streams/0/fields'],
    ['fewer fields', { fields: { a: 'double' } }, '/streams/0/fields'],
    ['another identity', { identity: 'event_time' }, '/streams/0/identity'],
    ['ten years more', { retention: '3650d' }, '/streams/0/retention'],
  ])('refuses %s', async (what, stream, pointer) => {
    const name = `kept_${what.replaceAll(' ', '_')}`;
    await publish(name, view(name, { retention: '30d' }));
    await test.database.query(EVENT, [`${name}_s`]);
    const refused: unknown = await publish(name, view(name, stream)).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'invalid_definition' });
    expect((refused as DomainError).faults?.[0]?.pointer).toBe(pointer);
  });

  it('is made anew where it has no event, and nothing can come under what it was', async () => {
    await publish('empty', view('empty', { retention: '30d' }));
    const id = (): number => snapshot.stream('empty_s')?.id ?? 0;
    const before = id();
    // Every event of an entity was refused: its row says that there is none.
    await test.database.query(`INSERT INTO features.latest (stream, entity, ingested_at) VALUES ($1, 'e', 0)`, [
      before,
    ]);
    await publish('empty', view('empty', { retention: '3650d' }));
    await publish('empty', view('empty', { fields: { a: 'int' }, retention: '3650d' }));
    expect(snapshot.stream('empty_s')?.definition.fields).toMatchObject([{ name: 'a', type: 'int' }]);
    expect(id()).not.toBe(before);
    const late = test.database.query(`INSERT INTO features.latest (stream, entity, ingested_at) VALUES ($1, 'e', 1)`, [
      before,
    ]);
    await expect(late).rejects.toThrow('latest_stream_fkey');
  });

  it('waits for the event that is on its way, and then stays as it is', async () => {
    await publish('racing', view('racing'));
    let changed: Promise<unknown> | undefined;
    await test.database.transaction(async (tx) => {
      await tx.query(EVENT, ['racing_s']);
      changed = publish('racing', view('racing', { fields: { a: 'int' } })).catch((error: unknown) => error);
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    expect(await changed).toMatchObject({ code: 'invalid_definition' });
    expect(snapshot.stream('racing_s')?.definition.fields).toMatchObject([{ type: 'double' }, {}]);
  });
});

describe('a name that is deleted', () => {
  it('means nothing any more; what it meant is known by its hash', async () => {
    const { hash } = await publish('gone', view('gone'));
    await store.delete(actor, 'view', 'gone', record);
    expect(changes.at(-1)).toMatchObject({ action: 'feature.delete', changes: { hash } });
    await expect(store.find('view', 'gone')).rejects.toMatchObject({ code: 'feature_view_not_found' });
    expect(await store.find('view', `gone@${hash.slice(7, 27)}`)).toMatchObject({ hash, current: false });
    expect(snapshot.view('gone')).toBeUndefined();
    expect((await store.list('view')).map(({ name }) => name)).not.toContain('gone');
  });

  it('is not deleted while a set needs the view', async () => {
    await publish('needed', view('needed'));
    await publish('inputs', set('inputs', 'needed:x'), 'set');
    await expect(store.delete(actor, 'view', 'needed', record)).rejects.toMatchObject({ code: 'in_use' });
    await store.delete(actor, 'set', 'inputs', record);
    await store.delete(actor, 'view', 'needed', record);
  });

  it('is not deleted while another view uses a stream of it', async () => {
    await publish('source', view('source'));
    await publish('user', { ...view('user'), streams: [{ name: 'source_s', of: 'source' }] });
    await expect(store.delete(actor, 'view', 'source', record)).rejects.toMatchObject({ code: 'in_use' });
  });

  it('is not deleted while a model needs the set', async () => {
    await publish('base', view('base'));
    await publish('modelled', set('modelled', 'base:x'), 'set');
    users = [{ set: 'modelled', model: 'churn', version: '1.0.0' }];
    await expect(store.delete(actor, 'set', 'modelled', record)).rejects.toMatchObject({ code: 'in_use' });
    users = [];
    await store.delete(actor, 'set', 'modelled', record);
  });
});

it('keeps the view of an older version of a set that a model names by its hash', async () => {
  await publish('older', view('older'));
  const { hash } = await publish('moving', set('moving', 'older:x'), 'set');
  await publish('newer', view('newer'));
  await publish('moving', set('moving', 'newer:x'), 'set');
  users = [{ set: `moving@${hash.slice('sha256:'.length, 24)}`, model: 'churn', version: '1.0.0' }];
  await expect(store.delete(actor, 'view', 'older', record)).rejects.toMatchObject({ code: 'in_use' });
  users = [];
  await store.delete(actor, 'view', 'older', record);
});

describe('a set', () => {
  it('keeps the versions of its views, also after a restart', async () => {
    const { hash } = await publish('pinned', view('pinned'));
    await publish('pins', set('pins', 'pinned:x'), 'set');
    await publish('pinned', view('pinned', {}, { description: 'new' }));
    const other = newSnapshot();
    await other.start();
    other.stop();
    for (const one of [snapshot, other]) {
      expect(one.set('pins')?.members[0]?.viewHash).toBe(hash);
      expect(one.view('pinned', hash)?.hash).toBe(hash);
      expect(one.view('pinned')?.hash).not.toBe(hash);
    }
  });
});
