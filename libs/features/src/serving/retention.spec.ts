import { Program } from '../engine/program';
import type { KeptStream } from '../log/stream-catalog';
import { tick } from '../testing/histories';
import { EngineStand } from '../testing/stand';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { instantText } from '../time';
import { checkRetention, leastKept, reachingBeyondRetention } from './retention';
import type { Selection } from './selection';

const HOUR = 3_600_000_000;
const NOW = 1_800_000_000_000_000;
const streams = [
  streamOf('ticks', 'event_id', { x: 'double' }, { retention: HOUR }),
  streamOf('bars', 'event_time', { y: 'double', place: 'string' }, { retention: 24 * HOUR }),
  streamOf('places', 'event_time', { rank: 'double' }, { retention: 2 * HOUR, table: true }),
];
const features: TestFeature[] = [
  { name: 'x', op: 'last', stream: 'ticks', inputs: ['x'] },
  { name: 'y', op: 'mean', stream: 'bars', inputs: ['y'], window: { events: 3 } },
  { name: 'place', op: 'last', stream: 'bars', inputs: ['place'] },
  { name: 'rank', table: 'places', field: 'rank', key: 'place' },
  { name: 'gap', expression: 'x - y', of: ['x', 'y'] },
  { name: 'twice', expression: 'y * 2.0', of: ['y'] },
  { name: 'asked', request: 'double' },
  { name: 'hours', op: 'sum', stream: 'bars', inputs: ['y'], window: { span: 20 * HOUR } },
  { name: 'tiled', op: 'sum', stream: 'bars', inputs: ['y'], window: { span: 23 * HOUR }, tile: HOUR },
];

/** As each stream is kept now. */
let present = new Map(streams.map((stream) => [stream.name, stream]));
const kept = (name: string): KeptStream | undefined => {
  const definition = present.get(name);
  return definition && { id: 1, retentionClass: 0, definition };
};

afterEach(() => {
  present = new Map(streams.map((stream) => [stream.name, stream]));
});

/** The streams of these names are kept for so long from now on. */
function keep(hours: Readonly<Record<string, number>>): void {
  present = new Map(streams.map((one) => [one.name, { ...one, retention: HOUR * (hours[one.name] ?? 0) }]));
}

function selectionOf(...names: string[]): Selection {
  const plan = planOf(streams, features);
  const program = new Program(plan);
  const members = names.map((name) => {
    const slot = program.slots.get(name) ?? -1;
    return { name, feature: name, type: 'double', view: 0, slot, source: 'stream', required: true } as const;
  });
  return {
    views: [{ view: plan.view, program }],
    programs: [program],
    members,
    sources: names.map(() => 'stream'),
    kept,
  };
}

describe('how far back a read may look', () => {
  it.each([
    ['the stream of a feature', ['x'], 'ticks'],
    ['not other streams of its view', ['y'], 'bars'],
    ['the shortest of several', ['y', 'x'], 'ticks'],
    ['what an expression is made of', ['gap'], 'ticks'],
    ['and nothing else', ['twice'], 'bars'],
    ['a table, and where its key comes from', ['rank'], 'places'],
    ['nothing where the request gives it all', ['asked'], undefined],
  ])('is as far as %s', (_what, names, stream) => {
    expect(leastKept(selectionOf(...names))?.name).toBe(stream);
  });

  it.each([
    ['a window by time', ['hours'], 4],
    ['one of tiles', ['tiled', 'hours'], 1],
  ])('%s begins before its stream is kept from some time on', (_what, names, hours) => {
    const reaches = (ago: number): boolean => reachingBeyondRetention(selectionOf(...names), NOW - ago, NOW)([]);
    expect([reaches(hours * HOUR), reaches(hours * HOUR + 1)]).toEqual([false, true]);
  });

  it('or at once, where the stream is kept for a shorter time than the version of its view says', () => {
    const now = (name: string): boolean => reachingBeyondRetention(selectionOf(name), NOW, NOW)([]);
    keep({ ticks: 1, bars: 20, places: 2 });
    expect([now('hours'), now('tiled')]).toEqual([false, true]);
    keep({ ticks: 1, bars: 19, places: 2 });
    expect([now('hours'), now('tiled'), now('y')]).toEqual([true, true, false]);
  });

  describe('a window by count', () => {
    /** A quarter past twenty-one. */
    const AT = Date.UTC(2026, 4, 20, 21, 15) * 1000;
    const HOURS_TO_CUT = 21.25 + 24;

    /** Events of `bars` so many hours before; asked about as of so many hours before. */
    async function reaches(names: readonly string[], hours: readonly number[], ago = 0): Promise<boolean> {
      const bars = streams.filter(({ name }) => name === 'bars');
      const engine = new EngineStand(planOf(bars, features.slice(1, 3)));
      engine.now = AT;
      for (const [id, hour] of hours.entries())
        engine.take(tick({ stream: 'bars', eventTime: AT - hour * HOUR, values: [1, 'x'], id }));
      engine.settlement.told(AT);
      const at = AT - ago * HOUR;
      const { frames } = await engine.past.read(engine.query('e'), { at, knownAt: at, corrected: false });
      return reachingBeyondRetention(selectionOf(...names), at, AT)(frames[0] ?? []);
    }

    it('reaches as far as its events lie apart', async () => {
      expect(await reaches(['y'], [30, 25, 23.9], 22)).toBe(false);
      // The cut that is kept for the last of its events is there as a whole.
      expect(await reaches(['y'], [HOURS_TO_CUT, 25, 23.9], 22)).toBe(false);
      expect(await reaches(['y'], [HOURS_TO_CUT + 0.01, 25, 23.9], 22)).toBe(true);
      // There may have been others.
      expect(await reaches(['y'], [25, 23.9], 22)).toBe(true);
      expect(await reaches(['place'], [25, 23.9], 22)).toBe(false);
      expect(await reaches(['place'], [], 22)).toBe(true);
    });

    it('and no further than the version of its view counts', async () => {
      expect(await reaches(['y'], [25, 23.9], 21)).toBe(false);
      expect(await reaches(['y'], [])).toBe(false);
      keep({ ticks: 1, bars: 1, places: 2 });
      expect(await reaches(['y'], [3, 2, 1])).toBe(false);
      expect(await reaches(['y'], [21.26, 2, 1])).toBe(true);
      expect(await reaches(['place'], [21.24])).toBe(false);
      expect(await reaches(['place'], [])).toBe(true);
      expect(await reaches(['asked'], [])).toBe(false);
    });
  });

  it('is told with the stream and since when it is kept', () => {
    const read = (name: string, ago: number): void => checkRetention(selectionOf(name), NOW - ago, NOW, '/rows/3');
    expect(() => read('y', 24 * HOUR)).not.toThrow();
    expect(() => read('x', HOUR)).not.toThrow();
    expect(() => read('asked', 1e15)).not.toThrow();
    const since = instantText(NOW - HOUR);
    expect(() => read('x', HOUR + 1)).toThrow(
      expect.objectContaining({
        code: 'timestamp_before_retention',
        detail: `Stream 'ticks' is kept since ${since}.`,
        faults: [{ pointer: '/rows/3', expected: `a time from ${since}`, received: instantText(NOW - HOUR - 1) }],
      }),
    );
  });
});
