import fc from 'fast-check';
import type { TakenEvent } from '../log/feature-event';
import { BEGIN, histories, tick } from '../testing/histories';
import { SHORT_FEATURES, ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND, type Micros } from '../time';
import type { Frame } from './frame';
import { PastReads } from './past-reads';

const SECOND = MICROS_PER_SECOND;
const PRICE: TestFeature = { name: 'price', op: 'last', stream: 'ticks', inputs: ['x'] };
const MEAN: TestFeature = { name: 'mean', op: 'mean', stream: 'ticks', inputs: ['x'], window: { events: 3 } };
const SUM: TestFeature = { name: 'sum', op: 'sum', stream: 'ticks', inputs: ['x'], window: { span: 60 * SECOND } };

let ids = 0;
/** Of these seconds: when it happened, and when it was taken. */
const event = (happened: number, x: number, taken = happened): TakenEvent =>
  tick({
    ...{ eventTime: BEGIN + happened * SECOND, ingestedAt: BEGIN + taken * SECOND },
    ...{ values: [x, 'a', true], id: ++ids },
  });

/** Second 100; what was taken until `settled` was heard. */
async function stand(
  identity: 'event_id' | 'event_time',
  features: readonly TestFeature[],
  events: readonly TakenEvent[],
  settled = 100,
): Promise<EngineStand> {
  const engine = new EngineStand(planOf([ticks(identity)], features));
  engine.now = BEGIN + 100 * SECOND;
  await engine.read();
  engine.take(...events);
  engine.settlement.told(BEGIN + settled * SECOND);
  return engine;
}

/** What was served as of a second, and how often the log was read for it. */
async function asOf(engine: EngineStand, second: number, view: object = {}): Promise<readonly unknown[]> {
  const before = engine.log.reads;
  const { price, mean } = await engine.readPast(BEGIN + second * SECOND, view);
  return [price, mean, engine.log.reads - before];
}

describe('a moment of the recent past', () => {
  it('is answered from memory as the log would', async () => {
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1), event(20, 2), event(30, 3), event(95, 4)]);
    expect(await asOf(engine, 96)).toEqual([4, 3, 0]);
    // Also before the newest event, and between microseconds.
    expect(await asOf(engine, 95)).toEqual([4, 3, 0]);
    expect(await asOf(engine, 94.999_999)).toEqual([3, 2, 0]);
    expect(await asOf(engine, 5)).toEqual(['NOT_FOUND', 'NOT_FOUND', 0]);
    // Computed of events in memory, and not found as it was computed before.
    const counted = ['state hit', 'as_of hit', 'as_of miss'].map((one) => engine.counts.get(one));
    expect(counted).toEqual([4, undefined, undefined]);
    const at = BEGIN + 95 * SECOND;
    const asked = { ...engine.query('e'), tiers: true };
    expect(await engine.past.read(asked, { at, knownAt: at, corrected: false })).toMatchObject({ tiers: ['state'] });
    const other = await stand('event_id', [PRICE, MEAN], []);
    expect(await asOf(other, 96)).toEqual(['NOT_FOUND', 'NOT_FOUND', 0]);
  });

  it('is asked of the log where others may have taken what was not heard of yet', async () => {
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1)], 90);
    engine.log.events.push(event(92, 2));
    expect(await asOf(engine, 90)).toEqual([1, 'WARMING_UP', 0]);
    expect(await asOf(engine, 90.000_001)).toEqual([1, 'WARMING_UP', 1]);
    expect(await asOf(engine, 95)).toEqual([2, 'WARMING_UP', 1]);
  });

  it('is asked of the log where what came later counts at it', async () => {
    const late = event(20, 9, 60);
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1), event(50, 2), late]);
    expect(await asOf(engine, 60)).toEqual([2, 4, 0]);
    expect(await asOf(engine, 55)).toEqual([2, 'WARMING_UP', 1]);
    expect(await asOf(engine, 19)).toEqual([1, 'WARMING_UP', 0]);
  });

  it('is asked of the log where a correction came later', async () => {
    const engine = await stand('event_time', [PRICE, MEAN], [event(10, 1), event(50, 2), event(50, 7, 80)]);
    expect(await asOf(engine, 79)).toEqual([2, 'WARMING_UP', 1]);
    expect(await asOf(engine, 80)).toEqual([7, 'WARMING_UP', 0]);
    expect(await asOf(engine, 49)).toEqual([1, 'WARMING_UP', 0]);
  });

  it('does not count what was known and had not happened yet', async () => {
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1), event(50, 2, 46)]);
    expect(await asOf(engine, 49)).toEqual([1, 'WARMING_UP', 0]);
  });

  it('is asked of the log where its sums may hold what came later and is gone', async () => {
    const tiled = { ...SUM, window: { span: 300 * SECOND }, tile: 10 * SECOND };
    const engine = await stand('event_id', [PRICE, tiled], [event(1, 1), event(60, 2)]);
    // Late, and let go of again with those of its time, as its tile is summed for good.
    engine.take(event(50, 100, 90));
    engine.now = BEGIN + 400 * SECOND;
    engine.store.tablesOf('ticks')[0]?.held.get('e')?.state.trim(engine.now);
    engine.settlement.told(engine.now);
    const sumAt = async (second: number): Promise<unknown> => (await engine.readPast(BEGIN + second * SECOND))['sum'];
    expect([await sumAt(80), await sumAt(90)]).toEqual([3, 103]);
  });

  it('with the knowledge of another moment is asked of the log', async () => {
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1)]);
    expect(await asOf(engine, 50, { knownAt: BEGIN + 60 * SECOND })).toEqual([1, 'WARMING_UP', 1]);
    expect(await asOf(engine, 50, { corrected: true })).toEqual([1, 'WARMING_UP', 1]);
  });

  it('is asked of the log where an earlier event is known to be missing', async () => {
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1)]);
    const [, known] = engine.stamped([event(20, 2), event(30, 3)]) as [TakenEvent, TakenEvent];
    engine.store.taken([known]);
    expect((await asOf(engine, 40))[2]).toBe(1);
  });

  it('is asked of the log for those that are not in memory, and of rows that are not', async () => {
    const tables = streamOf('kinds', 'event_time', { risk: 'double' }, { table: true });
    const kind: TestFeature = { name: 'kind', op: 'last', stream: 'ticks', inputs: ['kind'] };
    const risk: TestFeature = { name: 'risk', table: 'kinds', field: 'risk', key: 'kind' };
    const engine = new EngineStand(planOf([ticks('event_id'), tables], [kind, risk]));
    engine.now = BEGIN + 100 * SECOND;
    engine.take(event(10, 1));
    engine.take(tick({ stream: 'kinds', entity: 'a', eventTime: BEGIN, values: [0.5], id: ++ids }));
    engine.settlement.told(engine.now);
    const reads = async (): Promise<readonly unknown[]> => {
      const before = engine.log.reads;
      const values = await engine.readPast(BEGIN + 50 * SECOND);
      return [values, engine.log.reads - before];
    };
    expect(await reads()).toEqual([{ kind: 'a', risk: 0.5 }, 2]);
    await engine.read();
    expect(await reads()).toEqual([{ kind: 'a', risk: 0.5 }, 0]);
    engine.store.drop(engine.store.tablesOf('kinds')[0] as never, 'a');
    expect(await reads()).toEqual([{ kind: 'a', risk: 0.5 }, 2]);
  });

  it('has a record from which the log comes to the same', async () => {
    const engine = await stand('event_id', [PRICE, MEAN], [event(10, 1), event(60, 2)]);
    const at = BEGIN + 30 * SECOND;
    const answer = await engine.past.read(engine.query('e'), { at, knownAt: at, corrected: false });
    expect(answer.frames[0]?.[0]?.basis[0]).toMatchObject({ arrived: at, eventTime: BEGIN + 10 * SECOND });
  });
});

