import fs from 'node:fs';
import path from 'node:path';
import { barsOf, INDICATORS, indicatorAt, MARKETS, tolerance } from './testing';

interface Kept {
  readonly bars: readonly number[];
  readonly values: readonly number[];
}

interface Golden {
  readonly markets: Readonly<Record<string, Readonly<Record<string, Kept>>>>;
}

const golden = JSON.parse(fs.readFileSync(path.resolve(__dirname, '../../test/talib-golden.json'), 'utf8')) as Golden;

describe('what TA-Lib says', () => {
  for (const [market, outputs] of Object.entries(golden.markets)) {
    const bars = barsOf(MARKETS[market]!);

    it.each(Object.entries(outputs))(`of ${market}: %s`, (key, kept) => {
      const first = kept.bars[0]!;
      expect(first === 0 || indicatorAt(key, bars, first - 1) === null).toBe(true);
      for (const [place, bar] of kept.bars.entries()) {
        const expected = kept.values[place]!;
        const ours = indicatorAt(key, bars, bar);
        expect(ours).not.toBeNull();
        expect(Math.abs(ours! - expected)).toBeLessThanOrEqual(tolerance(key, expected, bars));
      }
    });
  }

  it('is compared for every indicator that there is', () => {
    for (const outputs of Object.values(golden.markets)) {
      expect(Object.keys(outputs).sort()).toEqual(Object.keys(INDICATORS).sort());
    }
    expect(Object.keys(golden.markets)).toEqual(Object.keys(MARKETS));
  });
});
