import { createTestDatabase, type TestDatabase } from '@sibyl/database/testing';
import {
  DefinitionCompiler,
  DefinitionSnapshot,
  DefinitionStore,
  FeatureLog,
  FeatureQuality,
  featureMigrations,
  FeatureReads,
  LiveReads,
  LogHistory,
  PastReads,
  PastWalks,
  readInstant,
  ReadOptions,
  SelectedFrames,
  Selections,
  SetReads,
  Settlement,
  StateStore,
  type SetSelection,
} from '@sibyl/features';
import { DomainError, SystemClock, systemActor } from '@sibyl/kernel';
import type { FilledRow, ServedVersion } from '@sibyl/prediction';
import { elementWriter } from '@sibyl/protocol';
import { Metrics } from '@sibyl/telemetry';
import { SetFeatures } from './set-features';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    { name: 'bars', identity: 'event_time', fields: { close: 'double' }, allowed_lateness: '30s' },
    { name: 'trades', identity: 'event_id', fields: { size: 'double' }, allowed_lateness: '30s' },
  ],
  features: [
    { name: 'price', op: 'last', input: 'bars.close' },
    { name: 'mean5', op: 'mean', input: 'bars.close', window: 5 },
    { name: 'traded', op: 'sum', input: 'trades.size', window: '10m' },
    { name: 'fee', source: 'request', dtype: 'double', default: 1 },
    { name: 'net', expr: 'price - fee' },
  ],
};
const NAMES = ['price', 'mean5', 'traded', 'net'];
const SET = { kind: 'FeatureSet', name: 'inputs', features: NAMES.map((name) => `market:${name}`) };

/** What the record of a prediction holds. */
interface Recorded {
  readonly at: string;
  readonly values: Readonly<Record<string, unknown>>;
  readonly statuses: Readonly<Record<string, string>>;
  readonly given?: Readonly<Record<string, number>>;
  readonly streams: readonly { readonly stream: string; readonly entity: string; readonly ingested_at: string }[];
}

const actor = systemActor('test');
const record = (): Promise<void> => Promise.resolve();
const log = { info: (): void => undefined, warn: (): void => undefined };
const clock = new SystemClock();
const metrics = new Metrics();
const now = (): number => clock.now() * 1000;
const counter = { count: (): void => undefined };

let test: TestDatabase;
let featureLog: FeatureLog;
let store: DefinitionStore;
let snapshot: DefinitionSnapshot;
let history: LogHistory;
let sets: SetReads;

beforeAll(async () => {
  test = await createTestDatabase(featureMigrations);
  const { database } = test;
  const compiler = new DefinitionCompiler();
  const states = new StateStore(64 * 1024 * 1024, now);
  snapshot = new DefinitionSnapshot({ database, compiler, log, onChange: () => reads.usePublished() });
  store = new DefinitionStore({ database, clock, compiler, snapshot, setsInService: () => Promise.resolve([]) });
  const selections = new Selections({ compiler, snapshot, store });
  history = new LogHistory(database, snapshot, clock);
  const live = new LiveReads({ store: states, log: history, now, counter });
  const past = new PastReads({ log: history, now, counter, cacheBytes: 1024 });
  const frames = new SelectedFrames({ store: states, live, past, now, quality: new FeatureQuality() });
  const settlement = new Settlement(now);
  const reads: FeatureReads = new FeatureReads(
    { selections, snapshot, store: states, live, past, walks: new PastWalks(history, now), frames, settlement, now },
    new ReadOptions(),
  );
  sets = new SetReads({ snapshot, selections, frames });
  await snapshot.start();
  const logParts = { database, clock, streams: snapshot, listeners: [states], settlement, log, record };
  featureLog = await FeatureLog.start(logParts);
  await store.publish(actor, { kind: 'view', name: 'market', document: VIEW }, record);
  await store.publish(actor, { kind: 'set', name: 'inputs', document: SET }, record);
}, 60_000);
afterAll(async () => {
  snapshot.stop();
  await featureLog.stop();
  metrics.close();
  await test.drop();
});

function servedBy(featureSet: string, names: readonly string[]): ServedVersion {
  const slots = names.map((name) => ({
    ...{ name, shape: [], datatype: 'FP64' as const, write: elementWriter('FP64'), nullable: true },
  }));
  return { model: 'm', version: '1', contract: { slots }, facts: { featureSet } } as unknown as ServedVersion;
}

const CALL = { deadlineAt: Infinity, rows: 1 };

async function predict(features: Record<string, unknown> = {}, served = servedBy('inputs', NAMES)): Promise<FilledRow> {
  const pins = { of: () => Promise.resolve({ faults: [] }) };
  const source = new SetFeatures({ sets, pins, clock, metrics, clockSkewMs: 5000 }, served);
  // The first reads the log, which may take longer than a prediction waits.
  for (;;) {
    const [row] = await source.read([{ query: { symbol: 'A' }, features, pointer: '/features' }], CALL);
    if (row === undefined) throw new Error('no row');
    if (!(row instanceof DomainError)) return row;
    if (row.code !== 'deadline_exceeded') throw row;
  }
}

const recordOf = ({ basis }: FilledRow): Recorded => JSON.parse(basis?.json() ?? '') as Recorded;

