import type { TakenEvent } from '../log/feature-event';
import { BEGIN, tick } from '../testing/histories';
import { memoryUsed } from '../testing/memory-used';
import { LONG_FEATURES, SHORT_FEATURES, ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import type { OnlineRow } from './online-query';

const SECOND = MICROS_PER_SECOND;
const MiB = 1024 * 1024;
const NOW = BEGIN + 1000 * SECOND;
let ids = 0;

function engineOf(features: readonly TestFeature[], stateBytes = 512 * MiB): EngineStand {
  const engine = new EngineStand(planOf([ticks('event_id')], features), stateBytes);
  engine.now = NOW;
  return engine;
}

const namesOf = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
const eventsOf = (entity: string, count: number): TakenEvent[] =>
  Array.from({ length: count }, (_, i) =>
    tick({ entity, eventTime: BEGIN + i * SECOND, values: [i + 0.5, `kind ${i % 7}`, true], id: ++ids }),
  );

async function readAll(engine: EngineStand, names: readonly string[]): Promise<void> {
  for (let i = 0; i < names.length; i += 1000) await engine.live.read(engine.query(...names.slice(i, i + 1000)));
}

/** What the store counts more, and what the process holds more, after `work`. */
async function growth(engine: EngineStand, work: () => Promise<void>): Promise<{ counted: number; real: number }> {
  const counted = engine.store.bytes;
  const before = await memoryUsed();
  await work();
  return { counted: engine.store.bytes - counted, real: (await memoryUsed()) - before };
}

function expectWeighed({ counted, real }: { counted: number; real: number }): void {
  expect(counted).toBeGreaterThan(0.8 * real);
  // Half of what the process grows by lies outside of what V8 and its buffers tell.
  expect(counted).toBeLessThan(3 * real);
}

/** A row for each name, each with ten texts of its own. */
function rowsGiving(engine: EngineStand, names: readonly string[], characters: number): OnlineRow[] {
  return names.map((name) => {
    const values = engine.program.plan.outputs.map(({ name: slot }) => {
      if (!slot.startsWith('given')) return undefined;
      return Buffer.from(`${name} ${slot} `.padEnd(characters, 'x')).toString('latin1');
    });
    return { entities: [name], given: [{ values, key: JSON.stringify(values) }] };
  });
}

const LAST: TestFeature = { name: 'price', op: 'last', stream: 'ticks', inputs: ['x'] };
const GIVEN: readonly TestFeature[] = [
  LAST,
  ...Array.from({ length: 10 }, (_, i) => ({ name: `given${i}`, request: 'string' as const })),
];
const LISTS: readonly TestFeature[] = [
  ...Array.from({ length: 10 }, (_, i) => ({
    ...{ name: `list${i}`, op: 'last_n', stream: 'ticks', inputs: ['x'] },
    params: { n: 200 + i },
  })),
  { name: 'kinds', op: 'last_n', stream: 'ticks', inputs: ['kind'], params: { n: 20 } },
];

describe('what is kept of an entity weighs what it is counted with:', () => {
  it('its events', async () => {
    const engine = engineOf([...SHORT_FEATURES, ...LONG_FEATURES].map(({ feature }) => feature));
    for (const [entities, events] of [
      [20_000, 0],
      [4000, 20],
    ] as const) {
      const names = namesOf(entities, `entity-${events}`);
      const grown = await growth(engine, async () => {
        await readAll(engine, names);
        for (const name of names) engine.store.taken(eventsOf(name, events));
      });
      expectWeighed(grown);
    }
  }, 60_000);

  it('lists and texts that were computed', async () => {
    const engine = engineOf(LISTS);
    const names = namesOf(1000, 'l');
    await readAll(engine, names);
    for (const name of names) engine.store.taken(eventsOf(name, 210));
    expectWeighed(await growth(engine, () => readAll(engine, names)));
  }, 60_000);

  it('sums of tiles that a read made', async () => {
    const tiled = { op: 'sum', stream: 'ticks', inputs: ['x'], window: { span: 900 * SECOND }, tile: SECOND };
    const engine = engineOf([{ ...tiled, name: 'sum' }]);
    engine.log.events.push(...eventsOf('e', 1000));
    await engine.read();
    const state = engine.store.tablesOf('ticks')[0]?.held.get('e')?.state;
    expect(engine.store.bytes).toBeGreaterThan(state?.bytes as number);
  });

  it('what requests gave', async () => {
    const engine = engineOf(GIVEN);
    const names = namesOf(4000, 'g');
    await readAll(engine, names);
    const grown = await growth(engine, async () => {
      for (let i = 0; i < names.length; i += 1000) {
        const rows = rowsGiving(engine, names.slice(i, i + 1000), 80);
        await engine.live.read({ ...engine.query(), rows });
      }
    });
    expectWeighed(grown);
    expect(grown.counted).toBeGreaterThan(4000 * 80 * 10 * 2);
  }, 60_000);

  it('and nothing of long texts that requests gave', async () => {
    const engine = engineOf(GIVEN, 16 * MiB);
    const names = namesOf(3000, 'g');
    await readAll(engine, names);
    const grown = await growth(engine, async () => {
      for (let i = 0; i < names.length; i += 500) {
        const rows = rowsGiving(engine, names.slice(i, i + 500), 4000);
        await engine.live.read({ ...engine.query(), rows });
      }
    });
    expect(grown.real).toBeLessThan(4 * MiB);
    // They drive nobody else out.
    expect(engine.store.size).toBe(3000);
  }, 60_000);

  it('vectors of the past', async () => {
    const engine = engineOf(LISTS);
    const events = eventsOf('anybody', 256);
    // All have the same history, without a log to search.
    engine.log.read = (queries) =>
      Promise.resolve(
        queries.map(({ entity }) => ({ events: events.map((one) => ({ ...one, entity })), whole: true, cut: false })),
      );
    const moment = { at: NOW - 600 * SECOND, knownAt: NOW - 600 * SECOND, corrected: false };
    const grown = await growth(engine, async () => {
      for (const name of namesOf(3000, 'p')) await engine.past.read(engine.query(name), moment);
    });
    // 3,000 of them are more than 50 MiB, and 16 MiB may be kept.
    expect(grown.real).toBeLessThan(20 * MiB);
    expect(grown.real).toBeGreaterThan(6 * MiB);
  }, 60_000);
});
