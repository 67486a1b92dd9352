import type { FeatureValue } from '../feature-value';
import type { RuleSet } from '../rules/rule-set';
import { BEGIN, tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import type { Frame } from './frame';
import { readGiven } from './given';
import { PastWalks } from './past-walks';

const SECOND = MICROS_PER_SECOND;
const spends = streamOf('spends', 'event_id', { amount: 'double', country: 'string' });
const countries = streamOf('countries', 'event_time', { risk: 'double' }, { table: true });

/** Refuses what is over the limit, and replaces what is below 0. */
const upTo = (limit: number): RuleSet => ({
  apply: (value) => {
    if ((value as number) > limit) return { action: 'reject', value: null };
    return (value as number) < 0 ? { action: 'default', value: 7 } : { value: null };
  },
});

const FEATURES: readonly TestFeature[] = [
  { name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'], ttl: 30 * SECOND, rules: upTo(1000) },
  { name: 'country', op: 'last', stream: 'spends', inputs: ['country'], default: '??' },
  { name: 'mean', op: 'mean', stream: 'spends', inputs: ['amount'], window: { events: 3 }, default: 5 },
  { name: 'limit', request: 'double', default: 500, rules: upTo(10_000) },
  { name: 'channel', request: 'string' },
  { name: 'risk', table: 'countries', field: 'risk', key: 'country' },
  { name: 'ratio', expression: 'amount / mean', of: ['amount', 'mean'] },
  {
    name: 'share',
    expression: 'amount / (limit - 500.0)',
    of: ['amount', 'limit'],
    onNonFinite: 'default',
    default: -1,
  },
  { name: 'safe', expression: 'coalesce(risk, 0.25)', of: ['risk'] },
];
const plan = planOf([spends, countries], FEATURES);

let ids = 0;
const spend = (second: number, amount: FeatureValue, country: string | null = 'NL', entity = 'e') =>
  tick({ stream: 'spends', entity, eventTime: BEGIN + second * SECOND, values: [amount, country], id: ++ids });
const risk = (country: string, value: number) =>
  tick({ stream: 'countries', entity: country, eventTime: BEGIN, values: [value], id: ++ids });

function engineAt(second: number): EngineStand {
  const engine = new EngineStand(plan);
  engine.now = BEGIN + second * SECOND;
  return engine;
}

describe('the age of an expression', () => {
  it('is that of its oldest input that comes from a stream; rows of tables have ages of their own', async () => {
    const engine = new EngineStand(
      planOf(
        [spends, countries],
        [
          { name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'] },
          { name: 'country', op: 'last', stream: 'spends', inputs: ['country'] },
          { name: 'risk', table: 'countries', field: 'risk', key: 'country' },
          { name: 'weighed', expression: 'amount * risk', of: ['amount', 'risk'], ttl: 30 * SECOND },
          { name: 'twice', expression: 'risk * 2.0', of: ['risk'], ttl: 30 * SECOND },
          { name: 'more', expression: 'weighed + twice', of: ['weighed', 'twice'], ttl: 30 * SECOND },
        ],
      ),
    );
    engine.now = BEGIN + 100 * SECOND;
    engine.take(risk('NL', 0.5), spend(90, 10));
    expect(await engine.read()).toMatchObject({ weighed: 5, twice: 1, more: 6 });
    engine.now = BEGIN + 121 * SECOND;
    expect(await engine.read()).toMatchObject({ weighed: 'STALE', twice: 1, more: 'STALE' });
  });
});

describe('a read of now', () => {
  it('knows nothing of an entity without events, but what stands in', async () => {
    const engine = engineAt(1);
    expect(await engine.read()).toEqual({
      amount: 'NOT_FOUND',
      country: 'DEFAULTED',
      mean: 'DEFAULTED',
      limit: 'DEFAULTED',
      channel: 'NOT_FOUND',
      risk: 'NOT_FOUND',
      ratio: 'NOT_FOUND',
      share: 'DEFAULTED',
      safe: 0.25,
    });
    // The entity and the country `??`, each once, and then both are known to be unknown.
    expect(engine.log.reads).toBe(2);
    await engine.read();
    expect(engine.log.reads).toBe(2);
  });

  it('asks rules of a value when it is computed, and not when it is served again', async () => {
    const asked: FeatureValue[] = [];
    const rules: RuleSet = { apply: (value) => (asked.push(value), { value: null }) };
    const one = { name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'], rules };
    const engine = new EngineStand(planOf([spends], [one]));
    engine.now = BEGIN + 10 * SECOND;
    engine.take(spend(1, 10));
    for (let i = 0; i < 3; i++) expect(await engine.read()).toEqual({ amount: 10 });
    expect(asked).toEqual([10]);
    engine.take(spend(2, 20));
    for (let i = 0; i < 3; i++) await engine.read();
    expect(asked).toEqual([10, 20]);
    await engine.readPast(BEGIN + SECOND);
    expect(asked).toEqual([10, 20, 10]);
  });

  it('computes, looks up by what it computed, and tells ages', async () => {
    const engine = engineAt(10);
    engine.take(spend(1, 10), spend(2, 20), spend(4, 60), risk('NL', 0.5), risk('BE', 0.75));
    expect(await engine.read()).toMatchObject({ amount: 60, country: 'NL', mean: 30, ratio: 2, risk: 0.5, safe: 0.5 });
    const answer = await engine.live.read(engine.query('e'));
    const frame = answer.frames[0]?.[0];
    const slot = (name: string): number => engine.program.slots.get(name) as number;
    expect([frame?.times[slot('amount')], frame?.times[slot('risk')], frame?.times[slot('ratio')]]).toEqual([
      BEGIN + 4 * SECOND,
      BEGIN,
      BEGIN + 4 * SECOND,
    ]);
    expect(frame?.times[slot('limit')]).toBeNaN();
    expect(frame?.basis.map(({ stream, entity, eventId }) => [stream, entity, eventId?.slice(-2)])).toEqual([
      ['spends', 'e', engine.log.events[2]?.eventId.slice(-2)],
      ['countries', 'NL', engine.log.events[3]?.eventId.slice(-2)],
    ]);
    engine.take(spend(5, 60, 'BE'));
    expect(await engine.read()).toMatchObject({ risk: 0.75 });
  });

  it('is stale from the first microsecond after the ttl, and what is made of it too', async () => {
    const engine = engineAt(0);
    engine.take(spend(0, 10), spend(0, 10), spend(0, 10));
    engine.now = BEGIN + 30 * SECOND;
    expect(await engine.read()).toMatchObject({ amount: 10, ratio: 1 });
    engine.now += 1;
    expect(await engine.read()).toMatchObject({ amount: 'STALE', ratio: 'STALE', mean: 10 });
    const [[frame]] = (await engine.live.read({ ...engine.query('e'), keepStale: true })).frames as [[never]];
    expect(frame).toMatchObject({ values: expect.arrayContaining([10]), statuses: expect.arrayContaining(['STALE']) });
    expect((frame as { values: unknown[] }).values[6]).toBe(1);
    // The next event makes it fresh.
    engine.take(spend(30, 20));
    expect(await engine.read()).toMatchObject({ amount: 20 });
  });

  it('serves no value that its rules refuse, nor one that is no number', async () => {
    const engine = engineAt(2);
    engine.take(spend(1, 1001));
    expect(await engine.read()).toMatchObject({ amount: 'INVALID', ratio: 'INVALID' });
    engine.take(spend(2, 3));
    expect(await engine.read()).toMatchObject({ amount: 3, share: 'DEFAULTED' });
    engine.take(spend(2, -3));
    expect(await engine.read()).toMatchObject({ amount: 'DEFAULTED' });
    engine.take(spend(2, null, null));
    expect(await engine.read()).toMatchObject({ amount: 'NULL', country: 'DEFAULTED', ratio: 'NULL' });
  });

  it('takes what the request gives, checks it, and computes the rest from it', async () => {
    const engine = engineAt(2);
    engine.take(spend(1, 100));
    const read = async (features: Record<string, unknown>): Promise<Record<string, unknown>> => {
      const { given, faults } = readGiven(engine.program, features);
      expect(faults).toEqual([]);
      return engine.read('e', { rows: [{ entities: ['e'], given: [given] }] });
    };
    expect(await read({ limit: 700, mean: 50, channel: 'web' })).toMatchObject({
      share: 0.5,
      ratio: 2,
      channel: 'web',
    });
    expect(await read({ limit: 10_001 })).toMatchObject({ limit: 'INVALID', share: 'INVALID' });
    expect(await read({ limit: null })).toMatchObject({ limit: 'NULL', share: 'DEFAULTED' });
    expect(await read({ amount: 250, country: 'BE' })).toMatchObject({ amount: 250, ratio: 50, risk: 'NOT_FOUND' });
    expect(await engine.read()).toMatchObject({ amount: 100, ratio: 20 });
    expect(readGiven(engine.program, { limit: '700', nothing: 1, amount: Number.NaN, toString: 1 }).faults).toEqual([
      { name: 'limit', reason: 'type', type: 'double' },
      { name: 'nothing', reason: 'unknown' },
      { name: 'amount', reason: 'type', type: 'double' },
      { name: 'toString', reason: 'unknown' },
    ]);
  });

  it('finds the vector again until an event or time changes it', async () => {
    const engine = new EngineStand(planOf([spends], FEATURES.slice(0, 2)));
    engine.now = BEGIN + 5 * SECOND;
    engine.take(spend(1, 1), spend(7, 2));
    const hits = async (): Promise<number> => {
      const before = engine.counts.get('vector hit') ?? 0;
      await engine.read();
      return (engine.counts.get('vector hit') ?? 0) - before;
    };
    await engine.read();
    expect(await hits()).toBe(1);
    engine.now = BEGIN + 7 * SECOND - 1;
    expect(await hits()).toBe(1);
    engine.now += 1;
    expect(await engine.read()).toMatchObject({ amount: 2 });
    expect(await hits()).toBe(1);
    engine.take(spend(6, 9));
    expect([await hits(), await hits()]).toEqual([0, 1]);
    engine.now = BEGIN + 37 * SECOND + 1;
    expect([await hits(), await hits()]).toEqual([0, 1]);
    expect(await engine.read()).toMatchObject({ amount: 'STALE' });
  });

  it('answers for those in memory when the log is slow or gone, and has the others when they are there', async () => {
    const engine = engineAt(2);
    engine.take(spend(1, 1, 'NL', 'known'), spend(1, 2, 'NL', 'other'));
    await engine.read('known');
    let open: () => void = () => undefined;
    engine.log.before = () => new Promise<void>((resolve) => (open = resolve));
    const query = { ...engine.query('known', 'other'), deadlineMs: 5 };
    const slow = await engine.live.read(query);
    expect(slow.unread).toBe('deadline');
    expect([engine.named(slow, 0)['amount'], engine.named(slow, 1)['amount']]).toEqual([1, 'TIMEOUT']);
    engine.log.before = undefined;
    open();
    await new Promise((resolve) => setImmediate(resolve));
    const later = await engine.live.read(query);
    expect([later.unread, engine.named(later, 1)['amount']]).toEqual([undefined, 2]);
    engine.log.before = () => Promise.reject(new Error('gone'));
    expect(await engine.live.read(engine.query('nobody'))).toMatchObject({ unread: 'failed' });
    engine.log.before = undefined;
    expect((await engine.live.read(engine.query('nobody'))).unread).toBeUndefined();
  });

  it('does not go back with a clock that is set back a little, and follows one that is set back far', async () => {
    const sum = { name: 'sum', op: 'sum', stream: 'spends', inputs: ['amount'], window: { span: 60 * SECOND } };
    const engine = new EngineStand(planOf([spends], [{ ...sum, tile: 10 * SECOND }]));
    engine.now = BEGIN + 100 * SECOND;
    engine.take(spend(70, 1), spend(98, 2));
    const readAt = async (second: number): Promise<readonly unknown[]> => {
      engine.now = BEGIN + second * SECOND;
      const answer = await engine.live.read(engine.query('e'));
      return [(answer.at - BEGIN) / SECOND, engine.named(answer)['sum'], engine.log.reads];
    };
    expect(await readAt(100)).toEqual([100, 3, 1]);
    // The sum has gone on to the event of second 98: asked of memory, an earlier moment would have to be read again.
    expect(await readAt(97)).toEqual([100, 3, 1]);
    expect(await readAt(95)).toEqual([100, 3, 1]);
    expect(await readAt(101)).toEqual([101, 3, 1]);
    expect(await readAt(95.9)).toEqual([95.9, 1, 2]);
  });

  it('that goes on in slices is of its own moment for all of its rows, wherever reads that came between have gone', async () => {
    const slow: RuleSet = {
      apply: () => {
        // As long as it takes until the rest of a read goes on later.
        for (const begin = performance.now(); performance.now() - begin < 3;);
        return { value: null };
      },
    };
    const sum = { name: 'sum', op: 'sum', stream: 'spends', inputs: ['amount'], window: { span: 60 * SECOND } };
    const last = { name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'], rules: slow };
    const engine = new EngineStand(planOf([spends], [{ ...sum, tile: 10 * SECOND }, last]));
    engine.now = BEGIN + 100 * SECOND;
    engine.take(spend(98, 1, 'NL', 'first'), spend(70, 5), spend(98, 6));
    const query = engine.query('first', 'e');
    await engine.live.read(query);
    engine.take(spend(99, 2, 'NL', 'first'));
    let slices = 0;
    const next = async (): Promise<void> => {
      slices += 1;
      engine.now = BEGIN + 125 * SECOND;
      engine.take(spend(109, 100), spend(124, 1000));
      expect(await engine.read()).toMatchObject({ sum: 1111 });
    };
    const answer = await engine.live.read({ ...query, pace: { due: true, next } });
    expect([slices, answer.at]).toEqual([1, BEGIN + 100 * SECOND]);
    expect([engine.named(answer, 0)['sum'], engine.named(answer, 1)['sum']]).toEqual([3, 11]);
  });

  it('has no value that is made of what could not be read', async () => {
    const engine = new EngineStand(
      planOf(
        [spends, countries],
        [
          ...FEATURES.slice(0, 6),
          { name: 'usual', expression: 'limit / max(coalesce(mean, 1.0), 1.0)', of: ['mean', 'limit'] },
          { name: 'known', expression: 'has(mean)', of: ['mean'] },
          { name: 'safe', expression: 'coalesce(risk, 0.25)', of: ['risk'] },
          { name: 'twice', expression: 'safe * 2.0', of: ['safe'] },
          { name: 'own', expression: 'limit * 2.0', of: ['limit'] },
        ],
      ),
    );
    engine.now = BEGIN + 2 * SECOND;
    engine.log.before = () => Promise.reject(new Error('gone'));
    const unread = { usual: 'TIMEOUT', known: 'TIMEOUT', safe: 'TIMEOUT', twice: 'TIMEOUT', own: 1000 };
    expect(await engine.read()).toMatchObject(unread);
    expect(await engine.readPast(BEGIN)).toMatchObject(unread);
    // What the request gives is known all the same.
    const { given } = readGiven(engine.program, { mean: 50, risk: 0.5 });
    expect(await engine.read('e', { rows: [{ entities: ['e'], given: [given] }] })).toMatchObject({
      usual: 10,
      known: true,
      twice: 1,
    });
    engine.log.before = undefined;
    expect(await engine.read()).toMatchObject({ usual: 100, known: true, safe: 0.25 });
  });

  it('is answered at once from memory, and asks the log once for all others', async () => {
    const engine = engineAt(2);
    const names = Array.from({ length: 1000 }, (_, i) => `e${i}`);
    engine.take(...names.map((name, i) => spend(1, i, 'NL', name)), risk('NL', 1));
    const answer = await engine.live.read(engine.query(...names));
    expect([engine.log.reads, engine.log.queries, answer.frames.length]).toEqual([2, 1001, 1000]);
    expect(engine.named(answer, 999)).toMatchObject({ amount: 999, risk: 1 });
    const past = await engine.past.read(engine.query(...names), {
      at: engine.now,
      knownAt: engine.now,
      corrected: false,
    });
    expect(engine.named(past, 999)).toMatchObject({ amount: 999, risk: 1 });
    // Unless the machine is held up for longer than may be computed at once.
    const atOnce = (): boolean => !(engine.live.read(engine.query(...names.slice(0, 10))) instanceof Promise);
    expect(Array.from({ length: 20 }, atOnce)).toContain(true);
    expect(() => engine.live.read(engine.query(...names, 'more'))).toThrow('at most 1000');
  });

  it('asks the log once for reads that begin in one turn, and again for the next', async () => {
    const engine = engineAt(2);
    engine.take(spend(1, 1, 'NL', 'a'), spend(1, 2, 'NL', 'b'), spend(1, 3, 'NL', 'c'));
    await engine.read('table rows of this country');
    const before = engine.log.reads;
    const both = ['a', 'b'].map(async (entity) => engine.live.read(engine.query(entity)));
    const answers = await Promise.all(both);
    const first = engine.log.reads - before;
    expect(answers.map((answer) => engine.named(answer)['amount'])).toEqual([1, 2]);
    await engine.live.read(engine.query('c'));
    // Each turn asks for events, and then for the rows of tables that they name, until those are known.
    expect([first, engine.log.reads - before - first]).toEqual([2, 1]);
  });
});

describe('a read of the past', () => {
  it('has an event from its own microsecond on, and a window by time without its old edge', async () => {
    const count = { name: 'n', op: 'count', stream: 'spends', window: { span: 10 * SECOND } };
    const engine = new EngineStand(planOf([spends], [count]));
    engine.now = BEGIN + 1000 * SECOND;
    engine.take(spend(20, 1), spend(20, 2), spend(25, 3));
    const knownAt = engine.now;
    const at = async (micros: number): Promise<unknown> => (await engine.readPast(BEGIN + micros, { knownAt }))['n'];
    expect(await at(20 * SECOND - 1)).toBe('NOT_FOUND');
    expect(await at(20 * SECOND)).toBe(2);
    expect(await at(30 * SECOND - 1)).toBe(3);
    expect(await at(30 * SECOND)).toBe(1);
    expect(await at(35 * SECOND)).toBe(0);
  });

  it('shows what was known then, or what is known now', async () => {
    const engine = engineAt(500);
    const late = tick({
      stream: 'spends',
      eventTime: BEGIN + 5 * SECOND,
      ingestedAt: BEGIN + 100 * SECOND,
      logOnly: true,
      values: [9, 'X'],
      id: ++ids,
    });
    engine.take(spend(1, 1), late);
    const at = BEGIN + 10 * SECOND;
    expect(await engine.readPast(at)).toMatchObject({ amount: 1 });
    expect(await engine.readPast(at, { knownAt: engine.now })).toMatchObject({ amount: 1 });
    expect(await engine.readPast(at, { knownAt: engine.now, corrected: true })).toMatchObject({ amount: 9 });
    expect(await engine.readPast(at, { knownAt: BEGIN + 99 * SECOND, corrected: true })).toMatchObject({ amount: 1 });
  });

  it('finds each moment between two events again, unless time itself counts', async () => {
    const engine = new EngineStand(planOf([spends], FEATURES.slice(0, 3)));
    engine.now = BEGIN + 500 * SECOND;
    engine.take(spend(1, 1), spend(100, 2), spend(200, 3));
    const reads = async (second: number): Promise<number> => {
      const before = engine.log.reads;
      await engine.readPast(BEGIN + second * SECOND);
      return engine.log.reads - before;
    };
    expect([await reads(120), await reads(120), await reads(101), await reads(130)]).toEqual([1, 0, 0, 1]);
    // Stale from second 131 on, and not yet known to be so at 130.
    expect([await reads(125), await reads(199), await reads(150), await reads(131)]).toEqual([0, 1, 0, 0]);
    expect([await reads(99), await reads(0.5)]).toEqual([1, 1]);
    expect(await engine.readPast(BEGIN + 150 * SECOND)).toMatchObject({ amount: 'STALE' });
    expect(await engine.readPast(BEGIN + 101 * SECOND)).toMatchObject({ amount: 2 });
    // What may still be under way to the log is not kept.
    engine.now = BEGIN + 210 * SECOND;
    expect([await reads(205), await reads(205)]).toEqual([1, 1]);
  });

  it('does not find again at a moment before it was known what arrived late', async () => {
    const engine = engineAt(500);
    const late = tick({
      stream: 'spends',
      eventTime: BEGIN + 100 * SECOND,
      ingestedAt: BEGIN + 150 * SECOND,
      values: [9, 'X'],
      id: ++ids,
    });
    engine.take(spend(90, 1), late);
    expect(await engine.readPast(BEGIN + 125 * SECOND)).toMatchObject({ country: 'NL' });
    expect(await engine.readPast(BEGIN + 160 * SECOND)).toMatchObject({ country: 'X' });
    expect(await engine.readPast(BEGIN + 120 * SECOND)).toMatchObject({ country: 'NL' });
    expect(await engine.readPast(BEGIN + 149 * SECOND)).toMatchObject({ country: 'NL' });
    expect(await engine.readPast(BEGIN + 150 * SECOND)).toMatchObject({ country: 'X' });
  });

  it('does not find what was kept for who wants no stale values where somebody does, nor the other way round', async () => {
    const engine = engineAt(500);
    engine.take(spend(1, 100));
    const at = BEGIN + 100 * SECOND;
    const amountOf = async (keepStale: boolean): Promise<unknown> => {
      const query = { ...engine.query('e'), keepStale };
      return (await engine.past.read(query, { at, knownAt: at, corrected: false })).frames[0]?.[0]?.values[0];
    };
    for (const keepStale of [false, true, false, true]) expect(await amountOf(keepStale)).toBe(keepStale ? 100 : null);
  });

  it('finds a vector again for who gives the same only', async () => {
    const engine = engineAt(500);
    engine.take(spend(1, 100));
    const read = async (features: Record<string, unknown>): Promise<readonly unknown[]> => {
      const { given } = readGiven(engine.program, features);
      const query = { ...engine.query(), rows: [{ entities: ['e'], given: [given] }] };
      const at = BEGIN + 20 * SECOND;
      const { ratio } = engine.named(await engine.past.read(query, { at, knownAt: at, corrected: false }));
      return [ratio, engine.counts.get('as_of hit') ?? 0];
    };
    expect(await read({ mean: 50 })).toEqual([2, 0]);
    expect(await read({ limit: 50 })).toEqual([20, 0]);
    expect(await read({ mean: 25 })).toEqual([4, 0]);
    expect(await read({})).toEqual([20, 0]);
    const at = BEGIN + 20 * SECOND;
    const asked = { ...engine.query('e'), tiers: true };
    expect(await engine.past.read(asked, { at, knownAt: at, corrected: false })).toMatchObject({ tiers: ['vector'] });
    engine.counts.clear();
    expect(await read({ mean: 50 })).toEqual([2, 1]);
    expect(await read({ mean: 25 })).toEqual([4, 2]);
    expect(await read({})).toEqual([20, 3]);
  });

  it('tells what a request says is null from what it does not say: live, as of a moment, and among rows of one training set', async () => {
    const plain = { name: 'plain', stream: 'spends', inputs: ['amount'], op: 'last' };
    const engine = new EngineStand(planOf([spends], [{ name: 'amount', request: 'double' }, plain]));
    engine.now = BEGIN + 500 * SECOND;
    engine.take(spend(1, 20));
    const at = BEGIN + 20 * SECOND;
    const moment = { at, knownAt: at, corrected: false };
    const asked = [{ amount: 5, plain: null }, { amount: 5 }, { amount: 5, plain: null }, { amount: 5 }].map(
      (features) => [readGiven(engine.program, features).given],
    );
    const query = { ...engine.query(), rows: asked.map((given) => ({ entities: ['e'], given })) };
    const wanted = ['NULL', 20, 'NULL', 20];
    for (const given of asked) {
      const one = { ...query, rows: [{ entities: ['e'], given }] };
      const value = given[0]?.values[1] === null ? 'NULL' : 20;
      expect(engine.named(await engine.live.read(one))).toMatchObject({ plain: value });
      expect(engine.named(await engine.past.read(one, moment))).toMatchObject({ plain: value });
    }
    // Nor is anything lost of a number.
    for (const amount of [0, -0, 0]) {
      const one = { ...query, rows: [{ entities: ['e'], given: [readGiven(engine.program, { amount }).given] }] };
      for (const answer of [await engine.live.read(one), await engine.past.read(one, moment)])
        expect(engine.named(answer)['amount']).toBe(amount);
    }
    for (const answer of [await engine.live.read(query), await engine.past.read(query, moment)])
      expect(wanted.map((_, row) => engine.named(answer, row)['plain'])).toEqual(wanted);
    const made: unknown[] = [];
    const onRow = (row: number, frames: readonly Frame[]): void => {
      made[row] = engine.named({ frames: [frames] })['plain'];
    };
    const walks = new PastWalks(engine.log, () => engine.now);
    await walks.read(
      query,
      asked.map(() => moment),
      { onRow },
    );
    expect(made).toEqual(wanted);
  });

  it('says TIMEOUT where the log cannot be read, and does not keep that', async () => {
    const engine = engineAt(500);
    engine.log.before = () => Promise.reject(new Error('gone'));
    const answer = await engine.past.read(engine.query('e'), { at: BEGIN, knownAt: BEGIN, corrected: false });
    expect(answer.unread).toBe('failed');
    expect(engine.named(answer)).toMatchObject({ amount: 'TIMEOUT', ratio: 'TIMEOUT', limit: 'DEFAULTED' });
    engine.log.before = undefined;
    expect(await engine.readPast(BEGIN)).toMatchObject({ amount: 'NOT_FOUND', country: 'DEFAULTED' });
  });
});

describe('an explanation', () => {
  it('names the events and the values behind one value', async () => {
    const engine = engineAt(10);
    engine.take(spend(1, 10), spend(2, 20));
    const slot = engine.program.slots.get('ratio') as number;
    const told = await engine.live.explain(engine.query('e'), slot);
    const moment = { at: engine.now, knownAt: engine.now, corrected: false };
    expect(await engine.past.explain(engine.query('e'), moment, slot)).toEqual(told);
    expect(told).toMatchObject({
      feature: 'ratio',
      steps: [
        {
          kind: 'expression',
          by: 'amount / mean',
          reads: ['amount', 'mean'],
          outputs: [{ value: 4, status: 'PRESENT' }],
        },
        {
          name: 'amount',
          kind: 'operator',
          by: 'last',
          count: 1,
          events: [{ eventTime: BEGIN + 2 * SECOND, inputs: [20] }],
        },
        { name: 'mean', kind: 'operator', by: 'mean', have: 2, need: 3, outputs: [{ value: 5, status: 'DEFAULTED' }] },
      ],
    });
    expect(told.steps[2]?.events?.map(({ inputs: [amount] }) => amount)).toEqual([10, 20]);
  });

  it('says why it has nothing where the log could not be read, now and of a moment', async () => {
    const engine = engineAt(10);
    engine.take(spend(1, 10));
    engine.log.before = () => Promise.reject(new Error('gone'));
    const slot = engine.program.slots.get('amount') as number;
    const moment = { at: engine.now, knownAt: engine.now, corrected: false };
    const nothing = { unread: 'failed', steps: [{ outputs: [{ value: null, status: 'TIMEOUT' }] }] };
    expect(await engine.live.explain(engine.query('e'), slot)).toMatchObject(nothing);
    expect(await engine.past.explain(engine.query('e'), moment, slot)).toMatchObject(nothing);
    engine.log.before = undefined;
    expect(await engine.live.explain(engine.query('e'), slot)).not.toHaveProperty('unread');
    expect(await engine.past.explain(engine.query('e'), moment, slot)).not.toHaveProperty('unread');
  });
});
