import { DomainError } from '@sibyl/kernel';
import { setTimeout as pause } from 'node:timers/promises';
import { compileView } from '../definitions/view-compiler';
import { parseView } from '../definitions/view-definition';
import type { EventWriter } from '../log/event-writer';
import { FeatureLog } from '../log/feature-log';
import { LogOptions } from '../log/log-options';
import { randomNumbers } from '../operators/testing';
import { RuleTally } from '../rules/rule-tally';
import { LogStand, unrecorded } from '../testing/log-stand';
import { partsWith } from '../testing/view-document';
import type { Micros } from '../time';
import type { Frame } from './frame';
import { LiveReads } from './live-reads';
import { PastReads } from './past-reads';
import { Program } from './program';
import { StateStore } from './state-store';

const VIEW = {
  kind: 'FeatureView',
  name: 'market',
  entity: { name: 'symbol' },
  streams: [
    { name: 'bars', identity: 'event_time', fields: { close: 'double', venue: 'string?' }, allowed_lateness: '20s' },
  ],
  features: [
    { name: 'price', op: 'last', input: 'close', ttl: '90s' },
    { name: 'mean5', op: 'mean', input: 'close', window: 5 },
    { name: 'n', op: 'count', input: 'bars', window: '30s', where: 'venue == "a"' },
    { name: 'sum', op: 'sum', input: 'close', window: '10m', tile: '7s' },
    { name: 'gap', expr: 'bars.close - mean5' },
  ],
};
const now = (): Micros => Date.now() * 1000;
const counter = { count: (): void => undefined };

let stand: LogStand;
let writers: EventWriter[];
let store: StateStore;
let program: Program;
let live: LiveReads;
let past: PastReads;

beforeAll(async () => {
  stand = await LogStand.open();
  const view = parseView(VIEW, partsWith());
  const plan = compileView(view, { ...partsWith(), tally: new RuleTally() });
  for (const definition of view.streams) await stand.addStream(definition);
  store = new StateStore(64 * 1024 * 1024, now);
  store.usePlans([plan]);
  program = new Program(plan);
  live = new LiveReads({ store, log: stand.history, now, counter });
  past = new PastReads({ log: stand.history, now, counter, cacheBytes: 1024 * 1024 });
  // Two processes write, and this one hears of both.
  writers = [stand.writer([store]), stand.writer([store])];
});
afterAll(() => stand.close());

const query = (entity: string) => ({ views: [program], rows: [{ entities: [entity] }], deadlineMs: 10_000 });

async function read(entity: string): Promise<Frame> {
  const answer = await live.read(query(entity));
  return answer.frames[0]?.[0] as Frame;
}

const shown = ({ values, statuses }: Frame) => ({ values, statuses });

it('serves from memory, from the log and of the past the same, while two processes push', async () => {
  const random = randomNumbers(5);
  const entities = ['A', 'B', 'C'];
  const served: { entity: string; frame: Frame }[] = [];
  let pushing = true;
  const reading = (async () => {
    while (pushing) {
      for (const entity of entities) served.push({ entity, frame: await read(entity) });
      if (random() < 0.1) store.drop(store.tablesOf('bars')[0] as never, 'A');
      await pause(2);
    }
  })();
  const pushes = writers.map(async (writer) => {
    for (let i = 0; i < 60; i++) {
      const events = Array.from({ length: 3 }, () => ({
        entity: entities[Math.floor(random() * 3)],
        // Corrected, late and too late.
        event_time: Math.floor(Date.now() / 1000) * 1000 - Math.floor(random() * random() * 40) * 1000,
        values: { close: Math.round(random() * 64) / 4, venue: ['a', 'b', null][Math.floor(random() * 3)] },
      }));
      await stand.push(writer, 'bars', ...events);
    }
  });
  await Promise.all(pushes);
  pushing = false;
  await reading;
  expect(served.length).toBeGreaterThan(30);
  for (const { entity, frame } of served) {
    const knownAt = frame.basis[0]?.arrived as Micros;
    if (!Number.isFinite(knownAt)) continue;
    const answer = await past.read(query(entity), { at: frame.at, knownAt, corrected: false });
    expect(shown(answer.frames[0]?.[0] as Frame)).toEqual(shown(frame));
  }
  for (const entity of entities) {
    const kept = await read(entity);
    store.drop(store.tablesOf('bars')[0] as never, entity);
    const { values, statuses } = await read(entity);
    expect({ price: values[0], sum: values[3], statuses }).toEqual({
      price: kept.values[0],
      sum: kept.values[3],
      statuses: kept.statuses,
    });
  }
}, 60_000);

it('is told when the log is gone, and serves on from memory', async () => {
  await stand.push(writers[0] as EventWriter, 'bars', {
    entity: 'M',
    event_time: Date.now(),
    values: { close: 3, venue: 'a' },
  });
  expect((await read('M')).values[0]).toBe(3);
  const broken = jest.spyOn(stand.database, 'query').mockRejectedValue(new DomainError('database_unavailable', 'gone'));
  const answer = await live.read({ ...query('M'), rows: [{ entities: ['M'] }, { entities: ['unknown'] }] });
  broken.mockRestore();
  expect(answer.unread).toBe('failed');
  expect(answer.frames.map(([frame]) => frame?.statuses[0])).toEqual(['PRESENT', 'TIMEOUT']);
});

it('serves what its record says when others commit and nobody has told of it yet', async () => {
  const { database, clock, streams } = stand;
  const silent = { info: (): void => undefined, warn: (): void => undefined };
  const caller = { type: 'key', id: 'k', keyId: 'k', name: 'tests' } as const;
  // They look for the commits of each other once a minute: not in this test.
  const options = Object.assign(new LogOptions(), { pollMs: 60_000 });
  const [one, two] = await Promise.all(
    [[store], []].map((listeners) =>
      FeatureLog.start(
        { database, clock, streams, listeners, settlement: stand.settlement(), log: silent, record: unrecorded },
        options,
      ),
    ),
  );
  const bar = (secondsAgo: number, close: number): object => ({
    ...{ entity: 'W', event_time: Math.floor(Date.now() / 1000 - secondsAgo) * 1000, values: { close, venue: 'a' } },
  });
  try {
    await one?.push(caller, 'bars', [bar(9, 1)]);
    expect((await read('W')).values[0]).toBe(1);
    await two?.push(caller, 'bars', [bar(6, 10)]);
    await one?.push(caller, 'bars', [bar(3, 100)]);
    const frame = await read('W');
    expect([frame.values[0], frame.values[3]]).toEqual([100, 111]);
    const knownAt = frame.basis[0]?.arrived as Micros;
    const again = await past.read(query('W'), { at: frame.at, knownAt, corrected: false });
    expect(shown(again.frames[0]?.[0] as Frame)).toEqual(shown(frame));
  } finally {
    await Promise.all([one?.stop(), two?.stop()]);
  }
});
