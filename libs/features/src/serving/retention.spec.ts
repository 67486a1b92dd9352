import { Program } from '../engine/program';
import { planOf, streamOf, type TestFeature } from '../testing/test-plans';
import { instantText } from '../time';
import { checkRetention, leastKept, reachesBeyondRetention } from './retention';
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

function selectionOf(...names: string[]): Selection {
  const plan = planOf(streams, features);
  const program = new Program(plan);
  const members = names.map((name) => {
    const slot = program.slots.get(name) ?? -1;
    return { name, feature: name, type: 'double', view: 0, slot, source: 'stream', required: true } as const;
  });
  return { views: [{ view: plan.view, program }], programs: [program], members, sources: names.map(() => 'stream') };
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
    const reaches = (ago: number): boolean => reachesBeyondRetention(selectionOf(...names), NOW - ago, NOW);
    expect([reaches(hours * HOUR), reaches(hours * HOUR + 1)]).toEqual([false, true]);
  });

  it('no other window does', () => {
    for (const name of ['x', 'y', 'rank', 'gap', 'asked'])
      expect(reachesBeyondRetention(selectionOf(name), NOW - 24 * HOUR, NOW)).toBe(false);
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
