import { BEGIN, tick } from '../testing/histories';
import { LONG_FEATURES, SHORT_FEATURES, ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';

const SECOND = MICROS_PER_SECOND;
const RETENTION = 200 * SECOND;
const stream = { ...ticks('event_id'), retention: RETENTION };
const FEATURES = [...SHORT_FEATURES, ...LONG_FEATURES].map(({ feature }) => feature);
const plan = planOf([stream], FEATURES);
/** Vectors of which are kept until other events count. */
const BY_COUNT = FEATURES.filter(({ name }) => ['price', 'before', 'list', 'mean4', 'ema'].includes(name));
const byCount = planOf([stream], BY_COUNT);

let ids = 0;
const event = (second: number, x: number) =>
  tick({ eventTime: BEGIN + second * SECOND, values: [x, 'a', true], id: ++ids });

/** Of the same log, or of what retention has left of it. */
function another(engine: EngineStand, from = Number.NEGATIVE_INFINITY): EngineStand {
  const other = new EngineStand(engine.program.plan);
  other.now = engine.now;
  other.log.events.push(...engine.log.events.filter(({ eventTime }) => eventTime > from));
  return other;
}

it.each([
  [1, plan],
  [3, plan],
  [17, plan],
  [1, byCount],
] as const)(
  'who has events in memory, who reads them, and who comes when they are dropped: all serve the same (each %d s)',
  async (step, of) => {
    const engine = new EngineStand(of);
    engine.now = BEGIN;
    await engine.read();
    for (let second = 0; second < 900; second += step) {
      engine.now = BEGIN + second * SECOND;
      // Many, then few, then none.
      if (second < 60 || (second < 500 && second % 51 < step)) engine.take(event(second, second % 7));
      if (second % 7 >= step && second < 250) continue;
      const kept = await engine.read();
      const edge = engine.now - RETENTION;
      for (const from of [Number.NEGATIVE_INFINITY, edge]) {
        const other = another(engine, from);
        expect({ second, ...(await other.read()) }).toEqual({ second, ...kept });
        expect({ second, ...(await other.readPast(engine.now)) }).toEqual({ second, ...kept });
      }
    }
    expect(await engine.read()).toMatchObject({ price: 'NOT_FOUND', list: 'NOT_FOUND' });
    expect(engine.log.reads).toBeLessThan(5);
  },
);

it('a vector of the past is not found again for a moment at which more counted', async () => {
  const reads = async (...seconds: number[]): Promise<unknown[]> => {
    const engine = new EngineStand(byCount);
    engine.take(event(0, 1), event(50, 2), event(60, 3));
    engine.now = BEGIN + 5000 * SECOND;
    const values = [];
    for (const second of seconds) values.push((await engine.readPast(BEGIN + second * SECOND))['before']);
    return values;
  };
  const [alone] = await reads(199);
  expect(alone).toBe(1);
  expect(await reads(240, 201, 199, 70)).toEqual(['WARMING_UP', 'WARMING_UP', 1, 1]);
  expect(await reads(70, 240, 199, 200)).toEqual([1, 'WARMING_UP', 1, 'WARMING_UP']);
});

it('a read of a moment before what was let go asks the log', async () => {
  const engine = new EngineStand(plan);
  engine.now = BEGIN + 10 * SECOND;
  engine.take(event(0, 1), event(5, 2));
  await engine.read();
  engine.now = BEGIN + 203 * SECOND;
  expect(await engine.read()).toMatchObject({ price: 2, long_sum: 0 });
  engine.now = BEGIN + 190 * SECOND;
  expect(await engine.read()).toEqual(await engine.readPast(engine.now));
});