/** The members of the set as they were, from nothing but the record and the log. */
async function replay({ at, given, streams }: Recorded): Promise<Pick<Recorded, 'values' | 'statuses'>> {
  const program = sets.find('inputs') as SetSelection;
  const known = new Map(streams.map((one) => [`${one.stream} ${one.entity}`, readInstant(one.ingested_at)]));
  const recorded: Pick<LogHistory, 'read'> = {
    read: (queries, deadline) =>
      history.read(
        queries.map((query) => ({ ...query, knownAt: known.get(`${query.stream} ${query.entity}`) ?? 0 })),
        deadline,
      ),
  };
  const slotOf = (name: string): number => program.programs[0]?.slots.get(name) ?? -1;
  const values = program.programs[0]?.plan.outputs.map(({ name }) => given?.[`market:${name}`]) ?? [];
  const row = { entities: ['A'], ...(given && { given: [{ values, key: 'again' }] }) };
  const moment = { at: readInstant(at) as number, knownAt: readInstant(at) as number, corrected: false };
  const past = new PastReads({ log: recorded, now, counter, cacheBytes: 1024 });
  const answer = await past.read({ views: program.programs, rows: [row] }, moment);
  const frame = answer.frames[0]?.[0];
  const all = <T>(of: readonly T[] | undefined): Record<string, T | undefined> =>
    Object.fromEntries(NAMES.map((name) => [name, of?.[slotOf(name)]]));
  const statuses = Object.entries(all(frame?.statuses)).filter(([, status]) => status !== 'PRESENT');
  return { values: all(frame?.values), statuses: Object.fromEntries(statuses) as Record<string, string> };
}

it('the record of a prediction gives the same features again, whatever came later, late, corrected or too late', async () => {
  const base = Math.floor(Date.now() / 1000) * 1000 - 20_000;
  const bar = (second: number, close: number): object => ({
    ...{ entity: 'A', event_time: base + second * 1000, values: { close } },
  });
  const trade = (second: number, size: number, id: string): object => ({
    ...{ entity: 'A', event_time: base + second * 1000, event_id: id, values: { size } },
  });
  const push = async (stream: string, ...events: object[]): Promise<readonly string[]> =>
    (await featureLog.push(actor, stream, events)).map(({ status }) => status);

  await push('bars', ...[1, 2, 3, 4, 5, 6].map((second) => bar(second, 100 + second / 3)));
  await push('trades', trade(2, 0.1, 'a'), trade(3, 0.2, 'b'));
  const rows = [await predict(), await predict({ fee: 2.5 })];
  const [first, second] = rows.map(recordOf) as [Recorded, Recorded];
  expect(first.values).toMatchObject({ price: 102, net: 101 });
  expect(second).toMatchObject({ values: { price: 102, net: 99.5 }, given: { 'market:fee': 2.5 } });

  // Corrected, late, later, and too late.
  expect(await push('bars', bar(6, 500))).toEqual(['CORRECTED']);
  expect(await push('bars', bar(3.5, 900))).toEqual(['LATE_APPLIED']);
  expect(await push('bars', bar(10, 42))).toEqual(['ACCEPTED']);
  expect(await push('bars', bar(-90, 7))).toEqual(['LATE_LOG_ONLY']);
  await push('trades', trade(1, 50, 'c'), trade(9, 60, 'd'));

  const after = recordOf(await predict());
  expect(after.values).toMatchObject({ price: 42 });
  expect(after.values['traded']).not.toBe(first.values['traded']);
  for (const one of [first, second, after]) {
    const { values, statuses } = await replay(one);
    expect({ values, statuses }).toEqual({ values: one.values, statuses: one.statuses });
  }
  // It is the arrivals in the record that do it: with all that is known now the same moment looks different.
  const all = first.streams.map((stream) => ({ ...stream, ingested_at: new Date().toISOString() }));
  expect((await replay({ ...first, streams: all })).values).not.toEqual(first.values);
}, 60_000);

it('what a request gives goes by the names of the model, and by those of the view where the model has no such name', async () => {
  const renamed = {
    ...{ kind: 'FeatureSet', name: 'renamed', on_missing: 'null' },
    features: [{ name: 'price', feature: 'market:mean5' }, { name: 'x', feature: 'market:price' }, 'market:net'],
  };
  await store.publish(actor, { kind: 'set', name: 'renamed', document: renamed }, record);
  const served = servedBy('renamed', ['price', 'x', 'net']);
  const given = async (features: Record<string, number>): Promise<unknown> => {
    const { given: told, values } = recordOf(await predict(features, served));
    return [told, values['net']];
  };
  expect(await given({ x: 5 })).toEqual([{ 'market:price': 5 }, 4]);
  expect(await given({ x: 5, price: 9 })).toEqual([{ 'market:price': 5, 'market:mean5': 9 }, 4]);
  expect(await given({ x: 5, traded: 3, fee: 2 })).toEqual([
    { 'market:price': 5, 'market:traded': 3, 'market:fee': 2 },
    3,
  ]);
  // One value, whatever it is called.
  expect(await given({ mean5: 9, price: 9, x: 5 })).toEqual([{ 'market:price': 5, 'market:mean5': 9 }, 4]);
  for (const [features, later] of [
    [{ mean5: 7, price: 9, x: 5 }, 'price'],
    [{ x: 5, price: 9, mean5: 7 }, 'mean5'],
  ] as const)
    await expect(given(features)).rejects.toMatchObject({
      code: 'invalid_parameter',
      faults: [{ pointer: `/features/${later}` }],
    });
}, 30_000);
