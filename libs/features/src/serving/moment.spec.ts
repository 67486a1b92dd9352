import { instantText, MICROS_PER_SECOND } from '../time';
import { aheadOf, readMoment } from './moment';

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
