import { DomainError } from '@sibyl/kernel';
import type { ChangeHistory } from '../log/feature-event';
import { BEGIN, tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND, type Micros } from '../time';
import type { PastMoment } from './online-query';
import { PastWalks, type WayLimits } from './past-walks';
import { MAX_SERIES_EVENTS } from './series';

const SECOND = MICROS_PER_SECOND;
const spends = streamOf('spends', 'event_id', { amount: 'double', country: 'string' });
const countries = streamOf('countries', 'event_time', { risk: 'double', region: 'string' }, { table: true });
const regions = streamOf('regions', 'event_time', { weight: 'double' }, { table: true });
const FEATURES: readonly TestFeature[] = [
  { name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'], ttl: 60 * SECOND },
  { name: 'country', op: 'last', stream: 'spends', inputs: ['country'] },
  { name: 'n', op: 'count', stream: 'spends', window: { span: 20 * SECOND } },
  { name: 'risk', table: 'countries', field: 'risk', key: 'country' },
  { name: 'region', table: 'countries', field: 'region', key: 'country' },
  { name: 'weight', table: 'regions', field: 'weight', key: 'region' },
  { name: 'product', expression: 'amount * risk', of: ['amount', 'risk'] },
];
const plan = planOf([spends, countries, regions], FEATURES);
const COUNTRIES = ['NL', 'DE', 'FR', 'PT'];

let ids = 0;
let seed = 7;
const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;

const put = (stream: string, entity: string, second: number, ...values: (number | string)[]) =>
  tick({
    ...{ stream, entity, values, id: ++ids },
    eventTime: BEGIN + second * SECOND,
    ingestedAt: BEGIN + (second + random(3)) * SECOND,
  });

/** Cards that travel, and countries whose risk and region change meanwhile. */
function travels(): EngineStand {
  const engine = new EngineStand(plan);
  for (let second = 0; second < 200; second++) {
    engine.log.events.push(put('spends', `card-${random(5)}`, second, random(100), COUNTRIES[random(4)] ?? ''));
    if (second % 9 === 0)
      engine.log.events.push(put('countries', COUNTRIES[random(4)] ?? '', second, random(10), `R${random(2)}`));
    if (second % 23 === 0) engine.log.events.push(put('regions', `R${random(2)}`, second, random(10)));
  }
  engine.now = BEGIN + 1000 * SECOND;
  return engine;
}

const strict = (at: Micros): PastMoment => ({ at, knownAt: at, corrected: false });

async function walk(
  engine: EngineStand,
  rows: readonly (readonly [entity: string, moment: PastMoment])[],
  { log = engine.log, limits, signal }: { log?: ChangeHistory; limits?: WayLimits; signal?: AbortSignal } = {},
): Promise<Record<string, unknown>[]> {
  const made: Record<string, unknown>[] = [];
  const query = engine.query(...rows.map(([entity]) => entity));
  const moments = rows.map(([, moment]) => moment);
  await new PastWalks(log, () => engine.now, limits).read(query, moments, {
    onRow: (row, frames) => (made[row] = engine.named({ frames: [frames] })),
    ...(signal && { signal }),
  });
  return made;
}

async function single(engine: EngineStand, rows: readonly (readonly [string, PastMoment])[]): Promise<unknown[]> {
  const made: unknown[] = [];
  for (const [entity, moment] of rows) made.push(await engine.readPast(moment.at, { ...moment, entity }));
  return made;
}

const unavailable = (): DomainError => new DomainError('database_unavailable', 'It is away.');

describe('rows that share what is read', () => {
  const rowsOf = (engine: EngineStand, count: number): (readonly [string, PastMoment])[] =>
    Array.from({ length: count }, (_, i) => {
      const at = BEGIN + random(220) * SECOND;
      const moment = i % 3 === 0 ? { at, knownAt: engine.now, corrected: true } : strict(at);
      return [`card-${random(6)}`, moment] as const;
    });

  it.each([
    ['all that there is at once', undefined],
    ['a few events at a time', { events: 4, ofEach: 2 }],
  ])('have the values of reads of their own, rows of tables by keys of the moment too: %s', async (_what, limits) => {
    const engine = travels();
    const rows = rowsOf(engine, 300);
    expect(await walk(engine, rows, limits ? { limits } : {})).toEqual(await single(engine, rows));
  });

  it('need no more reads for more moments', async () => {
    const engine = travels();
    const every = (step: number): (readonly [string, PastMoment])[] =>
      Array.from({ length: 200 / step }, (_, i) => ['card-1', strict(BEGIN + i * step * SECOND)] as const);
    await walk(engine, every(50));
    const few = engine.log.reads;
    await walk(engine, every(1));
    expect(engine.log.reads - few).toBeLessThanOrEqual(few + 2);
  });

  it('say of a window of too many events what a read of its own says', async () => {
    const engine = new EngineStand(planOf([spends], FEATURES.slice(0, 3)));
    for (let i = 0; i < MAX_SERIES_EVENTS + 200; i++)
      engine.log.events.push(
        tick({ stream: 'spends', eventTime: BEGIN + i * 1000, values: [i, 'NL'], id: ++ids, entity: 'hot' }),
      );
    engine.now = BEGIN + 1000 * SECOND;
    const most = BEGIN + MAX_SERIES_EVENTS * 1000;
    const moments = [
      most - 5000,
      most - 1000,
      most,
      most + 1000,
      most + 150_000,
      BEGIN + 20 * SECOND,
      BEGIN + 36 * SECOND,
    ];
    const rows = moments.map((at) => ['hot', strict(at)] as const);
    const made = await walk(engine, rows);
    expect(made).toEqual(await single(engine, rows));
    expect(made.map(({ n }) => n)).toContain('INVALID');
    expect(made.map(({ n }) => n)).toContain(MAX_SERIES_EVENTS);
  });
});

describe('a log that cannot be read', () => {
  it('is asked again until it comes back', async () => {
    const engine = travels();
    const rows = [['card-1', strict(BEGIN + 100 * SECOND)]] as const;
    const expected = await single(engine, rows);
    let away = 2;
    engine.log.before = () => {
      if (away-- > 0) throw unavailable();
    };
    expect(await walk(engine, rows)).toEqual(expected);
    expect(away).toBeLessThan(0);
  });

  it('is not asked again by work that is not wanted any more', async () => {
    const engine = travels();
    const abort = new AbortController();
    engine.log.before = () => {
      abort.abort(new Error('cancelled'));
      throw unavailable();
    };
    const walking = walk(engine, [['card-1', strict(BEGIN)]], { signal: abort.signal });
    await expect(walking).rejects.toThrow('cancelled');
  });

  it('is asked for less where that was too much', async () => {
    const engine = travels();
    const rows = Array.from({ length: 40 }, (_, i) => [`card-${i % 5}`, strict(BEGIN + i * 5 * SECOND)] as const);
    const asked: number[] = [];
    const log: ChangeHistory = {
      read: (queries) => {
        asked.push(queries.length);
        return queries.length > 1 ? Promise.reject(unavailable()) : engine.log.read(queries);
      },
      readChanges: (queries) => engine.log.readChanges(queries),
    };
    expect(await walk(engine, rows, { log })).toEqual(await single(engine, rows));
    expect(Math.max(...asked)).toBe(5);
  });

  it('because of what is asked says so at once', async () => {
    const engine = travels();
    engine.log.before = () => {
      throw new DomainError('stream_not_found', 'There is no such stream.');
    };
    const walking = walk(engine, [['card-1', strict(BEGIN)]]);
    await expect(walking).rejects.toMatchObject({ code: 'stream_not_found' });
    expect(engine.log.reads).toBe(1);
  });
});
