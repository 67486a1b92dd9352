import type { ValueRule } from '../definitions/feature-view';
import { CelEngine } from '../expressions/cel-engine';
import { compileStreamRules } from '../rules/compile-rules';
import { RuleTally } from '../rules/rule-tally';
import { LogStand } from '../testing/log-stand';
import { streamDefinition } from '../testing/stream-definition';
import type { EventWriter } from './event-writer';

const START = Math.floor(Date.now() / 60_000) * 60_000 - 3_600_000;
const HOUR = 3_600_000_000;

let stand: LogStand;
let writer: EventWriter;
const tally = new RuleTally();

async function addStream(name: string, identity: 'event_time' | 'event_id', rule: Partial<ValueRule>): Promise<void> {
  const rules: ValueRule[] = [{ field: 'price', action: 'reject', ...rule }];
  const definition = streamDefinition({ name, identity, rules, allowedLateness: HOUR });
  const compiled = compileStreamRules('tests', definition, new CelEngine(), tally);
  await stand.addStream(definition, compiled ? { rules: compiled } : {});
}

beforeAll(async () => {
  stand = await LogStand.open();
  writer = stand.writer();
  await addStream('bars', 'event_time', { maxChange: 5 });
  await addStream('meters', 'event_id', { monotonic: 'increasing' });
  await addStream('warned', 'event_time', { maxChange: 5, action: 'warn' });
  await addStream('nulls', 'event_time', { maxChange: 5, action: 'default', value: 0 });
});
afterAll(() => stand.close());

let names = 0;
const entity = (): string => `E${++names}`;

/** What became of values at these minutes, in one push or one after the other. */
async function push(stream: string, of: string, ...given: (readonly [minute: number, price: number])[]) {
  const events = given.map(([minute, price]) => ({
    entity: of,
    event_time: START + minute * 60_000,
    values: { price, size: 1 },
  }));
  return (await stand.push(writer, stream, ...events)).map(({ result }) => result);
}

async function served(stream: string, of: string): Promise<unknown[]> {
  const now = (Date.now() + 60_000) * 1000;
  const query = { stream, entity: of, at: now, knownAt: now, corrected: false, events: 100 };
  const [answer] = await stand.history.read([query], now);
  return answer?.events.map(({ values }) => values[0]) ?? [];
}

describe('a rule that compares', () => {
  it('refuses a correction that the event before its time does not allow', async () => {
    const of = entity();
    expect(await push('bars', of, [1, 8], [2, 10])).toEqual(['ACCEPTED', 'ACCEPTED']);
    expect(await push('bars', of, [2, 1000])).toEqual(['INVALID']);
    expect(await push('bars', of, [2, 13])).toEqual(['CORRECTED']);
    expect(await served('bars', of)).toEqual([8, 13]);
  });

  it('refuses a late event, and a correction, that the event after it could not follow', async () => {
    const of = entity();
    expect(await push('bars', of, [5, 10])).toEqual(['ACCEPTED']);
    expect(await push('bars', of, [3, -500])).toEqual(['INVALID']);
    expect(await push('bars', of, [3, 6])).toEqual(['LATE_APPLIED']);
    expect(await push('bars', of, [3, 4])).toEqual(['INVALID']);
    expect(await push('bars', of, [4, 14])).toEqual(['INVALID']);
    expect(await push('bars', of, [4, 11])).toEqual(['LATE_APPLIED']);
    expect(await served('bars', of)).toEqual([6, 11, 10]);
  });

  it('knows the events of its own push, in whatever order they come', async () => {
    const of = entity();
    const given: [number, number][] = [
      [5, 10],
      [3, 4],
      [3, 6],
      [4, 14],
      [4, 11],
      [3, 5],
      [6, 20],
      [6, 15],
      [5, 21],
    ];
    expect(await push('bars', of, ...given)).toEqual([
      'ACCEPTED',
      'INVALID',
      'LATE_APPLIED',
      'INVALID',
      'LATE_APPLIED',
      'INVALID',
      'INVALID',
      'ACCEPTED',
      'INVALID',
    ]);
    expect(await served('bars', of)).toEqual([6, 11, 10, 15]);
  });

  it('says the same of one push as of one after the other', async () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (const stream of ['bars', 'meters']) {
      for (let round = 0; round < 15; round++) {
        const given = Array.from({ length: 12 }, () => [random(6), random(12)] as const);
        const [whole, single, halves] = [entity(), entity(), entity()];
        const one = await push(stream, whole, ...given);
        const each = [];
        for (const event of given) each.push(...(await push(stream, single, event)));
        const two = [
          ...(await push(stream, halves, ...given.slice(0, 6))),
          ...(await push(stream, halves, ...given.slice(6))),
        ];
        expect([one, two]).toEqual([each, each]);
        expect(await served(stream, whole)).toEqual(await served(stream, single));
        const prices = (await served(stream, whole)) as number[];
        const steps = prices.slice(1).map((price, i) => price - (prices[i] ?? 0));
        expect(steps.filter((step) => (stream === 'bars' ? Math.abs(step) > 5 : step <= 0))).toEqual([]);
      }
    }
  });

  it('takes events of one time in the order in which they came, where none corrects another', async () => {
    const of = entity();
    expect(await push('meters', of, [1, 10], [1, 11], [1, 10.5], [3, 20])).toEqual([
      'ACCEPTED',
      'ACCEPTED',
      'INVALID',
      'ACCEPTED',
    ]);
    expect(await push('meters', of, [1, 9])).toEqual(['INVALID']);
    expect(await push('meters', of, [1, 12])).toEqual(['LATE_APPLIED']);
    expect(await push('meters', of, [3, 19])).toEqual(['INVALID']);
    expect(await served('meters', of)).toEqual([10, 11, 12, 20]);
  });

  it('refuses nothing where it only warns or replaces; what it replaces is that of the event itself', async () => {
    const of = entity();
    expect(await push('warned', of, [1, 10], [0, 100], [1, 500])).toEqual(['ACCEPTED', 'LATE_APPLIED', 'CORRECTED']);
    expect(await push('nulls', of, [1, 10], [3, 12], [2, 100])).toEqual(['ACCEPTED', 'ACCEPTED', 'LATE_APPLIED']);
    expect(await served('nulls', of)).toEqual([10, 0, 12]);
  });

  it('counts what it refused for the sake of the event after it', () => {
    const line = tally.lines().find(({ name }) => name.target === 'bars.price');
    expect(line?.violations).toBeGreaterThan(5);
  });
});
