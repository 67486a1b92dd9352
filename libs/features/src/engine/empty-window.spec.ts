import { BEGIN, tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import { PastWalks } from './past-walks';

const SECOND = MICROS_PER_SECOND;
const spends = streamOf('spends', 'event_id', { amount: 'double', country: 'string' });
const refunds = streamOf('refunds', 'event_id', { amount: 'double', ok: 'bool' });
const profiles = streamOf('profiles', 'event_time', { limit: 'double' }, { table: true });
const countries = streamOf('countries', 'event_time', { risk: 'double' }, { table: true });

const span = { window: { span: 60 * SECOND } };
const ofRefunds = { stream: 'refunds', inputs: ['amount'] };
const FEATURES: readonly TestFeature[] = [
  { name: 'amount', op: 'last', stream: 'spends', inputs: ['amount'] },
  { name: 'country', request: 'string', default: 'NL' },
  { name: 'risk', table: 'countries', field: 'risk', key: 'country' },
  { name: 'limit', table: 'profiles', field: 'limit' },
  { name: 'n', op: 'count', stream: 'refunds', inputs: [], ...span },
  { name: 'n_ok', op: 'count', stream: 'refunds', inputs: [], where: 'ok', ...span },
  { name: 'n_long', op: 'count', stream: 'refunds', inputs: [], ...span, tile: 10 * SECOND },
  { name: 'rate', op: 'rate', stream: 'refunds', inputs: [], ...span },
  { name: 'sum', op: 'sum', ...ofRefunds, ...span },
  { name: 'mean', op: 'mean', ...ofRefunds, ...span },
  { name: 'mean_or', op: 'mean', ...ofRefunds, ...span, default: -1 },
  { name: 'newest', op: 'last', ...ofRefunds, ...span },
  { name: 'kinds', op: 'distinct_count', ...ofRefunds, ...span },
  { name: 'since', op: 'time_since_last', stream: 'refunds', inputs: [], ...span },
  { name: 'last', op: 'last', ...ofRefunds },
  { name: 'mean3', op: 'mean', ...ofRefunds, window: { events: 3 } },
  { name: 'share', expression: 'n / 2', of: ['n'] },
];
const BY_TIME = { n: 0, n_ok: 0, n_long: 0, rate: 0, sum: 0, mean: 'NULL', newest: 'NULL', kinds: 0, since: 'NULL' };
const EMPTY = { ...BY_TIME, mean_or: 'DEFAULTED', last: 'NOT_FOUND', mean3: 'NOT_FOUND', share: 0 };
const UNKNOWN = Object.fromEntries(
  Object.keys(EMPTY).map((name) => [name, name === 'mean_or' ? 'DEFAULTED' : 'NOT_FOUND']),
);
const plan = planOf([spends, refunds, profiles, countries], FEATURES);

let ids = 0;
const event = (stream: string, second: number, values: readonly (number | string | boolean)[], entity = 'e') =>
  tick({ stream, entity, eventTime: BEGIN + second * SECOND, values: [...values], id: ++ids });

function engineAt(second: number): EngineStand {
  const engine = new EngineStand(plan);
  engine.now = BEGIN + second * SECOND;
  return engine;
}

describe('a window by time before the first event of its stream', () => {
  it('is empty where another stream knows the entity: the same live, as of a moment, and in a training set', async () => {
    const engine = engineAt(30);
    engine.take(event('spends', 10, [5, 'NL']), event('refunds', 20, [2, true]));
    expect(await engine.read()).toMatchObject({ n: 1, sum: 2, mean: 2, last: 2, mean3: 'WARMING_UP', share: 0 });
    const moments = [5, 10, 19, 20].map((second) => BEGIN + second * SECOND);
    const made: Record<string, unknown>[] = [];
    await new PastWalks(engine.log, () => engine.now).read(
      engine.query(...moments.map(() => 'e')),
      moments.map((at) => ({ at, knownAt: at, corrected: false })),
      { onRow: (row, frames) => void (made[row] = engine.named({ frames: [frames] })) },
    );
    const expected = [UNKNOWN, EMPTY, EMPTY, { n: 1, sum: 2, last: 2 }];
    for (const [i, at] of moments.entries()) {
      expect(await engine.readPast(at)).toMatchObject(expected[i] as object);
      expect(made[i]).toMatchObject(expected[i] as object);
      expect(made[i]).toEqual(await engine.readPast(at));
    }

    const other = engineAt(19);
    expect(await other.read()).toMatchObject(UNKNOWN);
    other.take(event('spends', 10, [5, 'NL']));
    expect(await other.read()).toMatchObject(EMPTY);
    // Kept, and no longer right with the first event.
    expect(await other.read()).toMatchObject(EMPTY);
    other.take(event('refunds', 15, [2, true]));
    expect(await other.read()).toMatchObject({
      n: 1,
      n_ok: 1,
      n_long: 1,
      sum: 2,
      mean: 2,
      newest: 2,
      since: 4,
      last: 2,
    });
  });

  it('is empty as it is after the last one', async () => {
    const engine = engineAt(20);
    engine.take(event('spends', 10, [5, 'NL']), event('refunds', 20, [2, true]));
    engine.now = BEGIN + 100 * SECOND;
    expect(await engine.read()).toMatchObject({ ...BY_TIME, mean_or: 'DEFAULTED', last: 2 });
  });

  it('is not found any more once the other stream keeps nothing of the entity', async () => {
    const brief = { ...spends, retention: 100 * SECOND };
    const engine = new EngineStand(planOf([brief, refunds, profiles, countries], FEATURES));
    engine.take(event('spends', 10, [5, 'NL']));
    for (const [second, expected] of [
      [60, EMPTY],
      [109, EMPTY],
      [110, UNKNOWN],
    ] as const) {
      engine.now = BEGIN + second * SECOND;
      expect(await engine.read()).toMatchObject(expected);
      expect(await engine.readPast(engine.now)).toMatchObject(expected);
    }
  });

  it('is empty for whom only a table knows, by a row of its own', async () => {
    const engine = engineAt(20);
    engine.take(event('countries', 1, [0.5], 'NL'));
    // A row that another key leads to says nothing of the entity.
    expect(await engine.read()).toMatchObject({ ...UNKNOWN, risk: 0.5 });
    engine.take(event('profiles', 1, [100]));
    expect(await engine.read()).toMatchObject({ ...EMPTY, limit: 100 });
  });
});
