import { instantText, MICROS_PER_SECOND } from '../time';
import { aheadOf, readMoment, type AskedMoment } from './moment';

const NOW = Date.UTC(2026, 0, 1) * 1000;
const SKEW = 5 * MICROS_PER_SECOND;
const at = (seconds: number): string => instantText(NOW + seconds * MICROS_PER_SECOND);

describe('times of a request', () => {
  it.each([
    [{ timestamp: at(-3), knownAt: at(-1) }, []],
    [{ timestamp: at(-3), knownAt: at(2) }, ['/known_at']],
    [{ timestamp: at(2) }, ['/timestamp']],
    [{ timestamp: at(-3), knownAt: 'now' }, []],
    [{}, []],
  ])('%j: told of are those that have not come, %j', (asked, ahead) => {
    expect(aheadOf(asked, NOW)).toEqual(ahead);
    const moment = readMoment(asked, NOW, SKEW);
    expect(Math.max(moment?.at ?? 0, moment?.knownAt ?? 0)).toBeLessThanOrEqual(NOW);
  });
});

it('what is known now counts what came too late, of any moment; what was known at a moment does not', () => {
  const moment = (asked: AskedMoment): unknown => readMoment(asked, NOW, SKEW);
  const then = NOW - 3 * MICROS_PER_SECOND;
  expect(moment({})).toBeUndefined();
  expect(moment({ timestamp: null, knownAt: null })).toBeUndefined();
  expect(moment({ knownAt: 'now' })).toEqual({ at: NOW, knownAt: NOW, corrected: true });
  expect(moment({ timestamp: at(-3), knownAt: 'now' })).toEqual({ at: then, knownAt: NOW, corrected: true });
  expect(moment({ timestamp: at(-3) })).toEqual({ at: then, knownAt: then, corrected: false });
  expect(moment({ timestamp: at(-3), knownAt: at(-3) })).toEqual({ at: then, knownAt: then, corrected: false });
  expect(moment({ timestamp: at(-3), knownAt: at(-2) })).toMatchObject({ corrected: true });
});

it.each(['timestamp', 'knownAt'] as const)('%s may be ahead by as much as clocks differ, and no more', (which) => {
  expect(() => readMoment({ [which]: at(5) }, NOW, SKEW)).not.toThrow();
  expect(() => readMoment({ [which]: at(6) }, NOW, SKEW)).toThrow(
    expect.objectContaining({ code: 'timestamp_in_future' }),
  );
});
