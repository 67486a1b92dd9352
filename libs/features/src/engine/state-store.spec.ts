import type { ViewPlan } from '../definitions/view-plan';
import { BEGIN, tick } from '../testing/histories';
import { LONG_FEATURES, SHORT_FEATURES, ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import { Program } from './program';

const SECOND = MICROS_PER_SECOND;
const MiB = 1024 * 1024;
const plan = planOf(
  [ticks('event_id')],
  [...SHORT_FEATURES, ...LONG_FEATURES].map(({ feature }) => feature),
);

function engineAt(now: number, stateBytes?: number): EngineStand {
  const engine = new EngineStand(plan, stateBytes);
  engine.now = now;
  return engine;
}

let ids = 0;
const event = (entity: string, second: number, x: number) =>
  tick({ entity, eventTime: BEGIN + second * SECOND, values: [x, 'a', true], id: ++ids });

describe('states in memory', () => {
  it('stay within their limit however many entities are asked for, and those that left come back the same', async () => {
    const limit = 4 * MiB;
    const engine = engineAt(BEGIN + 100 * SECOND, limit);
    const table = engine.store.tablesOf('ticks')[0];
    for (let i = 0; i < 200; i++) engine.log.events.push(event(`e${i % 10}`, i / 4, i));
    const before = await engine.read('e3');
    const { log } = engine;
    const kept = log.events.splice(0);
    let most = 0;
    for (let i = 0; i < 30; i++) {
      // Each read brings a thousand entities that nobody has seen, without a log to search.
      await engine.live.read(engine.query(...Array.from({ length: 1000 }, (_, n) => `m${i}-${n}`)));
      most = Math.max(most, engine.store.bytes);
    }
    expect(most).toBeLessThanOrEqual(limit);
    expect(engine.store.size).toBeGreaterThan(900);
    expect(table?.held.has('e3')).toBe(false);
    log.events.push(...kept);
    expect(await engine.read('e3')).toEqual(before);
  }, 60_000);

  it('go in the order in which they were read last', async () => {
    const engine = engineAt(BEGIN + 100 * SECOND, MiB / 4);
    const held = engine.store.tablesOf('ticks')[0]?.held;
    await engine.read('first');
    for (let i = 0; i < 1000; i++) {
      await engine.read(`m${i}`);
      await engine.read('first');
    }
    expect(engine.store.size).toBeLessThan(1000);
    expect([held?.has('first'), held?.has('m0'), held?.has('m999')]).toEqual([true, false, true]);
    expect(engine.log.queries).toBe(1001);
  });

  it('are not loaded by what is pushed', () => {
    const engine = engineAt(BEGIN);
    engine.take(event('somebody', 0, 1));
    expect([engine.log.reads, engine.store.size]).toEqual([0, 0]);
  });

  it('keep no more events than their plans need', async () => {
    const engine = engineAt(BEGIN);
    await engine.read();
    for (let i = 0; i < 50_000; i++) {
      engine.now = BEGIN + i * SECOND;
      engine.store.taken([event('e', i, i)]);
    }
    expect(engine.store.bytes).toBeLessThan(32_000);
  });

  it('of a plan that asks for more are read again, and stay where it asks for less', async () => {
    const engine = engineAt(BEGIN + SECOND);
    engine.take(event('e', 0, 1));
    await engine.read();
    engine.store.usePlans([
      plan,
      planOf([ticks('event_id')], [{ name: 'x', op: 'last', stream: 'ticks', inputs: ['x'] }]),
    ]);
    await engine.read();
    expect(engine.log.reads).toBe(1);
    const more = { name: 'slow', op: 'ema', stream: 'ticks', inputs: ['x'], params: { period: 200 } };
    engine.store.usePlans([plan, planOf([ticks('event_id')], [more])]);
    expect(engine.store.bytes).toBe(0);
    expect(await engine.read()).toMatchObject({ price: 1 });
    expect(engine.log.reads).toBe(2);
    engine.store.usePlans([]);
    expect([engine.store.size, engine.store.bytes]).toEqual([0, 0]);
  });

  it('of a plan that goes out of use while its states are read are read for it, and not kept', async () => {
    const few = planOf([ticks('event_id')], [{ name: 'x', op: 'last', stream: 'ticks', inputs: ['x'] }]);
    for (const inUse of [[few], []]) {
      const engine = engineAt(BEGIN + 10 * SECOND);
      engine.take(event('e', 1, 7), event('e', 2, 8));
      engine.log.after = () => {
        // One publication may leave the table that the states are read for, two do not.
        engine.store.usePlans([]);
        engine.store.usePlans(inUse);
      };
      expect(await engine.read()).toEqual(await engine.readPast(engine.now));
      expect(engine.store.size).toBe(0);
      engine.log.after = undefined;
      // What another plan keeps of the same stream is not what this one asks for.
      expect(await engine.read()).toMatchObject({ price: 8, long_sum: 15 });
      expect(engine.store.size).toBe(0);
    }
  });

  it('of plans that are in use no more are read at once for all of them', async () => {
    const engine = engineAt(BEGIN + 10 * SECOND);
    engine.take(event('e', 1, 7), event('f', 2, 8));
    engine.store.usePlans([]);
    const short = { name: 'm', op: 'mean', stream: 'ticks', inputs: ['x'], window: { events: 2 } };
    const programs = [engine.program, new Program(planOf([ticks('event_id')], [short]))];
    const rows = ['e', 'f'].map((one) => ({ entities: [one, one] }));
    const { frames, unread } = await engine.live.read({ views: programs, rows, deadlineMs: 30_000 });
    expect(unread).toBeUndefined();
    expect(frames.map(([, second]) => second?.statuses[0])).toEqual(['WARMING_UP', 'WARMING_UP']);
    expect(frames.map(([first]) => first?.statuses.includes('TIMEOUT'))).toEqual([false, false]);
    expect(engine.log.reads).toBe(1);
  });

  it('of a plan that asked for far more go with it, and come back with what the others ask for', async () => {
    const last = { name: 'price', op: 'last', stream: 'ticks', inputs: ['x'] };
    const planWith = (...more: TestFeature[]): ViewPlan => planOf([ticks('event_id')], [last, ...more]);
    const wide = planWith({ name: 'slow', op: 'ema', stream: 'ticks', inputs: ['x'], params: { period: 800 } });
    const tile = { window: { span: 60 * SECOND }, tile: SECOND };
    const long = planWith({ name: 'sum', op: 'sum', stream: 'ticks', inputs: ['x'], ...tile });
    const span = planWith({ name: 'sum', op: 'sum', stream: 'ticks', inputs: ['x'], window: { span: 60 * SECOND } });
    const few = planWith({ name: 'mean', op: 'mean', stream: 'ticks', inputs: ['x'], window: { events: 20 } });
    const engine = new EngineStand(planWith());
    engine.now = BEGIN + 1000 * SECOND;
    engine.log.events.push(...Array.from({ length: 1000 }, (_, i) => event('e', i, i)));
    const bytesWith = async (...plans: ViewPlan[]): Promise<number> => {
      engine.store.usePlans(plans);
      expect(await engine.read()).toEqual({ price: 999 });
      return engine.store.bytes;
    };
    const plain = await bytesWith(engine.program.plan);
    for (const other of [wide, long, span]) {
      expect(await bytesWith(engine.program.plan, other)).toBeGreaterThan(1.5 * plain);
      expect(await bytesWith(engine.program.plan)).toBe(plain);
    }
    // What is hardly more is not worth reading all entities again.
    await bytesWith(engine.program.plan, few);
    const { reads } = engine.log;
    await bytesWith(engine.program.plan);
    expect(engine.log.reads).toBe(reads);
  });
});

describe('a state that is read from the log', () => {
  it('has the events that were taken before, while and after the log was looked at', async () => {
    const engine = engineAt(BEGIN + 10 * SECOND);
    engine.take(event('e', 1, 1));
    engine.log.before = () => engine.take(event('e', 2, 2));
    engine.log.after = () => engine.take(event('e', 3, 4));
    expect(await engine.read()).toMatchObject({ long_sum: 7, price: 4 });
    engine.log.before = engine.log.after = undefined;
    engine.take(event('e', 4, 8));
    expect(await engine.read()).toMatchObject({ long_sum: 15, price: 8 });
    expect(engine.log.reads).toBe(1);
  });

  it('is read once for all who ask meanwhile', async () => {
    const engine = engineAt(BEGIN + 100 * SECOND);
    engine.take(event('e', 1, 1));
    const answers = await Promise.all(Array.from({ length: 20 }, () => engine.read()));
    expect(engine.log.queries).toBe(1);
    expect(new Set(answers.map(({ price }) => price))).toEqual(new Set([1]));
  });

  it('is refused at once where too many are being read', async () => {
    const engine = engineAt(BEGIN + 100 * SECOND);
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    engine.log.before = () => opened;
    const names = Array.from({ length: 16_384 }, (_, i) => `m${i}`);
    const reads: unknown[] = [];
    for (let i = 0; i < names.length; i += 1000)
      reads.push(engine.live.read(engine.query(...names.slice(i, i + 1000))));
    const one = await engine.live.read(engine.query('e'));
    expect([one.unread, engine.named(one)['price']]).toEqual(['failed', 'TIMEOUT']);
    expect(engine.log.queries).toBe(names.length);
    open();
    await Promise.all(reads);
    expect((await engine.live.read(engine.query('e'))).unread).toBeUndefined();
  });

  it('is made anew where events may have been missed, also while it is being read', async () => {
    const engine = engineAt(BEGIN + 10 * SECOND);
    await engine.read();
    engine.log.events.push(event('e', 1, 1));
    engine.store.lapsed();
    engine.log.after = () => {
      engine.log.after = undefined;
      engine.log.events.push(event('e', 2, 2));
      engine.store.lapsed();
    };
    expect(await engine.read()).toMatchObject({ long_sum: 3, price: 2 });
    expect(engine.log.reads).toBe(3);
  });

  it('is read again where more came meanwhile than was held back', async () => {
    const engine = engineAt(BEGIN + 100 * SECOND);
    let flood = 5000;
    engine.log.after = () => {
      const events = Array.from({ length: flood }, (_, i) => event('e', 50 + i / 1000, 1));
      flood = 0;
      engine.take(...events);
    };
    expect(await engine.read()).toMatchObject({ long_sum: 5000 });
    expect(engine.log.reads).toBe(2);
  });

  it('has all events that count when most of the newest lie ahead', async () => {
    const engine = new EngineStand(
      planOf(
        [ticks('event_id')],
        LONG_FEATURES.map(({ feature }) => feature),
      ),
    );
    engine.now = BEGIN + 100 * SECOND;
    const past = Array.from({ length: 200 }, (_, i) => event('e', i / 4, i));
    const ahead = Array.from({ length: 3000 }, (_, i) => event('e', 101 + i / 1000, -1));
    engine.take(...past, ...ahead);
    const values = await engine.read();
    expect(values).toEqual(await engine.readPast(engine.now, { knownAt: engine.now + 10 * SECOND }));
    expect(values['ema']).toBeCloseTo(198);
  });

  it('is read again for a moment before what was let go, as when the clock is set back', async () => {
    const engine = engineAt(BEGIN + 10 * SECOND);
    await engine.read();
    for (let i = 0; i < 600; i++) {
      engine.now = BEGIN + i * SECOND;
      engine.take(event('e', i, i % 7));
      if (i % 100 === 99) await engine.read();
    }
    engine.now = BEGIN + 300 * SECOND;
    expect(await engine.read()).toEqual(await engine.readPast(engine.now));
    expect(await engine.read()).toMatchObject({ n: 20 });
  });

  it('sums tiles of more events than one read gives', async () => {
    const engine = engineAt(BEGIN + 20 * SECOND);
    engine.log.events.push(...Array.from({ length: 40_000 }, (_, i) => event('e', i / 2000, 0.5)));
    const { n, long_sum: sum, long_mean: mean } = await engine.read();
    expect([n, sum, mean]).toEqual(['INVALID', 20_000, 0.5]);
    expect(engine.log.reads).toBeGreaterThan(2);
    engine.take(event('e', 20, 1), event('e', 12, 1));
    expect(await engine.read()).toMatchObject({ long_sum: 20_002 });
    expect(await engine.readPast(engine.now, { knownAt: engine.now + SECOND })).toMatchObject({ long_sum: 20_002 });
  });
});
