import fc from 'fast-check';
import { compiled, compute, seriesOf } from '../operators/testing';
import { BEGIN, tick } from '../testing/histories';
import { ticks } from '../testing/naive-features';
import { EngineStand } from '../testing/stand';
import { planOf, type TestFeature } from '../testing/test-plans';
import { MICROS_PER_SECOND } from '../time';
import type { Series } from './series';
import { boundWindow, unbounded } from './window-bounds';

const SECOND = MICROS_PER_SECOND;
const SPAN = 9 * SECOND;
const FORMS = [
  ['sum', { window: { span: SPAN } }],
  ['last', { window: { span: SPAN } }],
  ['rate', { window: { span: SPAN } }],
  ['median', { window: { span: SPAN } }],
  ['sum', { window: { span: SPAN }, tile: 2 * SECOND }],
  ['std', { window: { span: SPAN }, tile: 2 * SECOND }],
  ['rate', { window: { span: SPAN }, tile: 2 * SECOND }],
  ['sum', { window: { events: 3 } }],
  ['time_since_last', {}],
] as const;

/** Events at whole seconds, each with a number of its own, and a moment at or after all of them. */
const asked = fc
  .tuple(fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 12 }), fc.integer({ min: 0, max: 30 * SECOND }))
  .map(([seconds, later]) => {
    const times = seconds.sort((a, b) => a - b).map((second) => second * SECOND);
    const series = seriesOf([times.map((_, i) => 1.5 ** i)], times);
    return { series, at: (times.at(-1) ?? 0) + later };
  });

function boundsOf(operator: ReturnType<typeof compiled>, series: Series, at: number): [number, number] {
  const bounds = unbounded();
  boundWindow(operator, series, at, bounds);
  return [bounds.from, bounds.until];
}

describe('the moments at which a window holds the same events', () => {
  it.each(FORMS)('%s with %j comes to the same at each of them', (name, definition) => {
    const operator = compiled(name, definition);
    fc.assert(
      fc.property(asked, fc.double({ min: 0, max: 1, noNaN: true }), ({ series, at }, part) => {
        const [from, until] = boundsOf(operator, series, at);
        expect(from <= at && at < until).toBe(true);
        const newest = series.end > 0 ? (series.times[series.end - 1] as number) : 0;
        const [first, last] = [Math.max(from, newest), Math.min(until, at + 100 * SECOND) - 1];
        for (const other of [first, last, Math.floor(first + part * (last - first))])
          expect(compute(operator, series, other)).toEqual(compute(operator, series, at));
      }),
      { seed: 7 },
    );
  });

  it('end when the oldest event leaves, to the microsecond, and began when the one before it left', () => {
    const series = seriesOf([[1, 2, 4]], [SECOND, 2 * SECOND, 4 * SECOND]);
    const sum = compiled('sum', { window: { span: SPAN } });
    expect(boundsOf(sum, series, 10.5 * SECOND)).toEqual([10 * SECOND, 11 * SECOND]);
    expect(boundsOf(sum, series, 5 * SECOND)).toEqual([Number.NEGATIVE_INFINITY, 10 * SECOND]);
    expect(boundsOf(sum, series, 99 * SECOND)).toEqual([13 * SECOND, Number.POSITIVE_INFINITY]);
  });

  it('are those of its tiles where it has some', () => {
    const sum = compiled('sum', { window: { span: SPAN }, tile: 2 * SECOND });
    expect(boundsOf(sum, seriesOf([[1]], [SECOND]), 14.5 * SECOND)).toEqual([13 * SECOND, 15 * SECOND]);
  });

  it('do not go back to when there was more than what is kept, and are none while events are left out', () => {
    const series = { ...seriesOf([[1, 2]], [SECOND, 2 * SECOND]), whole: false };
    const sum = compiled('sum', { window: { span: SPAN } });
    expect(boundsOf(sum, series, 5 * SECOND)).toEqual([5 * SECOND, 10 * SECOND]);
    // Once one of those that are kept has left the window, it is known when that was.
    expect(boundsOf(sum, series, 10.5 * SECOND)).toEqual([10 * SECOND, 11 * SECOND]);
    expect(boundsOf(sum, { ...series, cut: true }, 5 * SECOND)).toEqual([5 * SECOND, 5 * SECOND + 1]);
  });
});

describe('a vector with windows by time', () => {
  const onTicks = { stream: 'ticks', inputs: ['x'] };
  const sum: TestFeature = { ...onTicks, name: 'sum', op: 'sum', window: { span: 20 * SECOND } };
  const since: TestFeature = { ...onTicks, inputs: [], name: 'since', op: 'time_since_last' };

  function engineOf(...features: TestFeature[]): EngineStand {
    const engine = new EngineStand(planOf([ticks('event_id')], features));
    engine.now = BEGIN + 10 * SECOND;
    engine.take(
      tick({ eventTime: BEGIN + SECOND, values: [1, 'a', true], id: 1 }),
      tick({ eventTime: BEGIN + 4 * SECOND, values: [2, 'a', true], id: 2 }),
    );
    return engine;
  }

  async function found(engine: EngineStand, seconds: number): Promise<[unknown, number]> {
    const before = engine.counts.get('vector hit') ?? 0;
    engine.now = BEGIN + seconds * SECOND;
    const { sum: value } = await engine.read();
    return [value, (engine.counts.get('vector hit') ?? 0) - before];
  }

  it('is found again until an event leaves one', async () => {
    const engine = engineOf(sum);
    expect(await found(engine, 10)).toEqual([3, 0]);
    expect(await found(engine, 20.999999)).toEqual([3, 1]);
    expect(await found(engine, 21)).toEqual([2, 0]);
    expect(await found(engine, 23)).toEqual([2, 1]);
    expect(await found(engine, 24)).toEqual([0, 0]);
    expect(await found(engine, 1000)).toEqual([0, 1]);
  });

  it('is not found again where something else changes with each moment, and its windows are right all the same', async () => {
    const engine = engineOf(sum, since);
    expect(await found(engine, 10)).toEqual([3, 0]);
    expect(await found(engine, 20.5)).toEqual([3, 0]);
    expect(await found(engine, 21)).toEqual([2, 0]);
    expect(await found(engine, 24)).toEqual([0, 0]);
  });

  it('is not served to who wants stale values from who does not', async () => {
    const engine = engineOf({ ...onTicks, name: 'sum', op: 'last', ttl: 2 * SECOND });
    const valueOf = async (keepStale: boolean): Promise<unknown> => {
      const { frames } = await engine.live.read({ ...engine.query('e'), keepStale });
      return frames[0]?.[0]?.values[0];
    };
    for (const keepStale of [false, true, true, false, true])
      expect(await valueOf(keepStale)).toBe(keepStale ? 2 : null);
    expect(engine.counts.get('vector hit')).toBe(1);
  });
});