describe.each(['event_id', 'event_time'] as const)('histories of events known by %s', (identity) => {
  it.each([
    ['without tiles', false, 600],
    ['with tiles', true, 150],
  ])(
    'come to the same in memory and in the log as of each moment, %s',
    async (_, tiles, most) => {
      const all = SHORT_FEATURES.map(({ feature }) => feature);
      const plan = planOf(
        [ticks(identity)],
        all.filter((feature) => tiles || !('tile' in feature)),
      );
      let fromMemory = 0;
      await fc.assert(
        fc.asyncProperty(
          histories(identity, 60),
          fc.array(fc.nat(800), { minLength: 4, maxLength: 8 }),
          fc.boolean(),
          async (events, moments, trims) => {
            const engine = new EngineStand(plan);
            const { log, store, settlement, counts } = engine;
            const onlyLog = new PastReads({
              log,
              now: () => engine.now,
              counter: { count: () => undefined },
              cacheBytes: 1,
            });
            for (const [i, one] of events.entries()) {
              engine.now = one.ingestedAt;
              engine.take(one);
              if (i % 5 === 0) await engine.read();
              if (trims) store.tablesOf('ticks')[0]?.held.get('e')?.state.trim(engine.now);
            }
            engine.now += SECOND;
            settlement.told(engine.now);
            counts.clear();
            for (const moment of moments) {
              // Most of them shortly before the end.
              const at = (engine.now - Math.round((moment ** 2 * SECOND) / 4000)) as Micros;
              const view = { at, knownAt: at, corrected: false };
              const [one, other] = [
                (await engine.past.read(engine.query('e'), view)).frames[0]?.[0] as Frame,
                (await onlyLog.read(engine.query('e'), view)).frames[0]?.[0] as Frame,
              ];
              expect([one.values, one.statuses, one.times]).toEqual([other.values, other.statuses, other.times]);
              expect(one.basis.map(({ eventId }) => eventId)).toEqual(other.basis.map(({ eventId }) => eventId));
            }
            fromMemory += counts.get('state hit') ?? 0;
          },
        ),
        { seed: 11, numRuns: 300, endOnFailure: true },
      );
      expect(fromMemory).toBeGreaterThan(most);
    },
    60_000,
  );
});
