import fc from 'fast-check';
import type { RuleSet } from '../rules/rule-set';
import { BEGIN, tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import { readGiven } from './given';

const SECOND = MICROS_PER_SECOND;
const spends = streamOf('spends', 'event_id', { amount: 'double', country: 'string' });
const countries = streamOf('countries', 'event_time', { risk: 'double' }, { table: true });

const onSpends = { stream: 'spends', inputs: ['amount'] };
const SINCE = { name: 'since', op: 'time_since_last', stream: 'spends', inputs: [] };
const FEATURES: readonly TestFeature[] = [
  { name: 'amount', op: 'last', ...onSpends, ttl: 8 * SECOND },
  { name: 'country', op: 'last', stream: 'spends', inputs: ['country'] },
  { name: 'recent', op: 'sum', ...onSpends, window: { span: 5 * SECOND } },
  { name: 'limit', request: 'double', default: 500 },
  { name: 'risk', table: 'countries', field: 'risk', key: 'country' },
  SINCE,
  { name: 'share', expression: 'recent / limit', of: ['recent', 'limit'] },
  { name: 'weighed', expression: 'amount * risk', of: ['amount', 'risk'] },
  { name: 'pace', expression: 'recent / (since + 1.0)', of: ['recent', 'since'] },
  { name: 'all', expression: 'share + weighed + pace', of: ['share', 'weighed', 'pace'] },
];

interface Turn {
  readonly wait: number;
  readonly what: 'spend' | 'risk' | 'late' | 'nothing';
  readonly value: number;
  readonly country: string;
  readonly limit: number | undefined;
}

const turns = fc.array(
  fc.record<Turn>({
    wait: fc.integer({ min: 0, max: 4 }),
    what: fc.constantFrom('spend', 'risk', 'late', 'nothing', 'nothing'),
    value: fc.integer({ min: 1, max: 100 }),
    country: fc.constantFrom('NL', 'DE'),
    limit: fc.constantFrom(undefined, undefined, 100, 200),
  }),
  { minLength: 1, maxLength: 20 },
);

function take(engine: EngineStand, { what, value, country }: Turn, id: number): void {
  const eventTime = engine.now - (what === 'late' ? 3 * SECOND : 0);
  if (what === 'spend' || what === 'late')
    engine.take(tick({ stream: 'spends', entity: 'e', eventTime, values: [value, country], id }));
  if (what === 'risk') engine.take(tick({ stream: 'countries', entity: country, eventTime, values: [value], id }));
}

it('of a frame that was kept give what computing all of it anew gives', async () => {
  const plan = planOf([spends, countries], FEATURES);
  await fc.assert(
    fc.asyncProperty(turns, async (each) => {
      const engine = new EngineStand(plan);
      engine.now = BEGIN + 100 * SECOND;
      for (const [i, turn] of each.entries()) {
        engine.now += turn.wait * SECOND + i;
        take(engine, turn, i + 1);
        const given = turn.limit === undefined ? undefined : readGiven(engine.program, { limit: turn.limit }).given;
        const query = { ...engine.query('e'), rows: [{ entities: ['e'], given: given && [given] }] };
        const { frames } = await engine.live.read(query);
        const { frame } = await engine.live.explain(query, 0);
        const { values, statuses, times, basis } = frames[0]?.[0] ?? {};
        expect({ values, statuses, times }).toEqual({
          values: frame.values,
          statuses: frame.statuses,
          times: frame.times,
        });
        const idsOf = (list: typeof frame.basis): unknown => list.map(({ entity, eventId }) => [entity, eventId]);
        expect(idsOf(basis ?? [])).toEqual(idsOf(frame.basis));
      }
    }),
    { numRuns: 300 },
  );
});

it('are not computed again while only the moment changes', async () => {
  const asked: string[] = [];
  const rulesOf = (name: string): RuleSet => ({
    apply() {
      asked.push(name);
      return { value: null };
    },
  });
  const engine = new EngineStand(
    planOf(
      [spends],
      [
        { name: 'amount', op: 'last', ...onSpends, rules: rulesOf('amount') },
        { name: 'twice', expression: 'amount * 2.0', of: ['amount'], rules: rulesOf('twice') },
        { ...SINCE, rules: rulesOf('since') },
        { name: 'pace', expression: 'amount / since', of: ['amount', 'since'], rules: rulesOf('pace') },
      ],
    ),
  );
  const readAt = async (second: number): Promise<Record<string, unknown>> => {
    engine.now = BEGIN + second * SECOND;
    return engine.read();
  };
  engine.take(tick({ stream: 'spends', entity: 'e', eventTime: BEGIN, values: [10, 'NL'], id: 1 }));
  expect(await readAt(1)).toMatchObject({ amount: 10, twice: 20, pace: 10 });
  asked.length = 0;
  expect(await readAt(2)).toMatchObject({ amount: 10, twice: 20, pace: 5 });
  expect(asked).toEqual(['since', 'pace']);
});
